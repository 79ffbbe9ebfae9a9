#include "actor/names.h"

#include "actor/actor.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void names_init(struct names *names)
{
    memset(names, 0, sizeof(*names));
    mutex_init(&names->lock, 800, "names");
}

void names_done(struct names *names)
{
    vec_for_each (entry, &names->entries) {
        free((*entry)->last_reason);
        free(*entry);
    }
    vec_done(&names->entries);
    for (size_t i = 0; i < INTERN_MAX >> NAMES_CHUNK_BITS; i++)
        free(atomic_load_explicit(&names->chunks[i], memory_order_relaxed));
    mutex_done(&names->lock);
}

/* Under the lock. */
static struct name_entry *names_add(struct names *names, uint32_t name)
{
    struct name_entry *entry = names_find(names, name);
    if (entry)
        return entry;
    struct name_entry *_Atomic *chunk =
        atomic_load_explicit(&names->chunks[name >> NAMES_CHUNK_BITS], memory_order_relaxed);
    if (!chunk) {
        chunk = xcalloc(NAMES_CHUNK_ENTRIES, sizeof(*chunk));
        atomic_store_explicit(&names->chunks[name >> NAMES_CHUNK_BITS], chunk, memory_order_release);
    }
    entry = xcalloc(1, sizeof(*entry));
    entry->name = name;
    vec_push(&names->entries, entry);
    atomic_store_explicit(&chunk[name & (NAMES_CHUNK_ENTRIES - 1)], entry, memory_order_release);
    return entry;
}

uint64_t names_bind(struct names *names, const struct name_binding *binding)
{
    const char *unit = binding->unit ? intern_text(intern(binding->unit, strlen(binding->unit))) : NULL;
    mutex_lock(&names->lock);
    struct name_entry *entry = names_add(names, binding->name);
    uint64_t incarnation = ++entry->incarnation;
    entry->actor = binding->actor;
    entry->behavior = binding->behavior;
    entry->unit = unit;
    entry->epoch = binding->epoch;
    entry->state = "Starting";
    atomic_store_explicit(&entry->overloaded, false, memory_order_relaxed);
    atomic_store_explicit(&entry->present, binding->id, memory_order_release);
    mutex_unlock(&names->lock);
    return incarnation;
}

void names_unbind(
    struct names *names, uint32_t name, uint64_t id, const char *state, const char *reason, int64_t wall_ms)
{
    char *copy = xstrdup(reason);
    mutex_lock(&names->lock);
    struct name_entry *entry = names_find(names, name);
    assert(entry); /* it was bound */
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
    assert(entry); /* it was bound */
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

uint32_t names_of(struct names *names, const struct actor *actor)
{
    uint32_t name = 0;
    mutex_lock(&names->lock);
    vec_for_each (entry, &names->entries)
        if ((*entry)->actor == actor)
            name = (*entry)->name;
    mutex_unlock(&names->lock);
    return name;
}
