#include "actor/worker.h"

#include "actor/ask.h"
#include "actor/clerk.h"
#include "actor/deadletter.h"
#include "actor/executing.h"
#include "actor/handling.h"
#include "actor/hosted.h"
#include "actor/life.h"
#include "actor/outbox.h"
#include "actor/pressure.h"
#include "actor/send.h"
#include "actor/system_private.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

int64_t worker_now(struct worker *worker)
{
    worker->now_ns = clock_now_ns(worker->system->clock);
    return worker->now_ns;
}

struct message *message_new_large(struct worker *worker, size_t size)
{
    struct message *message = message_new_outside(size);
    message->owner = (uint8_t)worker->number;
    return message;
}

struct message *message_new_text(struct worker *worker, const char *text)
{
    size_t size = strlen(text);
    struct message *message = message_new(worker, size + 1);
    memcpy(message->data, text, size + 1);
    message->size = (uint32_t)size;
    return message;
}

void worker_init(struct worker *worker, struct actor_system *system, unsigned number)
{
    memset(worker, 0, sizeof(*worker));
    worker->system = system;
    worker->number = number;
    worker->worker_count = system->worker_count;
    worker->peers = system->workers;
    struct message plain = {
        .kind = HISTRIO_TELL, .flags = MESSAGE_COUNTS | MESSAGE_PLAIN, .class = 0, .owner = (uint8_t)number};
    worker->plain_head = plain.head;
    worker->node_uid = system->config.node_uid;
    worker->hosting = number == 0 ? system->config.hosting : NULL;
    worker->outboxes = xcalloc(system->worker_count, sizeof(*worker->outboxes));
    worker->returns = xcalloc(system->worker_count, sizeof(*worker->returns));
    rng_seed(&worker->rng, system->config.seed + number * UINT64_C(0x9e3779b97f4a7c15));
    wheel_init(&worker->wheel, worker_now(worker));
    clerk_start(worker);
}

static void free_messages(struct worker *worker, struct message *message)
{
    while (message) {
        struct message *next = message->next;
        if (message->class == SLAB_HEAP)
            message_free_heap(message);
        message = next;
    }
    (void)worker; /* the rest goes with the slabs */
}

void worker_drop_messages(struct worker *worker)
{
    ask_drop_all(worker);
    free_messages(worker, atomic_load_explicit(&worker->shared.inbox, memory_order_relaxed));
    for (unsigned i = 0; i < worker->worker_count; i++)
        free_messages(worker, worker->outboxes[i].newest);
    for (uint32_t slot = 0; slot < worker->slot_end; slot++)
        free_messages(worker, registry_slot(worker, slot)->first);
}

void worker_done(struct worker *worker)
{
    for (uint32_t slot = 0; slot < worker->slot_end; slot++) {
        struct actor *actor = registry_slot(worker, slot);
        if (actor->state)
            slab_release(&worker->slab, actor->state, actor->behavior->state_size);
        hosted_forget_kept(worker, actor);
        actor_tables_free(worker, actor);
    }
    vec_for_each (chunk, &worker->chunks)
        (void)munmap(*chunk, sizeof(struct actor) * REGISTRY_CHUNK_ACTORS); /* ours: cannot fail */
    vec_done(&worker->chunks);
    vec_done(&worker->remote_watchers);
    vec_done(&worker->route_waiters);
    vec_for_each (slot, &worker->timers.slots)
        (void)slot;
    vec_done(&worker->asks.slots);
    vec_done(&worker->timers.slots);
    free(worker->outboxes);
    free(worker->returns);
    slab_done(&worker->slab);
}

/* ---- turns ---- */

/* Of an actor that ended, waits, or has waiters. */
static __attribute__((noinline)) void turn_end_special(
    struct worker *worker, struct actor *actor, bool is_linked)
{
    if ((actor->flags & ACTOR_OVERLOADED) != 0)
        pressure_check(worker, actor);
    if (is_linked)
        return; /* its place in the run queue brings it on again */
    actor->flags &= ~(uint32_t)ACTOR_QUEUED;
    if ((actor->flags & (ACTOR_ALIVE | ACTOR_HELD)) == 0)
        registry_give_back(worker, actor);
    else
        worker_schedule(worker, actor);
}

/* Exits that wait come before messages. True when the actor ended. */
static bool turn_exit(struct worker *worker, struct actor *actor)
{
    if ((actor->flags & ACTOR_EXITING) == 0)
        return false;
    life_end(worker, actor, actor->side->exit_reason, NULL);
    return true;
}

