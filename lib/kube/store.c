#include "kube/store.h"

#include <assert.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "kube/object.h"

/* Objects and indexes of one moment. Only the writer changes one, and under the lock when readers know it. */
struct content {
    struct map objects; /* key -> object, a reference */
    struct map
        buckets[]; /* of each index: its key -> struct map of object key -> object, borrowed from objects */
};

struct kube_store {
    const struct kube_index *indexes;
    size_t index_count;
    bool is_filled; /* the writer's */
    struct mutex lock;
    struct content *content GUARDED_BY(&lock);
    uint64_t version GUARDED_BY(&lock);
};

struct kube_replacement {
    struct map objects; /* key -> object, a reference; NULL: what is known stays */
};

void kube_objects_done(struct kube_objects *objects)
{
    vec_for_each (object, &objects->list)
        kube_object_unref(*object);
    vec_done(&objects->list);
}

static void unref_value(void *value)
{
    kube_object_unref(value);
}

static void free_bucket(void *value)
{
    struct map *bucket = value;
    map_done(bucket, NULL);
    free(bucket);
}

static struct content *content_new(const struct kube_store *store)
{
    return xcalloc(1, sizeof(struct content) + store->index_count * sizeof(struct map));
}

static void content_free(const struct kube_store *store, struct content *content)
{
    for (size_t i = 0; i < store->index_count; i++)
        map_done(&content->buckets[i], free_bucket);
    map_done(&content->objects, unref_value);
    free(content);
}

struct bucket_change {
    struct map *buckets;
    struct kube_object *object;
    const char *object_key;
};

static void bucket_add(void *ctx, const char *key)
{
    struct bucket_change *change = ctx;
    struct map *bucket = map_get(change->buckets, key);
    if (!bucket) {
        bucket = xcalloc(1, sizeof(*bucket));
        (void)map_put(change->buckets, key, bucket); /* there was none */
    }
    (void)map_put(
        bucket, change->object_key, change->object); /* the former one was removed, or is the same */
}

static void bucket_remove(void *ctx, const char *key)
{
    struct bucket_change *change = ctx;
    struct map *bucket = map_get(change->buckets, key);
    if (!bucket)
        return; /* an index may name a key twice */
    (void)map_remove(bucket, change->object_key);
    if (map_count(bucket) == 0)
        free_bucket(map_remove(change->buckets, key));
}

static void content_index(const struct kube_store *store, struct content *content, const char *object_key,
    struct kube_object *object, void (*function)(void *ctx, const char *key))
{
    for (size_t i = 0; i < store->index_count; i++) {
        struct bucket_change change = {&content->buckets[i], object, object_key};
        store->indexes[i].keys(object, function, &change);
    }
}

/* Returns the former object with the reference that content had; object NULL removes. */
static struct kube_object *content_set_take(
    const struct kube_store *store, struct content *content, const char *key, struct kube_object *object)
{
    struct kube_object *old_object = map_get(&content->objects, key);
    if (old_object)
        content_index(store, content, key, old_object, bucket_remove);
    if (!object) {
        (void)map_remove(&content->objects, key); /* it is old_object */
        return old_object;
    }
    (void)map_put(&content->objects, key, object); /* it returns old_object */
    content_index(store, content, key, object, bucket_add);
    return old_object;
}

struct kube_store *kube_store_new(const struct kube_index *indexes, size_t index_count)
{
    struct kube_store *store = xcalloc(1, sizeof(*store));
    store->indexes = indexes;
    store->index_count = index_count;
    mutex_init(&store->lock, 300, "kube store");
    mutex_lock(&store->lock);
    store->content = content_new(store);
    mutex_unlock(&store->lock);
    return store;
}

void kube_store_free(struct kube_store *store)
{
    if (!store)
        return;
    mutex_lock(&store->lock);
    struct content *content = steal_ptr(&store->content);
    mutex_unlock(&store->lock);
    content_free(store, content);
    mutex_done(&store->lock);
    free(store);
}

struct kube_object *kube_store_get_key(struct kube_store *store, const char *key)
{
    mutex_lock(&store->lock);
    struct kube_object *object = map_get(&store->content->objects, key);
    if (object)
        kube_object_ref(object);
    mutex_unlock(&store->lock);
    return object;
}

struct kube_object *kube_store_get(struct kube_store *store, const char *namespace, const char *name)
{
    char key[KUBE_KEY_BYTES];
    return kube_store_get_key(store, kube_key_format(namespace, name, key));
}

static void append_all(const struct map *map, struct kube_objects *objects)
{
    vec_reserve(&objects->list, objects->list.count + map_count(map));
    map_for_each (item, map)
        vec_push(&objects->list, kube_object_ref(item.value));
}

void kube_store_list(struct kube_store *store, struct kube_objects *objects)
{
    mutex_lock(&store->lock);
    append_all(&store->content->objects, objects);
    mutex_unlock(&store->lock);
}

