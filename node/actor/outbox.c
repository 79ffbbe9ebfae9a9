#include "actor/outbox.h"

#include "actor/sim_hooks.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The rest of a chain that inbox_push() gets is already linked; only the oldest's next is open. */
static void inbox_push(struct worker *to, struct message *newest, struct message *oldest)
{
    struct message *head = atomic_load_explicit(&to->shared.inbox, memory_order_relaxed);
    do
        oldest->next = head;
    while (!atomic_compare_exchange_weak_explicit(
        &to->shared.inbox, &head, newest, memory_order_seq_cst, memory_order_relaxed));
}

/* Invariant 2, the poster's half. */
static void inbox_wake(struct worker *to)
{
    if (atomic_load_explicit(&to->shared.parked, memory_order_seq_cst) == 0)
        return;
    if (atomic_exchange_explicit(&to->shared.parked, 0, memory_order_seq_cst) == 0)
        return; /* somebody else wakes it */
    worker_wake(to);
}

void worker_wake(struct worker *worker)
{
#ifdef HISTRIO_SIM
    sim_wake(worker);
#else
    if (worker->hosting) {
        worker->hosting->wake(worker->hosting->ctx);
        return;
    }
    /* Fails only for a wrong address. */
    (void)syscall(SYS_futex, &worker->shared.parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
#endif
}

#ifdef HISTRIO_SIM
static void outbox_break_order(struct worker *worker, struct outbox *outbox)
{
    struct message *second = outbox->newest->next;
    if (!SIM_MUTANT(MUTANT_BROKEN_FIFO) || outbox->count < 2 || !rng_one_in(&worker->rng, 4))
        return;
    outbox->newest->next = second->next;
    second->next = outbox->newest;
    if (outbox->oldest == second)
        outbox->oldest = outbox->newest;
    outbox->newest = second;
}
#endif

static void outbox_flush(struct worker *worker, unsigned to)
{
    struct outbox *outbox = &worker->outboxes[to];
#ifdef HISTRIO_SIM
    outbox_break_order(worker, outbox);
#endif
    struct message *newest = outbox->newest, *oldest = outbox->oldest;
    *outbox = (struct outbox){0};
    worker->pending_outboxes &= ~(UINT64_C(1) << to);
    struct worker *target = &worker->peers[to];
    SIM_YIELD(worker);
    inbox_push(target, newest, oldest);
    SIM_YIELD(worker);
    inbox_wake(target);
}

void outbox_append(struct worker *worker, unsigned to, struct message *message)
{
    struct outbox *outbox = &worker->outboxes[to];
    message->next = outbox->newest;
    outbox->newest = message;
    if (!outbox->oldest)
        outbox->oldest = message;
    worker->pending_outboxes |= UINT64_C(1) << to;
    COUNT(worker->counters.sent_away, 1);
    if (++outbox->count >= OUTBOX_MESSAGES_MAX)
        outbox_flush(worker, to);
}

static void returns_flush(struct worker *worker, unsigned to)
{
    struct returns *returns = &worker->returns[to];
    struct worker *owner = &worker->peers[to];
    struct message *head = atomic_load_explicit(&owner->shared.returned, memory_order_relaxed);
    do
        returns->last->next = head;
    while (!atomic_compare_exchange_weak_explicit(
        &owner->shared.returned, &head, returns->first, memory_order_release, memory_order_relaxed));
    *returns = (struct returns){0};
    worker->pending_returns &= ~(UINT64_C(1) << to);
}

void message_free_foreign(struct worker *worker, struct message *message)
{
    if (message->class == SLAB_HEAP) {
        message_free_heap(message);
        return;
    }
    struct returns *returns = &worker->returns[message->owner];
    message->next = returns->first;
    returns->first = message;
    if (!returns->last)
        returns->last = message;
    worker->pending_returns |= UINT64_C(1) << message->owner;
    if (++returns->count >= RETURNS_MAX)
        returns_flush(worker, message->owner);
}

void returns_flush_all(struct worker *worker)
{
    while (worker->pending_returns)
        returns_flush(worker, (unsigned)__builtin_ctzll(worker->pending_returns));
}

void returns_collect(struct worker *worker)
{
    if (!atomic_load_explicit(&worker->shared.returned, memory_order_relaxed))
        return;
    /* Acquire: what the other workers read in these messages happened before we write to them again. */
    struct message *message = atomic_exchange_explicit(&worker->shared.returned, NULL, memory_order_acquire);
    while (message) {
        struct message *next = message->next;
        slab_put(&worker->slab, message, message->class);
        message = next;
    }
}

bool outbox_flush_all(struct worker *worker)
{
    bool any = worker->pending_outboxes != 0;
    while (worker->pending_outboxes)
        outbox_flush(worker, (unsigned)__builtin_ctzll(worker->pending_outboxes));
    return any;
}

void inbox_post(struct worker *to, struct message *message)
{
    inbox_push(to, message, message);
    SIM_YIELD(to);
    inbox_wake(to);
}

struct message *inbox_take(struct worker *worker)
{
    if (!atomic_load_explicit(&worker->shared.inbox, memory_order_relaxed))
        return NULL;
    struct message *newest = atomic_exchange_explicit(&worker->shared.inbox, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

#ifndef HISTRIO_SIM
static void worker_sleep(struct worker *worker, int64_t until_ns)
{
    struct timespec timeout = {0};
    if (worker->hosting) {
        int64_t left_ns = until_ns == INT64_MAX ? INT64_MAX : until_ns - worker_now(worker);
        if (left_ns > 0)
            worker->hosting->wait(worker->hosting->ctx, worker, left_ns);
        return;
    }
    if (until_ns != INT64_MAX) {
        int64_t left_ns = until_ns - worker_now(worker);
        if (left_ns <= 0)
            return;
        timeout.tv_sec = left_ns / NS_PER_S;
        timeout.tv_nsec = left_ns % NS_PER_S;
    }
    /* Returns at once when parked is 0 already, also on a signal: the caller looks again. */
    (void)syscall(SYS_futex, &worker->shared.parked, FUTEX_WAIT_PRIVATE, 1,
        until_ns == INT64_MAX ? NULL : &timeout, NULL, 0);
}
#endif

void worker_park(struct worker *worker, int64_t until_ns)
{
    SIM_YIELD(worker);
    atomic_store_explicit(&worker->shared.parked, 1, memory_order_seq_cst);
    SIM_YIELD(worker);
    /* Invariant 2, the worker's half. */
    if (SIM_MUTANT(MUTANT_LOST_WAKEUP) ||
        !atomic_load_explicit(&worker->shared.inbox, memory_order_seq_cst)) {
#ifdef HISTRIO_SIM
        sim_wait(worker, until_ns);
#else
        worker_sleep(worker, until_ns);
#endif
    }
    atomic_store_explicit(&worker->shared.parked, 0, memory_order_relaxed);
}