/* What messages left besides the plain case; twice is once. True when the actor handles no other one now. */
static __attribute__((noinline)) bool turn_after_special(
    struct worker *worker, struct actor *actor, struct handling *handling)
{
    if ((actor->flags & ACTOR_REASONED) != 0) {
        actor->flags &= ~(uint32_t)ACTOR_REASONED;
        free(handling->ctx.fail_reason);
        handling->ctx.fail_reason = NULL;
    }
    if ((actor->flags & ACTOR_TIMES_OUT) != 0)
        api_receive_timeout_restart(worker, actor);
    return (actor->flags & ACTOR_ALIVE) == 0 || turn_exit(worker, actor) ||
           (actor->flags & (ACTOR_MUTED | ACTOR_PAUSED)) != 0;
}

/* What a turn is not over with after one message. */
enum {
    TURN_SPECIAL = ACTOR_ALIVE | ACTOR_EXITING | ACTOR_MUTED | ACTOR_PAUSED | ACTOR_TIMES_OUT | ACTOR_REASONED
};

/* The second message of a turn and those behind it, `count` of them. */
static __attribute__((noinline)) void turn_rest(
    struct worker *worker, struct actor *actor, struct handling *handling, uint32_t count)
{
    int64_t started_ns = 0;
    for (uint32_t handled = 1; handled <= count; handled++) {
        if (__builtin_expect((actor->flags & TURN_SPECIAL) != ACTOR_ALIVE, 0) &&
            turn_after_special(worker, actor, handling))
            return;
        if (handled % TURN_CHECK_MESSAGES == 0) {
            if (started_ns == 0)
                started_ns = worker_now(worker); /* short turns do not look at the clock at all */
            else if (worker_now(worker) - started_ns > TURN_NS_MAX)
                return;
        }
        struct message *message = mailbox_take(actor, actor_depth(actor));
        if (!message)
            return; /* some were taken out meanwhile */
        handle_message(worker, actor, handling, message);
    }
}

/* is_linked: it is still in the run queue. Inlined into its two callers: entering and leaving it for each
 * turn of one message cost a tenth of all instructions. */
static inline __attribute__((always_inline)) void turn(
    struct worker *worker, struct actor *actor, struct handling *handling, bool is_linked)
{
    enum { BEFORE = ACTOR_ALIVE | ACTOR_QUEUED | ACTOR_EXITING | ACTOR_MUTED | ACTOR_PAUSED };
    uint32_t flags = actor->flags;
    if (__builtin_expect((flags & BEFORE) != (ACTOR_ALIVE | ACTOR_QUEUED), 0)) {
        assert((flags & ACTOR_QUEUED) != 0);
        if ((flags & ACTOR_ALIVE) == 0 || turn_exit(worker, actor) ||
            (flags & (ACTOR_MUTED | ACTOR_PAUSED)) != 0) {
            turn_end_special(worker, actor, is_linked);
            return;
        }
    }
    handling->ctx.actor = actor;
    executing_set(worker, actor);
    /* What is in the mailbox now, and no more: what the actor sends itself waits for the next turn. */
    uint32_t count = actor_depth(actor);
    struct message *message = mailbox_take(actor, count);
    if (message) {
        handle_message(worker, actor, handling, message);
        if (count > 1)
            turn_rest(worker, actor, handling, count - 1);
    }
    flags = actor->flags;
    if (__builtin_expect((flags & (TURN_SPECIAL | ACTOR_OVERLOADED)) != ACTOR_ALIVE || is_linked, 0)) {
        if (message)
            (void)turn_after_special(worker, actor, handling); /* the turn is over in any case */
        executing_set(worker, NULL);
        turn_end_special(worker, actor, is_linked);
        return;
    }
    executing_set(worker, NULL);
    if (actor->first)
        runqueue_push(worker, actor);
    else
        actor->flags = flags & ~(uint32_t)ACTOR_QUEUED;
}

/* ---- the loop ---- */

static bool drain_inbox(struct worker *worker)
{
    struct message *message = inbox_take(worker);
    if (!message)
        return false;
    SIM_YIELD(worker);
    while (message) {
        struct message *next = message->next;
        if (next)
            __builtin_prefetch(next);
        send_arrived(worker, message);
        message = next;
    }
    return true;
}

static bool is_suspended(const struct worker *worker)
{
    return atomic_load_explicit(&worker->suspended, memory_order_relaxed);
}

/* A receiver that was flooded gets its turn at once, while what it got is in the cache, and not after all of
 * its senders. It keeps its place in the run queue. */
