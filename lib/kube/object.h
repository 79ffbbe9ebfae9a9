/* What a store keeps of an object of the API: a head that all have, and behind it the few fields that
 * somebody reads, never the tree that it came from.
 *
 *     struct pod { struct kube_object head; char *phase; ... };
 *
 * Immutable from the moment it is in a store, and counted: a reader holds a reference and needs no lock. A
 * newer state is another object. Thread: any. */
#ifndef KUBE_OBJECT_H
#define KUBE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct err;
struct json;

struct kube_object {
    char *namespace; /* "" for what has no namespace */
    char *name;
    char *uid;
    uint64_t resource_version; /* of the write that made this state */
    /* Private. */
    void (*release)(struct kube_object *object);
    int64_t references;
};

/* Makes the projected object of a tree: allocates the whole struct and fills everything but the head, which
 * the caller fills. NULL with *err when the object makes no sense to us. json is borrowed for the call. */
typedef struct kube_object *(*kube_decode)(const struct json *json, void *ctx, struct err *err);
/* Frees what decode made, the struct itself included, but not the texts of the head. */
typedef void (*kube_release)(struct kube_object *object);

/* The object of a tree with one reference: decode's part and the head out of metadata. ERR_INVALID when
 * metadata lacks a name, a uid or a resourceVersion that is a number; decode's error otherwise. */
int kube_object_read(const struct json *json, kube_decode decode, kube_release release, void *ctx,
    struct kube_object **ret_object, struct err *err);

/* The object itself, with one more reference. */
struct kube_object *kube_object_ref(struct kube_object *object);
/* Accepts NULL. */
void kube_object_unref(struct kube_object *object);
DEFINE_CLEANUP(struct kube_object *, kube_object_unref)

/* Keys name objects of one resource: "namespace/name", or "name" for what has no namespace. Names hold no
 * slash. */
enum { KUBE_KEY_BYTES = 64 + 1 + 254 };
/* Into buffer, which holds at least KUBE_KEY_BYTES; cut when longer, as no API server allows. Returns buffer.
 */
char *kube_key_format(const char *namespace, const char *name, char *buffer);
char *kube_object_key(const struct kube_object *object, char *buffer);
/* Where the name begins in key. */
const char *kube_key_name(const char *key);

#endif
