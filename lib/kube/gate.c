#include "kube/gate.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/mutex.h"

struct note {
    uint64_t version;
};

struct kube_gate {
    struct mutex lock;
    struct map keys GUARDED_BY(&lock); /* key -> struct map of resource -> struct note */
};

static void free_notes(void *value)
{
    struct map *notes = value;
    map_done(notes, free);
    free(notes);
}

struct kube_gate *kube_gate_new(void)
{
    struct kube_gate *gate = xcalloc(1, sizeof(*gate));
    mutex_init(&gate->lock, 310, "kube gate");
    return gate;
}

void kube_gate_free(struct kube_gate *gate)
{
    if (!gate)
        return;
    mutex_lock(&gate->lock);
    map_done(&gate->keys, free_notes);
    mutex_unlock(&gate->lock);
    mutex_done(&gate->lock);
    free(gate);
}

void kube_gate_wrote(struct kube_gate *gate, const char *resource, const char *key, uint64_t version)
{
    mutex_lock(&gate->lock);
    struct map *notes = map_get(&gate->keys, key);
    if (!notes) {
        notes = xcalloc(1, sizeof(*notes));
        (void)map_put(&gate->keys, key, notes); /* there was none */
    }
    struct note *note = map_get(notes, resource);
    if (!note) {
        note = xcalloc(1, sizeof(*note));
        (void)map_put(notes, resource, note); /* there was none */
    }
    if (note->version < version)
        note->version = version;
    mutex_unlock(&gate->lock);
}

bool kube_gate_is_fresh(struct kube_gate *gate, const char *resource, const char *key, uint64_t cache_version)
{
    mutex_lock(&gate->lock);
    struct map *notes = map_get(&gate->keys, key);
    const struct note *note = notes ? map_get(notes, resource) : NULL;
    bool is_fresh = !note || note->version <= cache_version;
    if (note && is_fresh) {
        free(map_remove(notes, resource));
        if (map_count(notes) == 0)
            free_notes(map_remove(&gate->keys, key));
    }
    mutex_unlock(&gate->lock);
    return is_fresh;
}

void kube_gate_forget(struct kube_gate *gate, const char *key)
{
    mutex_lock(&gate->lock);
    struct map *notes = map_remove(&gate->keys, key);
    mutex_unlock(&gate->lock);
    if (notes)
        free_notes(notes);
}

size_t kube_gate_count(struct kube_gate *gate)
{
    mutex_lock(&gate->lock);
    size_t count = 0;
    map_for_each (item, &gate->keys)
        count += map_count(item.value);
    mutex_unlock(&gate->lock);
    return count;
}