static __attribute__((noinline)) void run_urgent(struct worker *worker, struct handling *handling)
{
    struct actor *actor = worker->urgent;
    worker->urgent = NULL;
    if ((actor->flags & ACTOR_QUEUED) != 0)
        turn(worker, actor, handling, true);
}

/* At most `count` turns. False when there was nothing more to do. */
static inline bool run_some(struct worker *worker, struct handling *handling, unsigned count)
{
    for (; count > 0; count--) {
        struct actor *actor = worker->run_first;
        if (!actor || is_suspended(worker))
            return false;
        if (__builtin_expect(worker->urgent != NULL, 0)) {
            run_urgent(worker, handling);
        } else {
            worker->run_first = actor->next;
            turn(worker, actor, handling, false);
        }
        SIM_YIELD(worker);
    }
    return true;
}

static bool run_turns(struct worker *worker)
{
    bool any = worker->run_first && !is_suspended(worker);
    struct handling handling;
    handling_init(&handling, worker);
    for (unsigned turns = 0; turns < TURNS_BETWEEN_POLLS; turns += TURNS_BETWEEN_FLUSHES) {
        if (!run_some(worker, &handling, TURNS_BETWEEN_FLUSHES))
            break;
        if (worker->pending_outboxes)
            (void)outbox_flush_all(worker);
    }
    worker->urgent = NULL; /* perhaps no longer in the run queue when we are back */
    return any;
}

bool worker_step(struct worker *worker)
{
    bool any = run_turns(worker);
    any |= outbox_flush_all(worker);
    SIM_YIELD(worker);
    returns_collect(worker);
    any |= drain_inbox(worker);
    int64_t now_ns = worker_now(worker);
    if (worker->wheel.count > 0 && !is_suspended(worker)) {
        unsigned fired = wheel_advance(&worker->wheel, worker, now_ns);
        COUNT(worker->counters.timers_fired, fired);
        any |= fired > 0;
    }
    if (worker->hosting)
        any |= worker->hosting->poll(worker->hosting->ctx, worker, !any && !worker->run_first);
    return any;
}

#ifndef HISTRIO_SIM
static bool spin_once(struct worker *worker)
{
    int64_t until_ns = worker_now(worker) + SPIN_NS;
    do {
        for (unsigned i = 0; i < 32; i++) {
            if (atomic_load_explicit(&worker->shared.inbox, memory_order_relaxed))
                return true;
            __builtin_ia32_pause();
        }
    } while (worker_now(worker) < until_ns);
    return false;
}
#endif

/* Looks for work for a moment before sleeping: a wake-up costs more than that. True when there is some. Where
 * it was in vain several times, only now and then: other threads may want the core. */
static bool spin(struct worker *worker)
{
#ifndef HISTRIO_SIM
    if (worker->system->clock != clock_system() || worker->watches_processes)
        return false;
    if (worker->spins_in_vain >= SPINS_IN_VAIN_MAX && ++worker->spins_skipped % SPIN_ONE_IN != 0)
        return false;
    if (spin_once(worker)) {
        worker->spins_in_vain /= 2;
        return true;
    }
    if (worker->spins_in_vain < SPINS_IN_VAIN_MAX)
        worker->spins_in_vain++;
#else
    (void)worker;
#endif
    return false;
}

static int64_t idle_until(struct worker *worker)
{
#ifndef HISTRIO_SIM
    /* A clock that is not the machine's moves without waking us. */
    if (worker->system->clock != clock_system())
        return worker_now(worker) + NS_PER_MS;
#endif
    return is_suspended(worker) ? INT64_MAX : wheel_next_ns(&worker->wheel);
}

void worker_run(void *ctx)
{
    struct worker *worker = ctx;
    executing_set_thread(worker);
    while (!worker->is_stopping) {
        if (worker_step(worker))
            continue;
        returns_flush_all(worker);
        int64_t idle_since_ns = worker->now_ns;
        atomic_store_explicit(&worker->counters.idle_since_ns, idle_since_ns, memory_order_relaxed);
        if (!spin(worker)) {
            if (worker->dead_letters_silent > 0)
                deadletter_tick(worker);
            worker_park(worker, idle_until(worker));
        }
        atomic_store_explicit(&worker->counters.idle_since_ns, 0, memory_order_relaxed);
        COUNT(worker->counters.idle_ns, (uint64_t)(worker_now(worker) - idle_since_ns));
    }
    if (worker->hosting)
        worker->hosting->stop(worker->hosting->ctx, worker);
    executing_set_thread(NULL);
}
