/* controllers/owned_object.h: private to owned*.c. */
#pragma once

#include <stdbool.h>

struct err;
struct json;
struct kube_client;
struct kube_resource;
struct object_owner;

/* Whose is an object of a name that is ours? *ret_is_ours false: it belonged to a former system of that name
 * and is deleted now. ERR_CONFLICT: to somebody else. */
int owned_object_check(struct kube_client *client, const struct object_owner *owner,
    const struct kube_resource *resource, const struct json *object, bool *ret_is_ours, struct err *err);
