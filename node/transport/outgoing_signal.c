/* Signals on their way out: queued beside the messages that they must not overtake. */
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/outgoing.h"
#include "transport/outgoing_private.h"

enum {
    SIGNALS_MAX = 1000 * 1000, /* of one peer, not acknowledged */
    CANCELS_MAX = 100 * 1000,  /* so many of both wait, and no cancel is added: it is none's duty to arrive */
    REASON_MAX = 1024,         /* with a stack behind it: LIMIT_CAUSE_BYTES */
};

static char *put_text(char **place, const char *text, size_t size)
{
    if (!text)
        return NULL;
    char *start = *place;
    memcpy(start, text, size);
    start[size] = 0;
    *place += size + 1;
    return start;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Peers take UTF-8 of some length only, and a signal that they refuse would be sent again for ever. */
static char *put_reason(char **place, const char *reason, size_t size_max)
{
    size_t size = reason ? text_cut(reason, size_max) : 0;
    char *copy = put_text(place, reason ? reason : "", size);
    text_make_utf8(copy);
    return copy;
}

struct pending_signal *outgoing_copy_signal(const struct actor_signal *signal)
{
    size_t from = text_size(signal->from_name), to = text_size(signal->to_name);
    struct pending_signal *copy =
        xcalloc(1, sizeof(*copy) + 2 * from + 2 * to + text_size(signal->reason) + 2);
    char *place = copy->texts;
    copy->signal = *signal;
    copy->signal.from_name = put_text(&place, signal->from_name, from ? from - 1 : 0);
    copy->signal.to_name = put_text(&place, signal->to_name, to ? to - 1 : 0);
    copy->signal.reason =
        put_reason(&place, signal->reason, signal->kind >= SIGNAL_ENDED ? LIMIT_CAUSE_BYTES : REASON_MAX);
    if (from)
        copy->from_unit = put_text(&place, signal->from_name, router_unit_size(signal->from_name));
    if (to)
        copy->to_unit = put_text(&place, signal->to_name, router_unit_size(signal->to_name));
    return copy;
}

static uint64_t unit_epoch(const struct outgoing *outgoing, const char *name, bool own)
{
    const struct route_unit *unit = name ? router_find(&outgoing->router, name, strlen(name)) : NULL;
    return !unit ? 0 : own ? unit->own_epoch : unit->epoch;
}

void outgoing_push_signal(struct outgoing *outgoing, struct outbox *outbox, struct pending_signal *pending)
{
    pending->after = outbox->next_sequence - 1;
    pending->from_epoch = unit_epoch(outgoing, pending->from_unit, true);
    pending->to_epoch = unit_epoch(outgoing, pending->to_unit, false);
    list_push_back(&outbox->signals, &pending->node);
    outbox->signal_count++;
    outgoing_mark(outgoing, outbox);
}

enum histrio_error outgoing_signal(
    struct outgoing *outgoing, const struct actor_signal *signal, int64_t now_ns, uint64_t *ret_node)
{
    if (outgoing->is_closed)
        return HISTRIO_UNAVAILABLE;
    struct outbox *outbox = NULL;
    struct unit_queue *queue = NULL;
    if (signal->to.node != 0) {
        outbox = outgoing_find(outgoing, signal->to.node);
        if (!outbox)
            return HISTRIO_UNAVAILABLE;
        if (outbox->is_dead)
            return HISTRIO_NOT_FOUND;
    } else {
        if (!signal->to_name)
            return HISTRIO_NOT_FOUND;
        struct route_unit *unit =
            router_find(&outgoing->router, signal->to_name, router_unit_size(signal->to_name));
        enum route_verdict verdict = router_send(&outgoing->router, unit);
        if (verdict != ROUTE_FORWARD)
            return outgoing_error_of(outgoing, verdict);
        outbox = outgoing_find(outgoing, unit->node_uid);
        if (!outbox || outbox->is_dead)
            return HISTRIO_UNAVAILABLE;
        queue = outgoing_queue(outgoing, unit);
    }
    bool may_wait =
        signal->kind != SIGNAL_CANCEL || (outbox->is_reachable && outbox->signal_count < CANCELS_MAX);
    if (outbox->signal_count >= SIGNALS_MAX || !may_wait)
        return HISTRIO_UNAVAILABLE;
    *ret_node = outbox->node_uid;
    struct pending_signal *pending = outgoing_copy_signal(signal);
    if (queue && queue_must_hold(queue, outbox)) {
        list_push_back(&queue->signals, &pending->node);
        outgoing_unsettled(outgoing, queue, now_ns);
    } else
        outgoing_push_signal(outgoing, outbox, pending);
    return HISTRIO_OK;
}
