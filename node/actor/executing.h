/* Which actor's function runs on a worker now: for the watchdog, for logs, and for the handler of a crash
 * signal.
 *
 * Stores are plain on x86 (relaxed); a reader on another thread may be a message behind. */
#ifndef ACTOR_EXECUTING_H
#define ACTOR_EXECUTING_H

#include "actor/worker.h"

/* NULL: none, a turn is over. */
static inline void executing_set(struct worker *worker, struct actor *actor)
{
    atomic_store_explicit(&worker->watched.executing, actor, memory_order_relaxed);
}

/* For start and stop. Returns what executed before: of the function whose spawn called us. */
static inline struct actor *executing_begin(struct worker *worker, struct actor *actor)
{
    struct actor *before = atomic_load_explicit(&worker->watched.executing, memory_order_relaxed);
    atomic_store_explicit(&worker->watched.executing_type, 0, memory_order_relaxed);
    executing_set(worker, actor);
    return before;
}

static inline void executing_end(struct worker *worker, struct actor *before)
{
    COUNT(worker->watched.steps, 1);
    atomic_store_explicit(&worker->watched.executing_type, 0, memory_order_relaxed);
    executing_set(worker, before);
}

/* The calling thread is this worker's; NULL when it ends. */
void executing_set_thread(struct worker *worker);
struct worker *executing_thread(void);

#endif