void kube_store_find(
    struct kube_store *store, const char *index, const char *key, struct kube_objects *objects)
{
    size_t i = 0;
    while (i < store->index_count && !text_equal(store->indexes[i].name, index))
        i++;
    assert(i < store->index_count);
    mutex_lock(&store->lock);
    const struct map *bucket = map_get(&store->content->buckets[i], key);
    if (bucket)
        append_all(bucket, objects);
    mutex_unlock(&store->lock);
}

size_t kube_store_count(struct kube_store *store)
{
    mutex_lock(&store->lock);
    size_t count = map_count(&store->content->objects);
    mutex_unlock(&store->lock);
    return count;
}

uint64_t kube_store_version(struct kube_store *store)
{
    mutex_lock(&store->lock);
    uint64_t version = store->version;
    mutex_unlock(&store->lock);
    return version;
}

const struct kube_object *kube_store_peek(struct kube_store *store, const char *key)
{
    mutex_lock(&store->lock);
    const struct kube_object *object = map_get(&store->content->objects, key);
    mutex_unlock(&store->lock);
    return object; /* only the caller, the writer, could end it */
}

/* Another uid under the same name is another object: the old one is gone. */
static void tell(kube_on_change on_change, void *ctx, const struct kube_object *old_object,
    const struct kube_object *new_object, bool is_initial)
{
    if (!on_change)
        return;
    if (old_object && new_object && !text_equal(old_object->uid, new_object->uid)) {
        on_change(ctx, old_object, NULL, is_initial);
        old_object = NULL;
    }
    on_change(ctx, old_object, new_object, is_initial);
}

void kube_store_put_take(struct kube_store *store, struct kube_object *object, uint64_t version,
    kube_on_change on_change, void *ctx)
{
    char key[KUBE_KEY_BYTES];
    kube_object_key(object, key);
    mutex_lock(&store->lock);
    struct kube_object *old_object = content_set_take(store, store->content, key, object);
    store->version = version;
    mutex_unlock(&store->lock);
    tell(on_change, ctx, old_object, object, false);
    kube_object_unref(old_object);
}

void kube_store_remove(
    struct kube_store *store, const char *key, uint64_t version, kube_on_change on_change, void *ctx)
{
    mutex_lock(&store->lock);
    struct kube_object *old_object = content_set_take(store, store->content, key, NULL);
    store->version = version;
    mutex_unlock(&store->lock);
    if (old_object)
        tell(on_change, ctx, old_object, NULL, false);
    kube_object_unref(old_object);
}

void kube_store_set_version(struct kube_store *store, uint64_t version)
{
    mutex_lock(&store->lock);
    store->version = version;
    mutex_unlock(&store->lock);
}

struct kube_replacement *kube_replacement_new(void)
{
    return xcalloc(1, sizeof(struct kube_replacement));
}

void kube_replacement_free(struct kube_replacement *replacement)
{
    if (!replacement)
        return;
    map_done(&replacement->objects, unref_value);
    free(replacement);
}

void kube_replacement_put_take(struct kube_replacement *replacement, struct kube_object *object)
{
    char key[KUBE_KEY_BYTES];
    kube_object_unref(map_put(&replacement->objects, kube_object_key(object, key), object));
}

void kube_replacement_remove(struct kube_replacement *replacement, const char *key)
{
    kube_object_unref(map_remove(&replacement->objects, key));
}

void kube_replacement_keep(struct kube_replacement *replacement, const char *key)
{
    kube_object_unref(map_put(&replacement->objects, key, NULL));
}

size_t kube_replacement_count(const struct kube_replacement *replacement)
{
    return map_count(&replacement->objects);
}

/* The object for the next content: what is unchanged stays the same object. */
static struct kube_object *pick(struct kube_object *known, struct kube_object *listed)
{
    if (!listed)
        return known ? kube_object_ref(known) : NULL;
    bool is_unchanged =
        known && known->resource_version == listed->resource_version && text_equal(known->uid, listed->uid);
    return kube_object_ref(is_unchanged ? known : listed);
}

void kube_store_replace_take(struct kube_store *store, struct kube_replacement *replacement, uint64_t version,
    kube_on_change on_change, void *ctx)
{
    bool is_initial = !store->is_filled;
    store->is_filled = true;
    struct content *next = content_new(store);
    mutex_lock(&store->lock);
    struct content *former = store->content; /* only this thread changes it, so it is read without the lock */
    mutex_unlock(&store->lock);
    map_for_each (item, &replacement->objects) {
        struct kube_object *object = pick(map_get(&former->objects, item.key), item.value);
        if (object)
            kube_object_unref(content_set_take(store, next, item.key, object)); /* there was none */
    }
    kube_replacement_free(replacement);
    mutex_lock(&store->lock);
    store->content = next;
    store->version = version;
    mutex_unlock(&store->lock);

    map_for_each (gone, &former->objects) {
        if (!map_has(&next->objects, gone.key))
            tell(on_change, ctx, gone.value, NULL, is_initial);
    }
    map_for_each (present, &next->objects) {
        const struct kube_object *old_object = map_get(&former->objects, present.key);
        if (old_object != present.value)
            tell(on_change, ctx, old_object, present.value, is_initial);
    }
    content_free(store, former);
}
