/* A worker: one thread, the actors that live on it, and everything that they need, so that a message between
 * two actors of one worker takes no atomic read-modify-write and no lock.
 *
 * Between workers: a sender appends to its outbox for that worker; the outbox goes over with one
 * compare-and-swap when it has 64 messages, at the latest after a few turns and before idling. The receiving
 * worker takes its whole inbox with one exchange, and only it resolves ids to actors. A pair's messages
 * therefore keep their order: both ends are fixed to their workers, and outbox and inbox are first in, first
 * out. (The design's mailboxes with a shared half for each actor are not needed for that: the shared half is
 * the worker's inbox. An actor has no atomics at all, and a message to a dead actor touches nothing that
 * could be freed.)
 *
 * Thread: all but the `shared` part belongs to the worker's thread. */
#ifndef ACTOR_WORKER_H
#define ACTOR_WORKER_H

#include "actor/actor.h"
#include "actor/names.h"
#include "actor/sim_hooks.h"
#include "base/clock.h"
#include "base/rng.h"

#include <stdalign.h>

struct actor_system;
struct thread;

enum {
    OUTBOX_MESSAGES_MAX = 64,
    RETURNS_MAX = 256,        /* foreign messages that go back to their slab together */
    TURNS_BETWEEN_POLLS = 64, /* turns between looks at inbox and clock, at most */
    TURNS_BETWEEN_FLUSHES = 8,
    TURN_CHECK_MESSAGES = 32, /* messages between looks at the clock inside of a turn */
    TURN_NS_MAX = 100 * 1000,
    SPIN_NS = 20 * 1000,
    SPINS_IN_VAIN_MAX = 4,
    SPIN_ONE_IN = 16,
    REGISTRY_CHUNK_BITS = 10,
    REGISTRY_CHUNK_ACTORS = 1 << REGISTRY_CHUNK_BITS,
};

struct outbox {
    struct message
        *newest; /* linked towards the oldest: the inbox is a stack, and the receiver turns it round */
    struct message *oldest;
    uint32_t count;
};

struct returns {
    struct message *first;
    struct message *last;
    uint32_t count;
};

/* Written by the worker only (a load and a store), read by others: relaxed, as only sums are wanted. */
struct worker_counters {
    _Atomic uint64_t messages, spawned, exited, restarts, dead_letters, timers_fired, asks, asks_settled;
    _Atomic uint64_t kept_bytes; /* of hosted_keep(), now */
    _Atomic uint64_t sent_away;  /* to other workers: for the conservation of messages */
    _Atomic uint64_t idle_ns;
    _Atomic int64_t idle_since_ns; /* 0: not idle now */
    _Atomic uint32_t actors;
};

