/* A hierarchical timing wheel for each worker: 1 ms a tick, four levels of 256. Starting and cancelling are a
 * few stores; a timer of level 1 to 3 moves down when its time comes near. A timer never fires early; late by
 * up to 1 ms, and by as long as a handler runs.
 *
 * Thread: the worker that owns the wheel. A struct timer is embedded in what it is for. */
#ifndef ACTOR_TIMER_H
#define ACTOR_TIMER_H

#include "base/list.h"

#include <stdint.h>

struct worker;
struct timer;

typedef void (*timer_fire)(struct worker *worker, struct timer *timer);

enum { WHEEL_LEVELS = 4, WHEEL_SLOTS = 256 };

struct timer {
    struct list_node node; /* unlinked: not running */
    int64_t tick;
    timer_fire fire; /* the timer is unlinked before; it may start it again, or free it */
};

struct wheel {
    int64_t tick; /* everything up to it has fired */
    uint64_t count;
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64]; /* level 0: which slots may hold timers */
};

void wheel_init(struct wheel *wheel, int64_t now_ns);
/* Not before deadline_ns. The timer is not running. */
void wheel_start(struct wheel *wheel, struct timer *timer, int64_t deadline_ns, timer_fire fire);
/* Nothing happens to a timer that does not run. */
void wheel_cancel(struct wheel *wheel, struct timer *timer);
/* Fires what is due. Returns how many fired. */
unsigned wheel_advance(struct wheel *wheel, struct worker *worker, int64_t now_ns);
/* When wheel_advance has to be called next at the latest; INT64_MAX when no timer runs. */
int64_t wheel_next_ns(const struct wheel *wheel);

#endif
