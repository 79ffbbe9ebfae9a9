#include "actor/pressure.h"

#include "actor/send.h"
#include "actor/system_private.h"

enum { RECENT_WAITERS = 16 };

static void pressure_mute(struct worker *worker, struct actor *sender)
{
    struct actor_side *side = actor_side(worker, sender);
    side->mute_count++;
    sender->flags |= ACTOR_MUTED;
}

static void pressure_unmute(struct worker *worker, uint64_t id)
{
    struct actor *sender = registry_find(worker, id);
    if (!sender || (sender->flags & ACTOR_MUTED) == 0)
        return; /* it ended meanwhile, or was not muted because it was overloaded */
    if (--sender->side->mute_count > 0)
        return;
    sender->flags &= ~(uint32_t)ACTOR_MUTED;
    sender->side->muted_by = 0;
    worker_schedule(worker, sender);
}

static bool may_mute(const struct actor *sender)
{
    return (sender->flags & (ACTOR_OVERLOADED | ACTOR_UNMUTABLE | ACTOR_ENDING)) == 0 && sender->exits == 0;
}

void pressure_exit_came(struct actor *actor)
{
    actor->exits++;
    if ((actor->flags & ACTOR_MUTED) == 0)
        return;
    actor->flags &= ~(uint32_t)ACTOR_MUTED;
    actor->side->mute_count = 0;
    actor->side->muted_by = 0;
}

static void unmute_job(struct worker *worker, struct message *message)
{
    pressure_unmute(worker, message->sender);
}

/* sender: the waiting actor; target: the receiver, whose worker gets the answer when the sender is not to be
 * muted. */
static void mute_job(struct worker *worker, struct message *message)
{
    struct actor *sender = registry_find(worker, message->sender);
    if (sender && (sender->flags & ACTOR_ALIVE) != 0 && may_mute(sender))
        pressure_mute(worker, sender);
}

/* The sender waits for actor from now on. */
static void pressure_hold(
    struct worker *worker, struct actor *sender, struct actor *actor, const struct message *message)
{
    if (sender) {
        if (sender == actor || !may_mute(sender))
            return;
        struct actor_side *own = actor_side(worker, sender);
        if ((sender->flags & ACTOR_MUTED) != 0 && own->muted_by == actor_id(actor))
            return; /* the rest of what one handler sends */
        own->muted_by = actor_id(actor);
        pressure_mute(worker, sender);
        vec_push(&actor_side(worker, actor)->waiters, actor_id(sender));
        return;
    }
    uint64_t id = message->sender;
    if (id == 0 || (message->flags & MESSAGE_REMOTE) != 0 || id_slot(id) == 0 ||
        id_worker(id) == worker->number)
        return; /* outside: holds itself back, see names.h and the transport's credit */
    struct actor_side *side = actor_side(worker, actor);
    for (size_t i = side->waiters.count; i-- > 0 && side->waiters.count - i <= RECENT_WAITERS;)
        if (side->waiters.items[i] == id)
            return; /* what was on its way when the sender was told; a second telling does no harm either */
    vec_push(&side->waiters, id);
    struct message *job = message_new(worker, 0);
    job->sender = id;
    send_job(worker, id_worker(id), job, mute_job);
}

static void set_overloaded(struct worker *worker, struct actor *actor)
{
    actor->flags |= ACTOR_OVERLOADED;
    if ((actor->flags & ACTOR_QUEUED) != 0 &&
        atomic_load_explicit(&worker->watched.executing, memory_order_relaxed) != actor)
        worker->urgent = actor;
    if (actor->name)
        atomic_store_explicit(
            &names_find(&worker->system->names, actor->name)->overloaded, true, memory_order_relaxed);
}

/* Makes room by the oldest message that counts. */
static void drop_oldest(struct worker *worker, struct actor *actor)
{
    struct message *previous = NULL, *message = actor->first;
    while (message && (message->flags & MESSAGE_COUNTS) == 0) {
        previous = message;
        message = message->next;
    }
    if (!message)
        return;
    mailbox_take_out(actor, previous, message);
    send_undeliverable(worker, message, HISTRIO_MAILBOX_FULL);
}

enum histrio_error pressure_admit(
    struct worker *worker, struct actor *sender, struct actor *actor, const struct message *message)
{
    if ((message->flags & MESSAGE_COUNTS) == 0 || actor_depth(actor) - actor->uncounted < actor->high)
        return HISTRIO_OK;
    if (actor->bounded) {
        switch ((enum actor_overflow)actor->overflow) {
        case ACTOR_OVERFLOW_FAIL:
        case ACTOR_DROP_NEWEST: return HISTRIO_MAILBOX_FULL;
        case ACTOR_DROP_OLDEST: drop_oldest(worker, actor); return HISTRIO_OK;
        case ACTOR_WAIT:
            if ((message->flags & MESSAGE_REMOTE) == 0 && id_slot(message->sender) == 0)
                return HISTRIO_MAILBOX_FULL; /* a client cannot be made to wait */
            break;
        }
    }
    if ((actor->flags & ACTOR_OVERLOADED) == 0)
        set_overloaded(worker, actor);
    pressure_hold(worker, sender, actor, message);
    return HISTRIO_OK;
}

void pressure_release(struct worker *worker, struct actor *actor)
{
    if ((actor->flags & ACTOR_OVERLOADED) == 0)
        return;
    actor->flags &= ~(uint32_t)ACTOR_OVERLOADED;
    if (actor->name)
        atomic_store_explicit(
            &names_find(&worker->system->names, actor->name)->overloaded, false, memory_order_relaxed);
    if (!actor->side)
        return;
    vec_for_each (id, &actor->side->waiters) {
        if (id_worker(*id) == worker->number) {
            pressure_unmute(worker, *id);
            continue;
        }
        struct message *job = message_new(worker, 0);
        job->sender = *id;
        send_job(worker, id_worker(*id), job, unmute_job);
    }
    vec_clear(&actor->side->waiters);
}

void pressure_check(struct worker *worker, struct actor *actor)
{
    if (actor_depth(actor) - actor->uncounted <= actor->high / 2)
        pressure_release(worker, actor);
}

void pressure_mute_for_route(struct worker *worker, struct actor *sender)
{
    if (!may_mute(sender))
        return;
    vec_push(&worker->route_waiters, actor_id(sender));
    pressure_mute(worker, sender);
}

void pressure_lift_routes(struct worker *worker, struct message *message)
{
    (void)message;
    vec_for_each (id, &worker->route_waiters)
        pressure_unmute(worker, *id);
    vec_clear(&worker->route_waiters);
}
