/* Numbers for objects of one worker that other actors and nodes may hand back later, or make up: asks and
 * timers. Built like an actor's id: generation << 32 | worker << 26 | slot. A stale number finds nothing.
 *
 * Thread: the worker that owns the table. */
#ifndef ACTOR_HANDLE_H
#define ACTOR_HANDLE_H

#include "actor/worker.h"

/* Never 0; 0 only when there are more than 64 M at once. */
uint64_t handle_new(struct worker *worker, struct handles *handles, void *object);
void *handle_find(const struct worker *worker, const struct handles *handles, uint64_t number);
void handle_free(struct handles *handles, uint64_t number);

#endif
