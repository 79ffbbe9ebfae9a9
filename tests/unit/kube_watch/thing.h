/* An object of tests: its store keeps its color. */
#ifndef UNIT_KUBE_WATCH_THING_H
#define UNIT_KUBE_WATCH_THING_H

#include <stdint.h>

#include "kube/object.h"
#include "kube/store.h"

struct json;

struct thing {
    struct kube_object head;
    char *color;
};

/* Things in existence: 0 when all references were given back. */
int64_t thing_count(void);

/* {"metadata": {...}, "color": color}; the caller frees it. */
struct json *thing_json(
    const char *namespace, const char *name, const char *uid, uint64_t version, const char *color);
/* Refuses the color "bad". */
struct kube_object *thing_decode(const struct json *json, void *ctx, struct err *err);
void thing_release(struct kube_object *object);
struct kube_object *thing_new(
    const char *namespace, const char *name, const char *uid, uint64_t version, const char *color);
const char *thing_color(const struct kube_object *object);

/* By color (none for "") and by namespace. */
extern const struct kube_index thing_indexes[2];

#endif
