#include "scheduler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "actor/system_private.h"
#include "base/mem.h"

enum { STACK_BYTES = 1024 * 1024, TIME_STEP_NS = 2000, STEPS_MAX = 5000000 };
/* A fiber for each worker of each node, and these. */
enum { DRIVER = SIM_NODES_MAX * SIM_WORKERS_MAX, NETWORK, FIBERS };

enum fiber_state { FIBER_ENDED, FIBER_READY, FIBER_WAITING };

struct fiber {
    ucontext_t context;
    void *stack;
    enum fiber_state state;
    int64_t until_ns;     /* of FIBER_WAITING; INT64_MAX: no time */
    bool waits_for_quiet; /* the driver */
    bool was_quiet;
};

static struct {
    struct sim_config config;
    struct actor_system *systems[SIM_NODES_MAX];
    struct clock_virtual clock;
    struct rng rng;
    unsigned stickiness; /* one in so many yields switches */
    struct fiber fibers[FIBERS];
    int current; /* -1: the scheduler itself */
    ucontext_t scheduler;
    uint64_t steps;
    void (*driver)(void *ctx);
    void *driver_ctx;
    char violation[512];
} sim = {.current = -1};

struct rng *sim_rng(void)
{
    return &sim.rng;
}

int64_t sim_now_ns(void)
{
    return clock_now_ns(&sim.clock.clock);
}

uint64_t sim_steps(void)
{
    return sim.steps;
}

void sim_violation(const char *fmt, ...)
{
    if (sim.violation[0] != '\0')
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sim.violation, sizeof(sim.violation), fmt, args); /* a longer one is cut */
    va_end(args);
}

const char *sim_violated(void)
{
    return sim.violation[0] != '\0' ? sim.violation : NULL;
}

/* ---- what the runtime calls ---- */

static void switch_to_scheduler(void)
{
    struct fiber *fiber = &sim.fibers[sim.current];
    (void)swapcontext(
        &fiber->context, &sim.scheduler); /* fails only without memory for a stack, which it has */
}

void sim_yield(struct worker *worker)
{
    (void)worker;
    if (sim.current < 0)
        return; /* before and after the run */
    clock_virtual_advance(&sim.clock, (int64_t)rng_below(&sim.rng, TIME_STEP_NS));
    if (rng_one_in(&sim.rng, sim.stickiness))
        switch_to_scheduler();
}

static void wait_until(int64_t until_ns)
{
    struct fiber *fiber = &sim.fibers[sim.current];
    fiber->state = FIBER_WAITING;
    fiber->until_ns = until_ns;
    switch_to_scheduler();
}

/* As a futex: does not sleep when it was woken before. */
void sim_wait(struct worker *worker, int64_t until_ns)
{
    if (atomic_load_explicit(&worker->shared.parked, memory_order_seq_cst) != 0)
        wait_until(until_ns);
}

static void wake(struct fiber *fiber)
{
    if (fiber->state == FIBER_WAITING)
        fiber->state = FIBER_READY;
}

static struct fiber *fiber_of(unsigned node, unsigned worker)
{
    return &sim.fibers[node * SIM_WORKERS_MAX + worker];
}

void sim_wake(struct worker *worker)
{
    wake(fiber_of((unsigned)(worker->node_uid - SIM_NODE_UID), worker->number));
}

bool sim_kill_node(unsigned node)
{
    for (unsigned i = 0; i < sim.config.worker_count; i++) {
        if (fiber_of(node, i)->state != FIBER_WAITING)
            return false;
    }
    for (unsigned i = 0; i < sim.config.worker_count; i++)
        fiber_of(node, i)->state = FIBER_ENDED;
    return true;
}

void sim_network_wake(void)
{
    wake(&sim.fibers[NETWORK]);
}

bool sim_mutant(enum actor_mutant mutant)
{
    return sim.config.mutant == mutant;
}

void sim_pause(int64_t ns)
{
    wait_until(sim_now_ns() + ns);
}

bool sim_wait_quiet(int64_t limit_ns)
{
    struct fiber *driver = &sim.fibers[DRIVER];
    driver->waits_for_quiet = true;
    wait_until(sim_now_ns() + limit_ns);
    driver->waits_for_quiet = false;
    return driver->was_quiet;
}

/* ---- the scheduler ---- */

/* Everybody waits: nothing that was posted may be lying in an inbox, or a wake-up was lost. */
static void check_inboxes(void)
{
    for (unsigned i = 0; i < sim.config.node_count * sim.config.worker_count; i++) {
        unsigned node = i / sim.config.worker_count, number = i % sim.config.worker_count;
        const struct worker *worker = &sim.systems[node]->workers[number];
        if (fiber_of(node, number)->state == FIBER_WAITING &&
            atomic_load_explicit(&worker->shared.inbox, memory_order_relaxed))
            sim_violation("worker %u sleeps, and its inbox is not empty: a wake-up was lost", number);
    }
}

/* Nobody is ready: time goes on to who waits the shortest. The driver's own limit counts when nobody else has
 * one: then everything is quiet. */
