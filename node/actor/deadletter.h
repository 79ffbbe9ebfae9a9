/* Messages that reach nobody: counted exactly, logged at a limited rate (the first few of each interval, then
 * one line with how many more there were).
 *
 * Thread: the worker. */
#ifndef ACTOR_DEADLETTER_H
#define ACTOR_DEADLETTER_H

#include "actor/worker.h"

enum { DEADLETTER_LOGGED_MAX = 10 };
#define DEADLETTER_WINDOW_NS (60 * NS_PER_S)

/* The message stays the caller's. */
void deadletter(struct worker *worker, const struct message *message, enum histrio_error why);
/* At a quiet moment: says how many were not logged in the interval that has passed. */
void deadletter_tick(struct worker *worker);

#endif
