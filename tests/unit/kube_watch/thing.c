#include "unit/kube_watch/thing.h"

#include <assert.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

static int64_t things;

int64_t thing_count(void)
{
    return __atomic_load_n(&things, __ATOMIC_RELAXED);
}

struct json *thing_json(
    const char *namespace, const char *name, const char *uid, uint64_t version, const char *color)
{
    struct json *json = json_object_new();
    struct json *metadata = json_set_object(json, "metadata");
    if (namespace)
        json_set_string(metadata, "namespace", namespace);
    json_set_string(metadata, "name", name);
    json_set_string(metadata, "uid", uid);
    json_set_stringf(metadata, "resourceVersion", "%llu", (unsigned long long)version);
    json_set_string(json, "color", color);
    return json;
}

struct kube_object *thing_decode(const struct json *json, void *ctx, struct err *err)
{
    (void)ctx;
    const char *color = json_string(json_get(json, "color"));
    if (text_equal(color, "bad")) {
        (void)err_set(err, ERR_INVALID, "color \"%s\" is no color", color);
        return NULL;
    }
    struct thing *thing = xcalloc(1, sizeof(*thing));
    thing->color = xstrdup(color);
    (void)__atomic_add_fetch(&things, 1, __ATOMIC_RELAXED);
    return &thing->head;
}

void thing_release(struct kube_object *object)
{
    struct thing *thing = (struct thing *)object;
    free(thing->color);
    free(thing);
    (void)__atomic_sub_fetch(&things, 1, __ATOMIC_RELAXED);
}

struct kube_object *thing_new(
    const char *namespace, const char *name, const char *uid, uint64_t version, const char *color)
{
    _cleanup_(json_freep) struct json *json = thing_json(namespace, name, uid, version, color);
    struct kube_object *object = NULL;
    int result = kube_object_read(json, thing_decode, thing_release, NULL, &object, NULL);
    assert(result == 0);
    return object;
}

const char *thing_color(const struct kube_object *object)
{
    return ((const struct thing *)object)->color;
}

static void color_keys(
    const struct kube_object *object, void (*add)(void *add_ctx, const char *key), void *add_ctx)
{
    if (*thing_color(object))
        add(add_ctx, thing_color(object));
}

static void namespace_keys(
    const struct kube_object *object, void (*add)(void *add_ctx, const char *key), void *add_ctx)
{
    add(add_ctx, object->namespace);
    add(add_ctx, object->namespace); /* twice does no harm */
}

const struct kube_index thing_indexes[2] = {{"color", color_keys}, {"namespace", namespace_keys}};
