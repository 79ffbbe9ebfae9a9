/* An ActorSystem as the API server serves it, projected to what the operator acts on. Pure.
 *
 * Owner: counted (kube/object.h), never changed. It owns its texts and one reference of the spec; others take
 * their own (any thread may). */
#ifndef API_ACTOR_SYSTEM_OBJECT_H
#define API_ACTOR_SYSTEM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "kube/object.h"

struct err;
struct json;
struct system_spec;

/* What an annotation asks for, once. */
enum system_verb { SYSTEM_RESUME, SYSTEM_MOVE, SYSTEM_FORGET };

struct system_request {
    enum system_verb verb;
    char *subject; /* resume, move: the unit; forget: the node */
    char *target;  /* move: the node; else "" */
};

struct actor_system_object {
    struct kube_object head;
    int64_t generation;
    bool is_deleting;
    struct system_spec *spec; /* with generation, name and namespace; NULL: see problems */
    char *problems;           /* "" when there is a spec; else what is wrong, field by field, at most 1 KiB */
    VEC(struct system_request) requests;
    char *request_problems; /* "" or what is wrong with the annotations above, at most 1 KiB */
    bool has_requests;      /* one of the annotations is there, right or wrong: remove them when done */
};

/* kube_decode and kube_release (kube/object.h). ERR_INVALID only for what is no object; every other mistake
 * makes spec NULL and fills problems. */
struct kube_object *actor_system_object_decode(const struct json *json, void *ctx, struct err *err);
void actor_system_object_release(struct kube_object *object);

#endif
