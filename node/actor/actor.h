/* One actor as its worker sees it: a slot of 128 bytes. Everything that most actors do not have (links,
 * monitors, timers, waiting callers ...) is in side tables that are made on first use.
 *
 * An actor belongs for life to the worker that it was spawned on, and only that worker reads or writes any of
 * this; other workers and threads know actors by id and send messages to the worker. Slots never move and are
 * never given back, but each occupant of a slot (each incarnation) has a generation of its own: an id that is
 * stale, or made up by a hostile peer, is a failed look-up. */
#ifndef ACTOR_ACTOR_H
#define ACTOR_ACTOR_H

#include "actor/message.h"
#include "actor/system.h"
#include "actor/timer.h"
#include "base/list.h"
#include "base/vec.h"

#include <stdalign.h>
#include <stdatomic.h>

struct worker;
struct actor_unit;

/* id = generation << 32 | worker << 26 | slot. Slot 0 of each worker is its clerk: the actor behind asks from
 * outside. */
enum { ID_SLOT_BITS = 26, ID_WORKERS_MAX = 1 << (32 - ID_SLOT_BITS), ID_GENERATION_MAX = 0x7ffffffe };
#define ID_SLOT_MASK ((UINT32_C(1) << ID_SLOT_BITS) - 1)

static inline unsigned id_worker(uint64_t id)
{
    return (uint32_t)id >> ID_SLOT_BITS;
}

static inline uint32_t id_slot(uint64_t id)
{
    return (uint32_t)id & ID_SLOT_MASK;
}

enum actor_flag {
    ACTOR_ALIVE = 1,             /* an incarnation is in the slot */
    ACTOR_HELD = 2,              /* between incarnations: name and mailbox are kept, nothing runs */
    ACTOR_QUEUED = 4,            /* in the run queue, or it is its turn */
    ACTOR_MUTED = 8,             /* waits for an overloaded receiver: gets no turn, pending exits aside */
    ACTOR_OVERLOADED = 16,       /* its mailbox went over the mark and has not been worked off yet */
    ACTOR_EXITING = 32,          /* side->exit_reason is set: ends before its next message */
    ACTOR_TRAPS = 64,            /* exit signals become messages */
    ACTOR_UNMUTABLE = 128,       /* part of the runtime */
    ACTOR_HAS_REMOTE = 256,      /* is in worker->remote_watchers */
    ACTOR_STARTING = 512,        /* start runs */
    ACTOR_PERMANENT_HOLD = 1024, /* spawned with hold: becomes ACTOR_HELD when it ends */
    ACTOR_DROP_MAILBOX = 2048,
    ACTOR_ENDING = 4096,         /* life_end() is at work: sends of its stop function do not mute it */
    ACTOR_TIMES_OUT = 8192,      /* has a receive timeout */
    ACTOR_PAUSED = 32768,        /* as MUTED, by a hosted actor's own will */
    ACTOR_HOSTED = 65536,        /* runs in another process: exits that would end it go to its behavior */
    ACTOR_HOSTED_IN_C = 524288,  /* besides: large data of messages comes as bytes */
    ACTOR_PARENT_ENDS = 1048576, /* exit signals of its parent cannot be trapped */
    ACTOR_AWAITED = 262144,      /* counts in unit->starting; kept by a held slot for its next incarnation */
    ACTOR_FREE_END = 131072,     /* of a held slot: the last incarnation ended by no fault of its own */
    ACTOR_REASONED = 16384,      /* called histrio_fail(): its context may have a reason that nobody wants */
};

/* A link or a monitor's other end. */
struct link_peer {
    struct histrio_ref ref; /* {0, name} while a named actor of another node has not told its id */
    uint64_t node;          /* of a remote one: the uid, 0 while unknown */
    uint64_t monitor;       /* 0: a link */
};

/* Who it has to do with. Apart from the rest, as every actor below a supervisor has this and nothing else. */
struct actor_ties {
    VEC(struct link_peer) links;
    VEC(struct link_peer)
    unlinking; /* unlinked, not acknowledged; `monitor` counts the acknowledgements to come */
    VEC(struct link_peer) watching; /* monitors of ours */
    VEC(struct link_peer) watchers; /* monitors on us */
    VEC(uint32_t) holds;            /* names that we hold for children */
    char *cause; /* why the last incarnation of a held slot ended, until who watches it is told that it goes
                    on; NULL: nobody is to be told */
};

_Static_assert(sizeof(struct actor_ties) <= 128, "there may be very many supervised actors");

struct actor_side {
    VEC(struct histrio_caller) callers; /* asks that we took with histrio_caller() and did not answer */
    VEC(uint64_t) waiters;              /* ids of actors that wait until we are no longer overloaded */
    struct list timers;
    struct user_timer *receive_timeout;
    uint32_t receive_timeout_ms;
    uint32_t mute_count; /* receivers that we wait for */
    uint64_t muted_by;   /* the last of them */
    char *exit_reason;   /* of a pending exit */
};

struct actor {
    /* The first cache line is all that a message and a turn touch. */
    alignas(64) struct message *first; /* the mailbox */
    struct message *last;
    struct actor *next; /* in the run queue, or in the list of free slots */
    const struct histrio_behavior *behavior;
    void *state;
    uint64_t id;            /* of a free slot: one that no look-up compares with, see registry_bury() */
    _Atomic uint32_t depth; /* messages in the mailbox; written by the worker only, read by listings */
    uint32_t high;          /* depth from which a message needs a closer look */
    uint32_t flags;
    uint32_t name; /* interned, 0: unnamed */

    struct actor_ties *ties;
    struct actor_side *side;
    struct actor_unit *unit;
    struct histrio_ref parent;
    struct kept *kept;  /* what the next incarnation in a held slot is to know: hosted_keep(); malloc'ed */
    uint32_t uncounted; /* messages in the mailbox without MESSAGE_COUNTS */
    uint32_t exits;   /* HISTRIO_EXIT messages in the mailbox: while there are any, nothing mutes the actor */
    uint8_t overflow; /* enum actor_overflow */
    uint8_t bounded;
};

_Static_assert(sizeof(struct actor) == 128, "an idle actor stays small");

static inline uint64_t actor_id(const struct actor *actor)
{
    return actor->id;
}

/* The depth changes on its worker only: a load and a store, no read-modify-write. Relaxed: listings want a
 * number, no order. */
static inline uint32_t actor_depth(const struct actor *actor)
{
    return atomic_load_explicit(&actor->depth, memory_order_relaxed);
}

static inline void actor_set_depth(struct actor *actor, uint32_t depth)
{
    atomic_store_explicit(&actor->depth, depth, memory_order_relaxed);
}

/* The side tables, made now if need be. */
struct actor_ties *actor_ties(struct worker *worker, struct actor *actor);
struct actor_side *actor_side(struct worker *worker, struct actor *actor);
void actor_tables_free(struct worker *worker, struct actor *actor);

/* What a behavior's function gets: one for each call that is on the stack. */
struct histrio_context {
    struct worker *worker;
    struct actor *actor;
    struct message *message;       /* that is handled; NULL in start and stop */
    struct histrio_context *outer; /* whose spawn called this start */
    bool answered;                 /* the ask in message */
    bool taken;                    /* by histrio_caller(): will be answered later */
    char *fail_reason;
};

#endif
