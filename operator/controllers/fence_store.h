/* controllers/fence_store.h: the fence record of one system as its ActorFence object: read live, written by
 * POST or by PUT with the resourceVersion that was read or written last, so that of two leaders one gets a
 * conflict (failure-model.md R0). Owner: a system. Thread: one at a time; both calls block. */
#pragma once

#include <stdbool.h>

#include "api/object_owner.h"

struct err;
struct fence_record;
struct kube_client;

struct fence_store {
    struct kube_client *client;
    struct object_owner owner;
    char *resource_version; /* NULL: there is no object */
};

void fence_store_done(struct fence_store *store);

/* *ret_found false: there is none. ERR_INVALID: it cannot be understood, so nothing may be commanded. */
int fence_store_read(
    struct fence_store *store, struct fence_record *ret_record, bool *ret_found, struct err *err);
/* ERR_CONFLICT: somebody else wrote it, or it is gone. */
int fence_store_write(struct fence_store *store, const struct fence_record *record, struct err *err);
