/* Where the simulator looks into the runtime: in the build for simulations (HISTRIO_SIM) each of these points
 * may switch to another logical worker, waiting and waking go to the simulator's scheduler, and mutants break
 * a rule on purpose. In production all of it is nothing. */
#ifndef ACTOR_SIM_HOOKS_H
#define ACTOR_SIM_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

enum actor_mutant {
    MUTANT_NONE,
    MUTANT_BROKEN_FIFO,    /* an outbox is sent off in the wrong order now and then */
    MUTANT_LOST_WAKEUP,    /* a parking worker does not look at its inbox again */
    MUTANT_RESTART_WINDOW, /* supervisors forget restarts too early */
    MUTANT_DOUBLE_DOWN,    /* a monitor is not taken out when it fires */
    MUTANT_LOST_REPLY,     /* a dead actor's asks are not answered */
};

#ifdef HISTRIO_SIM
void sim_yield(struct worker *worker);
void sim_wait(struct worker *worker, int64_t until_ns);
void sim_wake(struct worker *worker);
bool sim_mutant(enum actor_mutant mutant);
#define SIM_YIELD(worker) sim_yield(worker)
#define SIM_MUTANT(mutant) sim_mutant(mutant)
#else
#define SIM_YIELD(worker) ((void)0)
#define SIM_MUTANT(mutant) false
#endif

#endif
