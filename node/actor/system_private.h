/* The system's inside, for the files of this module. */
#ifndef ACTOR_SYSTEM_PRIVATE_H
#define ACTOR_SYSTEM_PRIVATE_H

#include "actor/names.h"
#include "actor/unit.h"
#include "actor/worker.h"
#include "capi/library.h"

struct watchdog;

struct actor_system {
    struct actor_system_config config;
    char *name; /* of the system */
    struct clock *clock;
    struct worker *workers;
    unsigned worker_count;
    _Atomic bool suspended; /* relaxed: takes effect soon, orders nothing */
    _Atomic bool stopping;
    struct names names;
    struct libraries libraries;
    struct units units;
    struct watchdog *watchdog;
    int64_t counted_at_ns;    /* the last look at the counters; guarded by names.lock */
    uint64_t counted_idle_ns; /* of all workers until then; as well */
};

/* The parts of actor_system_new() and actor_system_free() without threads: the simulator's. */
struct actor_system *system_new(const struct actor_system_config *config);
void system_done(struct actor_system *system);
/* Runs job on a worker. Any thread. */
void system_post_job(struct actor_system *system, unsigned worker, uint64_t target, message_job job);

#endif
