/* A store that follows what an API server sends: reads pages and lines, has the reflector judge them, and
 * changes the store. No I/O: the informer sends the requests, and tests play the server.
 *
 * Thread: one at a time, the only one that writes the store. */
#ifndef KUBE_FOLLOWER_H
#define KUBE_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/object.h"
#include "kube/reflector.h"
#include "kube/store.h"

struct err;
struct kube_follower;

struct kube_follower_config {
    struct kube_store *store;
    kube_decode decode;
    kube_release release;
    kube_on_change on_change;                                 /* may be NULL */
    void (*on_problem)(void *ctx, const struct err *problem); /* as in informer.h; may be NULL */
    void *ctx;
    bool can_stream;
    uint64_t version;
    uint64_t seed;
};

struct kube_follower_counts {
    uint64_t lists; /* pages */
    uint64_t watches;
    uint64_t events;
    uint64_t bookmarks;
    uint64_t failures;
    uint64_t refused;
    uint64_t silences;
    size_t largest_bytes;
};

struct kube_follower *kube_follower_new(const struct kube_follower_config *config);
void kube_follower_free(struct kube_follower *follower);

/* The next request, which then has begun. */
void kube_follower_next(
    struct kube_follower *follower, int64_t now_ms, struct reflector_request *ret_request);

/* Bytes of a STREAM or WATCH. false: the request is over for the follower, to be canceled without
 * kube_follower_ended. */
bool kube_follower_data(struct kube_follower *follower, int64_t now_ms, const char *data, size_t size);

/* The request ended. page: the body of a LIST that went well. */
struct kube_follower_end {
    const struct err *err;            /* NULL: it went well */
    const struct kube_status *status; /* the server refused, or NULL */
    bool has_answer;
    const char *page;
    size_t page_size;
};
void kube_follower_ended(struct kube_follower *follower, int64_t now_ms, const struct kube_follower_end *end);

/* Time passed: true when the open request has been silent for too long, and is over as with
 * kube_follower_data. */
bool kube_follower_gives_up(struct kube_follower *follower, int64_t now_ms);
/* See kube_informer_require. true: the open request is over as with kube_follower_data. */
bool kube_follower_require(struct kube_follower *follower, int64_t now_ms, uint64_t version);

/* The store was filled. */
bool kube_follower_has_synced(const struct kube_follower *follower);
void kube_follower_counts(const struct kube_follower *follower, struct kube_follower_counts *ret_counts);

#endif
