/* Which actor has a name now. An entry is made when a name is first bound and stays; the texts are interned.
 *
 * Thread: names_present() and the overload flag: any, without a lock. The rest of an entry is guarded by the
 * table's lock; binding and unbinding are done by the worker of the actor. */
#ifndef ACTOR_NAMES_H
#define ACTOR_NAMES_H

#include "actor/system.h"
#include "base/mutex.h"
#include "base/vec.h"
#include "capi/intern.h"

#include <stdatomic.h>

struct actor;

enum { NAMES_CHUNK_BITS = 10, NAMES_CHUNK_ENTRIES = 1 << NAMES_CHUNK_BITS };

struct name_entry {
    /* Present id: stored with release when the slot is ready, loaded with acquire by senders; 0: nobody. Of a
     * held name it is the id of the slot, where the mailbox goes on. */
    _Atomic uint64_t present;
    _Atomic bool overloaded; /* relaxed: a hint for senders that cannot be muted */
    /* guarded by names.lock */
    uint32_t name;
    uint64_t incarnation;
    const struct actor *actor; /* its slot; slots are never given back */
    const char *behavior;
    const char *unit; /* interned; NULL: none */
    uint64_t epoch;
    const char *state;
    char *last_reason;
    int64_t last_exit_wall_ms;
};

struct names {
    struct mutex lock;
    struct name_entry *_Atomic *_Atomic chunks[INTERN_MAX >> NAMES_CHUNK_BITS];
    VEC(struct name_entry *) entries GUARDED_BY(&lock);
};

void names_init(struct names *names);
void names_done(struct names *names);

/* The entry of a name, NULL when it was never bound. Any thread. */
static inline struct name_entry *names_find(const struct names *names, uint32_t name)
{
    if (name >= INTERN_MAX)
        return NULL;
    struct name_entry *_Atomic *chunk =
        atomic_load_explicit(&names->chunks[name >> NAMES_CHUNK_BITS], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk[name & (NAMES_CHUNK_ENTRIES - 1)], memory_order_acquire)
                 : NULL;
}

/* The actor that has the name now, 0: nobody. Any thread. */
static inline uint64_t names_present(const struct names *names, uint32_t name)
{
    const struct name_entry *entry = names_find(names, name);
    return entry ? atomic_load_explicit(&entry->present, memory_order_acquire) : 0;
}

struct name_binding {
    uint32_t name;
    uint64_t id;
    const struct actor *actor;
    const char *behavior;
    const char *unit;
    uint64_t epoch;
};
/* Gives the name its next incarnation, whose number is returned; in state "Starting". */
uint64_t names_bind(struct names *names, const struct name_binding *binding);
/* The actor ended. `id`: what senders find from now on, 0 or the held slot. */
void names_unbind(
    struct names *names, uint32_t name, uint64_t id, const char *state, const char *reason, int64_t wall_ms);
/* The name is gone for good: not listed any more, unless it is bound again. */
void names_release(struct names *names, uint32_t name);
void names_set_state(struct names *names, uint32_t name, const char *state);
uint64_t names_incarnation(struct names *names, uint32_t name);
/* The name that the slot has, 0: none. Any thread; looks at all of them. */
uint32_t names_of(struct names *names, const struct actor *actor);

#endif
