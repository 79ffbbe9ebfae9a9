/* Units: what is started and stopped as a whole. Each lives on one worker, with all of its actors.
 *
 * The table is guarded by its lock; a unit's other fields belong to its worker, `name`, `spec` and `epoch`
 * never change. A unit is in the table from actor_system_unit_start() until it was reported UNIT_FAILED or
 * UNIT_STOPPED. */
#ifndef ACTOR_UNIT_H
#define ACTOR_UNIT_H

#include "actor/behavior.h"
#include "base/map.h"
#include "base/mutex.h"

struct worker;

struct actor_unit {
    struct actor_unit_spec *spec; /* a deep copy */
    uint64_t epoch;
    unsigned worker;
    uint64_t root;     /* actor id; 0: not started, or ended */
    uint32_t actors;   /* alive */
    uint32_t starting; /* hosted actors that have yet to run for the first time, or are given up */
    bool is_running;   /* was reported */
    bool has_started;
    bool has_ended;   /* the root did, or never began */
    bool is_stopping; /* on request */
    char *reason;     /* of the end */
    bool has_failed;
};

struct units {
    struct mutex lock;
    struct condition changed;
    struct map by_name GUARDED_BY(&lock);
    unsigned next_worker GUARDED_BY(&lock);
    struct map homes GUARDED_BY(
        &lock); /* unit name -> worker + 1: a unit comes back to the worker that it was on */
};

void units_init(struct units *units);
void units_done(struct units *units);

static inline const char *unit_name(const struct actor_unit *unit)
{
    return unit->spec->name;
}

/* On the unit's worker: an actor of the unit ended; unit->actors is already lower. May free the unit. */
void unit_actor_ended(struct worker *worker, struct actor_unit *unit, uint64_t id, const char *reason);
/* Reports UNIT_RUNNING when the last one that it waits for has started. */
void unit_check_running(struct worker *worker, struct actor_unit *unit);
/* Asks all units to stop, last started first, and waits until they have. False when time ran out. Any thread
 * but a worker's. */
bool units_stop_all(struct actor_system *system, uint32_t timeout_ms);

#endif
