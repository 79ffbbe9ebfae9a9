#include "actor/names.h"

#include "actor/actor.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BITS = 10, CHUNK_ENTRIES = 1 << CHUNK_BITS };

void names_init(struct names *names)
{
    memset(names, 0, sizeof(*names));
    mutex_init(&names->lock, 800, "names");
}

void names_done(struct names *names)
{
    vec_for_each (entry, &names->entries) {
        free((*entry)->unit);
        free((*entry)->last_reason);
        free(*entry);
    }
    vec_done(&names->entries);
    for (size_t i = 0; i < INTERN_MAX >> CHUNK_BITS; i++)
        free(atomic_load_explicit(&names->chunks[i], memory_order_relaxed));
    mutex_done(&names->lock);
}

struct name_entry *names_find(const struct names *names, uint32_t name)
{
    if (name >= INTERN_MAX)
        return NULL;
    struct name_entry *_Atomic *chunk =
        atomic_load_explicit(&names->chunks[name >> CHUNK_BITS], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk[name & (CHUNK_ENTRIES - 1)], memory_order_acquire) : NULL;
}

uint64_t names_present(const struct names *names, uint32_t name)
{
    const struct name_entry *entry = names_find(names, name);
    return entry ? atomic_load_explicit(&entry->present, memory_order_acquire) : 0;
}

/* Under the lock. */
static struct name_entry *names_add(struct names *names, uint32_t name)
{
    struct name_entry *entry = names_find(names, name);
    if (entry)
        return entry;
    struct name_entry *_Atomic *chunk =
        atomic_load_explicit(&names->chunks[name >> CHUNK_BITS], memory_order_relaxed);
    if (!chunk) {
        chunk = xcalloc(CHUNK_ENTRIES, sizeof(*chunk));
        atomic_store_explicit(&names->chunks[name >> CHUNK_BITS], chunk, memory_order_release);
    }
    entry = xcalloc(1, sizeof(*entry));
    entry->name = name;
    vec_push(&names->entries, entry);
    atomic_store_explicit(&chunk[name & (CHUNK_ENTRIES - 1)], entry, memory_order_release);
    return entry;
}

uint64_t names_bind(struct names *names, const struct name_binding *binding)
{
    char *unit = binding->unit ? xstrdup(binding->unit) : NULL;
    mutex_lock(&names->lock);
    struct name_entry *entry = names_add(names, binding->name);
    uint64_t incarnation = ++entry->incarnation;
    entry->actor = binding->actor;
    entry->behavior = binding->behavior;
    char *former = entry->unit;
    entry->unit = unit;
    entry->epoch = binding->epoch;
    entry->state = "Starting";
    atomic_store_explicit(&entry->overloaded, false, memory_order_relaxed);
    atomic_store_explicit(&entry->present, binding->id, memory_order_release);
    mutex_unlock(&names->lock);
    free(former);
    return incarnation;
}

void names_unbind(
    struct names *names, uint32_t name, uint64_t id, const char *state, const char *reason, int64_t wall_ms)
{
    char *copy = xstrdup(reason);
    mutex_lock(&names->lock);
    struct name_entry *entry = names_find(names, name);
    char *former = entry->last_reason;
    entry->last_reason = copy;
    entry->last_exit_wall_ms = wall_ms;
    entry->state = state;
    if (id == 0)
        entry->actor = NULL;
    atomic_store_explicit(&entry->present, id, memory_order_release);
    mutex_unlock(&names->lock);
    free(former);
}

void names_release(struct names *names, uint32_t name)
{
    mutex_lock(&names->lock);
    struct name_entry *entry = names_find(names, name);
    entry->state = NULL;
    entry->actor = NULL;
    atomic_store_explicit(&entry->present, 0, memory_order_release);
    mutex_unlock(&names->lock);
}

void names_set_state(struct names *names, uint32_t name, const char *state)
{
    mutex_lock(&names->lock);
    struct name_entry *entry = names_find(names, name);
    if (entry)
        entry->state = state;
    mutex_unlock(&names->lock);
}

uint64_t names_incarnation(struct names *names, uint32_t name)
{
    mutex_lock(&names->lock);
    const struct name_entry *entry = names_find(names, name);
    uint64_t incarnation = entry ? entry->incarnation : 1;
    mutex_unlock(&names->lock);
    return incarnation;
}
