/* Keeps a store equal to what the API server has of one resource: a list or a stream of the present state,
 * then a watch, again and again, with everything that can go wrong in between (reflector.h decides, this file
 * does).
 *
 * All I/O and all callbacks are on the thread of the client; reads of the store and the questions below are
 * for any thread. Callbacks only note what is to be done (add a key to a work queue) and return. */
#ifndef KUBE_INFORMER_H
#define KUBE_INFORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/object.h"
#include "kube/store.h"

struct clock;
struct err;
struct kube_client;
struct kube_informer;
struct kube_resource;

struct kube_informer_config {
    const struct kube_resource *resource; /* kept; see kube/resource.h */
    const char *namespace;                /* NULL: all namespaces, or a resource without any */
    const char *label_selector;           /* NULL: everything */
    const char *field_selector;           /* NULL: everything */
    bool metadata_only;                   /* decode gets PartialObjectMetadata */
    bool lists; /* never asks for the present state as a stream (servers before 1.32 cannot, and say so) */
    uint64_t version;   /* resourceVersion that is known to exist: nothing older is believed; 0 for none */
    kube_decode decode; /* on the client's thread */
    kube_release release;
    const struct kube_index *indexes; /* kept */
    size_t index_count;
    kube_on_change on_change; /* may be NULL */
    /* Something is wrong and tried again (no permission, a resource that does not exist, a stale server):
     * called once for each new text, and with NULL when the store follows again. Also called, once for each
     * new text, for an object that decode refused; the store then keeps its last good state. May be NULL. */
    void (*on_problem)(void *ctx, const struct err *problem);
    void (*on_synced)(void *ctx); /* the store was filled for the first time; may be NULL */
    void *ctx;                    /* of all callbacks */
};

struct kube_informer_stats {
    uint64_t lists;       /* pages asked for */
    uint64_t watches;     /* watches and streams begun */
    uint64_t events;      /* that changed the store */
    uint64_t bookmarks;   /* seen */
    uint64_t failures;    /* requests that ended with an error */
    uint64_t refused;     /* objects that could not be read */
    uint64_t silences;    /* watches that were given up because nothing came */
    int64_t synced_ms;    /* from the start until the store was filled; 0 before */
    size_t largest_bytes; /* the longest line of a watch or body of a page */
};

/* Texts of config are copied except as said. Starts at once. client and clock live longer; clock is
 * clock_system(), as the client's timers know no other. */
int kube_informer_start(struct kube_client *client, struct clock *clock,
    const struct kube_informer_config *config, struct kube_informer **ret_informer, struct err *err);
/* Ends the request under way; no callback comes after it returned. Not on the client's thread. Accepts NULL.
 * The store ends as well; objects that somebody holds stay. */
void kube_informer_free(struct kube_informer *informer);

struct kube_store *kube_informer_store(struct kube_informer *informer);
/* The store was filled and on_change was told of everything in it. */
bool kube_informer_has_synced(struct kube_informer *informer);
/* All changes up to this resourceVersion are in the store: whoever wrote waits for its own version, and the
 * Lease's mark is made of it. */
uint64_t kube_informer_version(struct kube_informer *informer);
/* A higher resourceVersion is known to exist (another leader saw it): lists anew unless the store has come
 * that far; kube_informer_version tells when it has. */
void kube_informer_require(struct kube_informer *informer, uint64_t version);
void kube_informer_stats(struct kube_informer *informer, struct kube_informer_stats *ret_stats);

#endif