#define COUNT(counter, by)                                                                                   \
    atomic_store_explicit(                                                                                   \
        &(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (by), memory_order_relaxed)

/* Numbers that go out and come back (asks, timers) look like actor ids and are as safe: see handle.h. */
struct handle_slot {
    void *object; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct handles {
    VEC(struct handle_slot) slots;
    uint32_t first_free; /* 0: none, slot 0 is not used */
};

struct worker {
    /* What senders on other threads touch. */
    alignas(64) struct {
        struct message *_Atomic inbox;    /* newest first */
        struct message *_Atomic returned; /* our messages that others were done with */
        _Atomic uint32_t parked;          /* 1: sleeps, or is about to, see outbox.h */
    } shared;

    /* What observers on other threads read. */
    alignas(64) struct {
        struct actor *_Atomic executing; /* NULL: between turns */
        _Atomic uint32_t executing_type;
        _Atomic uint64_t steps; /* changes with each start and stop, and counters.messages with the rest */
    } watched;
    struct worker_counters counters;

    alignas(64) struct actor *run_first; /* the run queue; an actor is in it at most once */
    struct actor *run_last;
    struct actor *urgent; /* in the run queue, and to run before the others; NULL: none */
    struct actor_system *system;
    uint64_t node_uid;
    struct worker *peers;   /* all workers of the system, by number */
    bool watches_processes; /* something comes by descriptors, not only by the inbox: spinning would overlook
                               it */
    const struct actor_hosting *hosting; /* NULL on all but worker 0 of a system that has one */
    unsigned number;
    unsigned worker_count;
    uint32_t plain_head;    /* of plain messages */
    _Atomic bool suspended; /* relaxed: set by other threads, takes effect soon, orders nothing */
    struct slab slab;
    struct outbox *outboxes;   /* by worker */
    struct returns *returns;   /* by worker */
    uint64_t pending_outboxes; /* bit n: outboxes[n] is not empty */
    uint64_t pending_returns;

    VEC(struct actor *) chunks; /* of REGISTRY_CHUNK_ACTORS slots each */
    struct actor *free_actors;
    uint32_t slot_end;             /* slots below it were used */
    VEC(uint64_t) remote_watchers; /* ids of actors with links or monitors across nodes */
    VEC(uint64_t) route_waiters;   /* ids of actors that wait for actor_system_pressure_lifted() */

    struct wheel wheel;
    struct handles asks;
    struct handles timers;
    int64_t now_ns; /* read at each poll */
    uint64_t next_monitor;
    uint32_t start_depth;   /* of starts that are on the stack */
    uint32_t spins_in_vain; /* less for each that found work */
    uint32_t spins_skipped;
    struct rng rng;

    int64_t dead_letter_window_ns; /* see deadletter.h */
    uint32_t dead_letters_logged;
    uint64_t dead_letters_silent;

    struct thread *thread;
    bool is_stopping;
};

/* ---- memory ---- */

struct message *message_new_large(struct worker *worker, size_t size);
void message_free_foreign(struct worker *worker, struct message *message);
/* Everything that goes into a message's header is zero but size, class and owner. */
static inline struct message *message_new(struct worker *worker, size_t size)
{
    unsigned class = slab_class(size + offsetof(struct message, data));
    if (__builtin_expect(class == SLAB_HEAP, 0))
        return message_new_large(worker, size);
    struct message *message = slab_get(&worker->slab, class);
    memset(message, 0, offsetof(struct message, data));
    message->size = (uint32_t)size;
    message->class = (uint8_t) class;
    message->owner = (uint8_t)worker->number;
    return message;
}

static inline void message_free(struct worker *worker, struct message *message)
{
    if (__builtin_expect(message->owner == worker->number && message->class != SLAB_HEAP, 1))
        slab_put(&worker->slab, message, message->class);
    else
        message_free_foreign(worker, message);
}
/* A message with a text, NUL-ended, as its payload. */
struct message *message_new_text(struct worker *worker, const char *text);

/* ---- actors by id ---- */

static inline struct actor *registry_slot(const struct worker *worker, uint32_t slot)
{
    return &worker->chunks.items[slot >> REGISTRY_CHUNK_BITS][slot & (REGISTRY_CHUNK_ACTORS - 1)];
}

/* The actor of this worker with that id, alive or held; NULL when it is gone. */
static inline struct actor *registry_find(const struct worker *worker, uint64_t id)
{
    uint32_t slot = id_slot(id);
    if (__builtin_expect(slot >= worker->slot_end, 0))
        return NULL;
    struct actor *actor = registry_slot(worker, slot);
    return __builtin_expect(actor->id == id, 1) ? actor : NULL;
}
/* A slot with a new generation, zeroed else; NULL when there are too many actors. */
struct actor *registry_take(struct worker *worker);
/* A buried one. */
void registry_give_back(struct worker *worker, struct actor *actor);
/* The next incarnation gets another id. */
void registry_renew(struct actor *actor);
/* No id finds the slot any more: it is neither alive nor held. */
void registry_bury(struct actor *actor);

/* ---- the run queue and mailboxes ---- */

static inline void runqueue_push(struct worker *worker, struct actor *actor)
{
    actor->flags |= ACTOR_QUEUED;
    actor->next = NULL;
    if (worker->run_first)
        worker->run_last->next = actor;
    else
        worker->run_first = actor;
    worker->run_last = actor;
}

/* Makes the actor run, if there is a reason to. */
static inline void worker_schedule(struct worker *worker, struct actor *actor)
{
    if ((actor->flags & (ACTOR_QUEUED | ACTOR_HELD | ACTOR_STARTING)) == 0 &&
        ((actor->flags & ACTOR_EXITING) != 0 ||
            ((actor->flags & (ACTOR_MUTED | ACTOR_PAUSED)) == 0 && actor->first)))
        runqueue_push(worker, actor);
}

/* depth: before the message. */
static inline void mailbox_append(struct actor *actor, struct message *message, uint32_t depth)
{
    message->next = NULL;
    if (__builtin_expect(!actor->first, 1))
        actor->first = message;
    else
        actor->last->next = message;
    actor->last = message;
    actor_set_depth(actor, depth + 1);
}

static inline void mailbox_push(struct actor *actor, struct message *message)
{
    if (__builtin_expect((message->flags & MESSAGE_COUNTS) == 0, 0))
        actor->uncounted++;
    mailbox_append(actor, message, actor_depth(actor));
}

/* depth: with the message. One that does not count is then still to be taken from actor->uncounted. */
static inline struct message *mailbox_take(struct actor *actor, uint32_t depth)
{
    struct message *message = actor->first;
    if (__builtin_expect(message != NULL, 1)) {
        actor->first = message->next;
        actor_set_depth(actor, depth - 1);
    }
    return message;
}

/* One from anywhere; previous is in front of it, NULL: nothing is. Who takes out what does not count corrects
 * actor->uncounted. */
static inline void mailbox_take_out(struct actor *actor, struct message *previous, struct message *message)
{
    if (previous)
        previous->next = message->next;
    else
        actor->first = message->next;
    if (actor->last == message)
        actor->last = previous;
    actor_set_depth(actor, actor_depth(actor) - 1);
}

/* ---- the thread ---- */

void worker_init(struct worker *worker, struct actor_system *system, unsigned number);
/* What still waits anywhere on it. Of all workers before worker_done() of any: messages of one's slab wait at
 * others. */
void worker_drop_messages(struct worker *worker);
void worker_done(struct worker *worker);
/* Runs until worker_stop(). */
void worker_run(void *worker);
/* Runs one turn of each runnable actor at most, delivers what came in, fires timers; true when anything was
 * done. What worker_run() does in a loop. */
bool worker_step(struct worker *worker);
int64_t worker_now(struct worker *worker);

#endif
