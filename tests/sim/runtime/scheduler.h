/* The deterministic scheduler: the node runtime itself, compiled with HISTRIO_SIM, but its workers are
 * coroutines of one thread, and a seeded generator picks who goes on at every point where threads could
 * interleave (SIM_YIELD), at parking and at waking. Time is virtual: it moves when everybody waits, and a
 * little, by chance, while they run.
 *
 * Beside the workers there is the driver: the thread outside of the runtime that starts units and sends from
 * there. */
#ifndef SIM_RUNTIME_SCHEDULER_H
#define SIM_RUNTIME_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/sim_hooks.h"
#include "actor/system.h"
#include "base/clock.h"
#include "base/rng.h"

enum { SIM_NODES_MAX = 2, SIM_WORKERS_MAX = 4, SIM_NODE_UID = 0x51 /* of the first node */ };

/* What carries messages between nodes: a coroutine, too. */
struct sim_network {
    int64_t (*next_ns)(void); /* when the next one is due; INT64_MAX: nothing is on its way */
    void (*deliver)(void);    /* that one */
};

struct sim_config {
    uint64_t seed;
    unsigned node_count, worker_count;
    enum actor_mutant mutant;
    struct actor_events events;
    struct actor_outbound outbound; /* ctx becomes the number of the node */
    struct sim_network network;
};

/* Only one simulation at a time. The workers begin to run in sim_run(). */
void sim_begin(const struct sim_config *config);
struct actor_system *sim_system(unsigned node);
/* Runs the driver and the workers until the driver has returned. */
void sim_run(void (*driver)(void *ctx), void *ctx);
void sim_end(void);
/* The node's process is gone from here on, at a moment when all its workers sleep; false: they do not. */
bool sim_kill_node(unsigned node);
/* Something was given to the network. */
void sim_network_wake(void);

/* For the driver: lets others run for so long, or until nothing is left to do (true), at most `limit_ns`. */
void sim_pause(int64_t ns);
bool sim_wait_quiet(int64_t limit_ns);
/* Any choice of the simulated world comes from here. */
struct rng *sim_rng(void);
int64_t sim_now_ns(void);
uint64_t sim_steps(void);

/* A rule is broken: prints it with the seed. The first one counts. */
__attribute__((format(printf, 1, 2))) void sim_violation(const char *fmt, ...);
/* NULL: none so far. */
const char *sim_violated(void);

#endif
