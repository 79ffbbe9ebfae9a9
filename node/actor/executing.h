/* Which actor's function runs on a worker now: for the watchdog, for logs, and for the handler of a crash
 * signal.
 *
 * Stores are plain on x86 (relaxed); a reader on another thread may be a message behind. */
#ifndef ACTOR_EXECUTING_H
#define ACTOR_EXECUTING_H

#include "actor/worker.h"

/* Returns what executed before: of the function whose spawn called us. */
static inline struct actor *executing_begin(struct worker *worker, struct actor *actor, uint32_t type)
{
    struct actor *before = atomic_load_explicit(&worker->watched.executing, memory_order_relaxed);
    atomic_store_explicit(&worker->watched.executing_type, type, memory_order_relaxed);
    atomic_store_explicit(&worker->watched.executing_name, actor->name, memory_order_relaxed);
    atomic_store_explicit(&worker->watched.executing, actor, memory_order_relaxed);
    return before;
}

static inline void executing_end(struct worker *worker, struct actor *before)
{
    COUNT(worker->watched.steps, 1);
    if (before)
        (void)executing_begin(worker, before, 0);
    else
        atomic_store_explicit(&worker->watched.executing, NULL, memory_order_relaxed);
}

/* The calling thread is this worker's; NULL when it ends. */
void executing_set_thread(struct worker *worker);
struct worker *executing_thread(void);

#endif
