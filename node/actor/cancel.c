#include "actor/cancel.h"

#include "actor/pressure.h"
#include "actor/send.h"
#include "actor/system_private.h"

bool cancel_means(const struct worker *worker, const struct cancel *cancel, const struct message *message)
{
    if (message->kind != HISTRIO_ASK || message->reference != cancel->ask ||
        message->sender != cancel->asker.id)
        return false;
    uint64_t node = worker->node_uid;
    if ((message->flags & MESSAGE_REMOTE) != 0)
        memcpy(&node, message->data, sizeof(node));
    return node == cancel->asker.node;
}

/* Messages that are looked at. In front of a long mailbox are those whose time is over first, and asks that
 * are given up together come in the order in which they were made; to look for one that is deep inside would
 * cost more than to answer it. */
enum { LOOK_MAX = 1000 };

/* True when it was there. */
static bool take_out(struct worker *worker, struct actor *actor, const struct cancel *cancel)
{
    struct message *previous = NULL, *message = actor->first;
    for (unsigned i = 0; message && !cancel_means(worker, cancel, message); message = message->next) {
        previous = message;
        if (++i >= LOOK_MAX)
            return false;
    }
    if (!message)
        return false;
    mailbox_take_out(actor, previous, message);
    message_free(worker, message);
    if ((actor->flags & ACTOR_OVERLOADED) != 0)
        pressure_check(worker, actor); /* it may have been the last: no turn would let its senders go on */
    return true;
}

static void cancel_here(struct worker *worker, uint64_t id, const struct cancel *cancel)
{
    struct actor *actor = registry_find(worker, id);
    if (!actor || take_out(worker, actor, cancel) ||
        (actor->flags & (ACTOR_ALIVE | ACTOR_HOSTED)) != (ACTOR_ALIVE | ACTOR_HOSTED))
        return;
    const struct actor_hosting *hosting = worker->hosting;
    struct histrio_context ctx = {.worker = worker, .actor = actor};
    if (hosting && hosting->cancel)
        hosting->cancel(hosting->ctx, &ctx, actor->state, cancel->asker, cancel->ask);
}

static void cancel_outside(struct worker *worker, const struct cancel *cancel, struct histrio_ref to)
{
    const struct actor_outbound *outbound = &worker->system->config.outbound;
    struct actor_signal signal = {.kind = SIGNAL_CANCEL,
        .from = cancel->asker,
        .to_name = to.node == 0 ? intern_text((uint32_t)to.id) : NULL,
        .to = to,
        .ask = cancel->ask};
    uint64_t node;
    if (outbound->signal)
        (void)outbound->signal(outbound->ctx, &signal, &node); /* who cannot be reached is not told */
}

void cancel_send(struct worker *worker, const struct cancel *cancel, struct histrio_ref to)
{
    uint64_t id = to.node == 0 ? names_present(&worker->system->names, (uint32_t)to.id) : to.id;
    if (id == 0 || (to.node != 0 && to.node != worker->node_uid)) {
        if (to.id != 0)
            cancel_outside(worker, cancel, to);
        return;
    }
    unsigned home = id_worker(id);
    if (home == worker->number) {
        cancel_here(worker, id, cancel);
    } else if (home < worker->worker_count) {
        struct message *message = message_new(worker, sizeof(*cancel));
        memcpy(message->data, cancel, sizeof(*cancel));
        message->target = id;
        send_job(worker, home, message, cancel_arrived);
    }
}

struct message *cancel_message_outside(const struct cancel *cancel)
{
    struct message *message = message_new_outside(sizeof(*cancel));
    memcpy(message->data, cancel, sizeof(*cancel));
    message->kind = MESSAGE_JOB;
    message->job = cancel_arrived;
    return message;
}

void cancel_arrived(struct worker *worker, struct message *message)
{
    struct cancel cancel;
    memcpy(&cancel, message->data, sizeof(cancel));
    cancel_here(worker, message->target, &cancel);
}
