/* Timers of actors: the runtime's half of histrio_timer_start() and its like.
 *
 * Thread: the worker of the actor. */
#ifndef ACTOR_API_TIMER_H
#define ACTOR_API_TIMER_H

#include "actor/worker.h"

struct user_timer {
    struct timer timer;
    struct list_node of_actor;
    uint64_t number; /* 0: the receive timeout */
    uint64_t actor;
    uint32_t type;
    uint32_t period_ms;
};

/* The actor ended: all of its timers go. */
void api_timers_end(struct worker *worker, struct actor *actor);
void api_receive_timeout_restart(struct worker *worker, struct actor *actor);

#endif
