/* The ActorFence object of a system: the fence record (types/fence_record.h) under the key record. Written by
 * POST and by PUT with resourceVersion only, never by apply (failure-model.md R0). Pure. */
#ifndef API_FENCE_OBJECT_H
#define API_FENCE_OBJECT_H

#include <stdint.h>

struct err;
struct fence_record;
struct json;
struct object_owner;

/* The whole object, which the caller frees. resource_version NULL: for POST; else the one that was read, for
 * PUT. */
struct json *fence_object_new(
    const struct object_owner *owner, const struct fence_record *record, const char *resource_version);

/* The record (the caller's to release) and the text of metadata.resourceVersion (the caller frees it).
 * ERR_INVALID for anything that fence_object_new would not make: then nothing may be commanded. */
int fence_object_decode(
    const struct json *object, struct fence_record *ret_record, char **ret_resource_version, struct err *err);

#endif
