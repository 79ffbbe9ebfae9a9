/* node_control/exits.h: the last exits of actors, from worker threads to the control loop: bounded, oldest
 * dropped and counted when nobody takes them. Functions marked "any thread" take the queue's lock. */
#pragma once

#include "actor/system.h"
#include "base/mutex.h"
#include "base/vec.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXITS_MAX = 1000, EXITS_PER_BATCH = 250, EXIT_REASON_BYTES = 1024 };

/* A copy of struct actor_exit_report; texts are owned. */
struct exit_entry {
    char *actor, *unit, *reason, *decision, *cause;
    uint64_t epoch, incarnation;
    int64_t at_wall_ms;
};

struct exit_batch {
    VEC(struct exit_entry) entries;
    uint64_t lost;
};

struct exits {
    struct mutex lock;
    struct exit_entry ring[EXITS_MAX] GUARDED_BY(&lock);
    size_t first GUARDED_BY(&lock);
    size_t count GUARDED_BY(&lock);
    uint64_t lost GUARDED_BY(&lock);
};

void exits_init(struct exits *exits);
void exits_done(struct exits *exits);

/* Any thread. True: the queue was empty before, so somebody has to be told. */
bool exits_add(struct exits *exits, const struct actor_exit_report *report);

/* Any thread. Moves at most EXITS_PER_BATCH of them, oldest first; true when there was anything, lost ones
 * included. */
bool exits_take(struct exits *exits, struct exit_batch *ret_batch);
/* Any thread. A batch that could not be delivered is counted as lost. */
void exits_add_lost(struct exits *exits, const struct exit_batch *batch);
void exit_batch_done(struct exit_batch *batch);
