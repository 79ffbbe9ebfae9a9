#include "actor/ask.h"

#include "actor/cancel.h"
#include "actor/handle.h"
#include "actor/hosted.h"
#include "actor/send.h"

static void ask_free(struct worker *worker, struct ask *ask)
{
    wheel_cancel(&worker->wheel, &ask->timer);
    handle_free(&worker->asks, ask->number);
    slab_release(&worker->slab, ask, sizeof(*ask));
    COUNT(worker->counters.asks_settled, 1);
}

static void tell_cancelled(struct worker *worker, const struct ask *ask)
{
    cancel_send(worker, &(struct cancel){{worker->node_uid, ask->asker}, ask->number}, ask->to);
}

static void ask_expired(struct worker *worker, struct timer *timer)
{
    struct ask *ask = list_entry(timer, struct ask, timer);
    tell_cancelled(worker, ask);
    struct actor *asker = registry_find(worker, ask->asker);
    if (!asker || (asker->flags & ACTOR_ALIVE) == 0) {
        ask_free(worker, ask);
        return;
    }
    if ((asker->flags & ACTOR_HOSTED) != 0) {
        struct message *message = message_new_text(worker, "no answer in time");
        message->kind = HISTRIO_ERROR;
        message->error = HISTRIO_TIMEOUT;
        message->reference = ask->number;
        (void)hosted_outcome(worker, asker, message); /* settles it now */
        return;
    }
    ask->is_settled = true;
    send_notice(worker, asker, HISTRIO_ERROR, ask->number, (struct histrio_ref){0}, "no answer in time");
    asker->last->error = HISTRIO_TIMEOUT;
    asker->last->flags |= MESSAGE_SETTLED;
}

struct ask *ask_new(
    struct worker *worker, const struct actor *asker, struct histrio_ref to, uint32_t timeout_ms)
{
    struct ask *ask = slab_zeroed(&worker->slab, sizeof(*ask));
    ask->asker = actor_id(asker);
    ask->to = to;
    ask->number = handle_new(worker, &worker->asks, ask);
    uint32_t timeout = timeout_ms ? timeout_ms : ASK_TIMEOUT_DEFAULT_MS;
    wheel_start(&worker->wheel, &ask->timer, worker_now(worker) + timeout * NS_PER_MS, ask_expired);
    COUNT(worker->counters.asks, 1);
    return ask;
}

bool ask_settle(
    struct worker *worker, const struct actor *asker, const struct message *outcome, struct ask *ret_ask)
{
    struct ask *ask = handle_find(worker, &worker->asks, outcome->reference);
    if (!ask || ask->asker != actor_id(asker))
        return false;
    if (ask->is_settled && (outcome->flags & MESSAGE_SETTLED) == 0)
        return false; /* the timeout is before or behind it in the mailbox, and has won */
    *ret_ask = *ask;
    ask_free(worker, ask);
    return true;
}

void ask_drop(struct worker *worker, uint64_t number)
{
    struct ask *ask = handle_find(worker, &worker->asks, number);
    if (!ask)
        return;
    const struct actor *asker = registry_find(worker, ask->asker);
    if (!asker || (asker->flags & ACTOR_ALIVE) == 0)
        ask_free(worker, ask);
}

bool ask_cancel(struct worker *worker, const struct actor *asker, uint64_t number)
{
    struct ask *ask = handle_find(worker, &worker->asks, number);
    if (!ask || ask->asker != actor_id(asker))
        return false;
    if (!ask->is_settled)
        tell_cancelled(worker, ask);
    ask_free(worker, ask);
    return true;
}

void ask_drop_all(struct worker *worker)
{
    vec_for_each (slot, &worker->asks.slots) {
        struct ask *ask = slot->object;
        if (!ask)
            continue;
        static const char text[] = "the node stops";
        if (ask->done)
            ask->done(ask->data, HISTRIO_UNAVAILABLE, (const uint8_t *)text, sizeof(text) - 1);
        ask_free(worker, ask);
    }
}