static void move_time(void)
{
    int64_t next_ns = INT64_MAX;
    struct fiber *driver = &sim.fibers[DRIVER];
    check_inboxes();
    for (unsigned i = 0; i < FIBERS; i++) {
        const struct fiber *fiber = &sim.fibers[i];
        bool counts = fiber->state == FIBER_WAITING && !(i == DRIVER && fiber->waits_for_quiet);
        if (counts && fiber->until_ns < next_ns)
            next_ns = fiber->until_ns;
    }
    if (driver->state == FIBER_WAITING && driver->waits_for_quiet &&
        (next_ns == INT64_MAX || next_ns > driver->until_ns)) {
        driver->was_quiet = next_ns == INT64_MAX;
        driver->state = FIBER_READY;
        return;
    }
    if (next_ns > sim_now_ns())
        clock_virtual_advance(&sim.clock, next_ns - sim_now_ns());
    for (unsigned i = 0; i < FIBERS; i++) {
        struct fiber *fiber = &sim.fibers[i];
        if (fiber->state == FIBER_WAITING && !fiber->waits_for_quiet && fiber->until_ns <= sim_now_ns())
            fiber->state = FIBER_READY;
    }
}

static void run_one(void)
{
    unsigned ready[FIBERS], count = 0;
    for (unsigned i = 0; i < FIBERS; i++) {
        struct fiber *fiber = &sim.fibers[i];
        if (fiber->state == FIBER_WAITING && !fiber->waits_for_quiet && fiber->until_ns <= sim_now_ns())
            fiber->state = FIBER_READY; /* its time came while others ran */
        if (fiber->state == FIBER_READY)
            ready[count++] = i;
    }
    if (count == 0) {
        move_time();
        return;
    }
    sim.current = (int)ready[rng_below(&sim.rng, count)];
    sim.steps++;
    (void)swapcontext(&sim.scheduler, &sim.fibers[sim.current].context); /* as above */
    sim.current = -1;
}

static void worker_fiber(unsigned node, unsigned number)
{
    worker_run(&sim.systems[node]->workers[number]);
    fiber_of(node, number)->state = FIBER_ENDED;
}

static void driver_fiber(void)
{
    sim.driver(sim.driver_ctx);
    sim.fibers[DRIVER].state = FIBER_ENDED;
}

static void network_fiber(void)
{
    for (;;) { /* left where it waits when the driver has ended */
        int64_t due_ns = sim.config.network.next_ns();
        if (due_ns > sim_now_ns())
            wait_until(due_ns);
        else
            sim.config.network.deliver();
    }
}

static void fiber_init(struct fiber *fiber)
{
    if (!fiber->stack) {
        fiber->stack = mmap(
            NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (fiber->stack == MAP_FAILED)
            abort();
    }
    (void)getcontext(&fiber->context); /* never fails on Linux */
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = &sim.scheduler;
    fiber->state = FIBER_READY;
    fiber->waits_for_quiet = false;
}

void sim_begin(const struct sim_config *config)
{
    sim.config = *config;
    rng_seed(&sim.rng, config->seed);
    sim.violation[0] = '\0';
    sim.steps = 0;
    static const unsigned stickiness[] = {1, 2, 4, 16}; /* long runs find other things than wild switching */
    sim.stickiness = stickiness[rng_below(&sim.rng, 4)];
    clock_virtual_init(&sim.clock, NS_PER_S, 0);
    for (unsigned node = 0; node < config->node_count; node++) {
        struct actor_system_config system = {
            .node_uid = SIM_NODE_UID + node,
            .system = "sim",
            .worker_count = config->worker_count,
            .clock = &sim.clock.clock,
            .seed = config->seed + node,
            .events = config->events,
            .outbound = config->outbound,
        };
        system.outbound.ctx = (void *)(uintptr_t)node;
        sim.systems[node] = system_new(&system);
    }
}

struct actor_system *sim_system(unsigned node)
{
    return sim.systems[node];
}

void sim_run(void (*driver)(void *ctx), void *ctx)
{
    sim.driver = driver;
    sim.driver_ctx = ctx;
    for (unsigned node = 0; node < sim.config.node_count; node++) {
        for (unsigned i = 0; i < sim.config.worker_count; i++) {
            fiber_init(fiber_of(node, i));
            makecontext(&fiber_of(node, i)->context, (void (*)(void))(uintptr_t)worker_fiber, 2, node, i);
        }
    }
    fiber_init(&sim.fibers[DRIVER]);
    makecontext(&sim.fibers[DRIVER].context, driver_fiber, 0);
    fiber_init(&sim.fibers[NETWORK]);
    makecontext(&sim.fibers[NETWORK].context, network_fiber, 0);
    while (sim.fibers[DRIVER].state != FIBER_ENDED && !sim_violated()) {
        run_one();
        if (sim.steps > STEPS_MAX)
            sim_violation("no end after %d steps", (int)STEPS_MAX);
    }
}

void sim_end(void)
{
    /* The workers' coroutines are left where they wait: inside of worker_park(), which holds nothing. */
    for (unsigned node = 0; node < sim.config.node_count; node++)
        system_done(sim.systems[node]);
    for (unsigned i = 0; i < FIBERS; i++)
        sim.fibers[i].state = FIBER_ENDED;
}
