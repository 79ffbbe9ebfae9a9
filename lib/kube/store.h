/* The objects of one resource as an informer knows them, by key and by any number of named indexes.
 *
 * One writer (the informer's thread); reads from any thread. A reader gets references to immutable objects,
 * so nothing is locked while it works with them. Lock: `kube store`, held for a look-up or for one change. A
 * reference of the store is one of the object's; what readers hold outlives the store. */
#ifndef KUBE_STORE_H
#define KUBE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct kube_object;
struct kube_store;

/* An index: which keys an object is found under. Calls add any number of times, with texts that are copied.
 */
struct kube_index {
    const char *name;
    void (*keys)(
        const struct kube_object *object, void (*add)(void *add_ctx, const char *key), void *add_ctx);
};

/* Counted references that kube_objects_done gives back. */
struct kube_objects {
    VEC(struct kube_object *) list;
};
void kube_objects_done(struct kube_objects *objects);

/* What happened to one object: old is NULL when it is new, new is NULL when it is gone (old then is the last
 * state that is known, also when it went while nobody watched). Both are borrowed for the call. is_initial:
 * the object was there when the store was first filled. */
typedef void (*kube_on_change)(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial);

/* indexes are kept, not copied. */
struct kube_store *kube_store_new(const struct kube_index *indexes, size_t index_count);
void kube_store_free(struct kube_store *store);

/* ---- any thread ---- */

/* The object with one more reference, or NULL. */
struct kube_object *kube_store_get(struct kube_store *store, const char *namespace, const char *name);
struct kube_object *kube_store_get_key(struct kube_store *store, const char *key);
/* Appends all objects, or those that index holds under key. Objects keep the order in which they came. */
void kube_store_list(struct kube_store *store, struct kube_objects *objects);
void kube_store_find(
    struct kube_store *store, const char *index, const char *key, struct kube_objects *objects);
size_t kube_store_count(struct kube_store *store);
/* All changes up to this resourceVersion are in; 0 before the store was filled. */
uint64_t kube_store_version(struct kube_store *store);

/* ---- the writing thread ---- */

/* What the store holds under key, borrowed until the next write; NULL when nothing. */
const struct kube_object *kube_store_peek(struct kube_store *store, const char *key);
/* Puts the object in, in place of what was there, and tells. version as below. */
void kube_store_put_take(struct kube_store *store, struct kube_object *object, uint64_t version,
    kube_on_change on_change, void *ctx);
/* Removes what is under key, if anything is, and tells. */
void kube_store_remove(
    struct kube_store *store, const char *key, uint64_t version, kube_on_change on_change, void *ctx);
/* Time passed without a change of ours (a bookmark). */
void kube_store_set_version(struct kube_store *store, uint64_t version);

/* The next content of a store, gathered apart while readers go on to see the former one. */
struct kube_replacement;
struct kube_replacement *kube_replacement_new(void);
void kube_replacement_free(struct kube_replacement *replacement);
void kube_replacement_put_take(struct kube_replacement *replacement, struct kube_object *object);
void kube_replacement_remove(struct kube_replacement *replacement, const char *key);
/* An object that exists and could not be read: what the store knows of it stays. */
void kube_replacement_keep(struct kube_replacement *replacement, const char *key);
size_t kube_replacement_count(const struct kube_replacement *replacement);
/* In one step for readers; then tells what is gone, new or has another resourceVersion or uid, in this order.
 */
void kube_store_replace_take(struct kube_store *store, struct kube_replacement *replacement, uint64_t version,
    kube_on_change on_change, void *ctx);

#endif
