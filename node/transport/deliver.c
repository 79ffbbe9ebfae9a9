/* From rows to the runtime: who may be obeyed, what goes back as "moved", and the ends of asks of our own. */
#include "base/clock.h"
#include "base/mem.h"
#include "transport/transport_private.h"

/* ---- verdicts: under the lock, each unit once a batch ---- */

static struct route_unit *route_of(struct transport *transport, struct link_unit *unit)
{
    if (!unit->route)
        unit->route = router_find(&transport->outgoing.router, unit->name, strlen(unit->name));
    return unit->route;
}

static void check_unit(struct link *link, struct link_unit *unit)
{
    if (unit->checked_batch == link->batch_number)
        return;
    unit->checked_batch = link->batch_number;
    struct route_unit *route = route_of(link->transport, unit);
    unit->verdict_to = (uint8_t)router_receive(route, unit->target_epoch);
    unit->verdict_from = (uint8_t)router_receive_from(route, unit->own_epoch);
    if (route && unit->own_epoch > 0)
        (void)router_learn(route, unit->own_epoch, link->peer->outbox->node_uid); /* older: nothing new */
}

static enum route_verdict verdict_of(const struct link_row *row)
{
    if (row->sender_unit && row->sender_unit->verdict_from == ROUTE_FENCED)
        return ROUTE_FENCED;
    return row->target ? (enum route_verdict)row->target->unit->verdict_to : ROUTE_DELIVER;
}

/* False: the peer is dead. */
static bool check_rows(struct link *link, const struct link_frame *frame)
{
    struct transport *transport = link->transport;
    struct outbox *outbox = link->peer->outbox;
    link->batch_number++;
    mutex_lock(&transport->lock);
    bool is_dead = outbox->is_dead;
    for (size_t i = 0; i < frame->row_count && !is_dead; i++) {
        const struct link_row *row = &frame->rows[i];
        if (row->sender_unit)
            check_unit(link, row->sender_unit);
        if (row->target)
            check_unit(link, row->target->unit);
        if (row->kind >= ROW_REPLY)
            (void)asks_remove(&outbox->asks, row->ask); /* the runtime knows better whether it waits */
    }
    transport->counters.messages_received += frame->row_count;
    mutex_unlock(&transport->lock);
    return !is_dead;
}

/* ---- to the runtime ---- */

static void deliver_row(struct link *link, const struct link_row *row, bool *ret_pressed)
{
    const struct transport_inbound *inbound = &link->transport->inbound;
    struct actor_envelope envelope = {
        .kind = (enum actor_envelope_kind)row->kind,
        .target = {link->transport->config.node_uid, row->target_id},
        .target_incarnation = row->incarnation,
        .ask = row->ask,
        .remaining_ms = row->remaining_ms,
        .value = row->value,
        .size = row->size,
        .trace = row->trace,
    };
    if (row->sender_id != 0)
        envelope.sender = (struct histrio_ref){link->peer->outbox->node_uid, row->sender_id};
    if (row->sender_unit)
        envelope.sender_unit = row->sender_unit->name;
    if (row->target) {
        if (row->target->number == 0)
            row->target->number = inbound->name(inbound->ctx, row->target->text);
        envelope.target = (struct histrio_ref){0, row->target->number};
        if (row->target->number == 0) /* not well-formed: the runtime says so */
            envelope.target_name = row->target->text;
    }
    if (row->type) {
        if (row->type->type == 0)
            row->type->type = histrio_type(row->type->text);
        envelope.type_id = row->type->type;
    }
    if (row->kind == ROW_ERROR_REPLY) {
        envelope.error =
            row->value[0] <= HISTRIO_DENIED ? (enum histrio_error)row->value[0] : HISTRIO_APPLICATION;
        envelope.value++;
        envelope.size--;
    }
    bool pressed = false;
    /* What the runtime does not take, it answers or counts itself. */
    (void)inbound->deliver(inbound->ctx, &envelope, &pressed);
    *ret_pressed = pressed;
}

/* ---- back ---- */

static void send_bounce(
    struct link *link, const struct link_unit *unit, bool is_fenced, const uint64_t *rows, size_t count)
{
    struct transport *transport = link->transport;
    struct link_bounce bounce = {
        .sequences = rows, .count = count, .is_fenced = is_fenced, .unit = is_fenced ? "" : unit->name};
    mutex_lock(&transport->lock);
    const struct route_unit *route = unit->route;
    if (!is_fenced && route) {
        bounce.epoch = route->epoch;
        bounce.node_uid = route->node_uid;
    }
    if (is_fenced)
        transport->outgoing.fenced += count;
    mutex_unlock(&transport->lock);
    struct link_extra extra = {0};
    size_t size;
    uint8_t *data = link_encode_bounce(&bounce, &extra, &size);
    link_send_take(link, data, size);
}

/* One frame for each unit; `is_back` says which rows. */
static void send_back(struct link *link, const struct link_frame *frame, bool *is_back)
{
    uint64_t *rows = xcalloc(frame->row_count, sizeof(*rows));
    for (size_t i = 0; i < frame->row_count; i++) {
        if (!is_back[i])
            continue;
        bool is_fenced = verdict_of(&frame->rows[i]) == ROUTE_FENCED;
        const struct link_unit *unit = is_fenced ? frame->rows[i].sender_unit : frame->rows[i].target->unit;
        size_t count = 0;
        for (size_t j = i; j < frame->row_count; j++) {
            if (!is_back[j] || (verdict_of(&frame->rows[j]) == ROUTE_FENCED) != is_fenced ||
                (is_fenced ? frame->rows[j].sender_unit : frame->rows[j].target->unit) != unit)
                continue;
            is_back[j] = false;
            rows[count++] = frame->sequence + j;
        }
        send_bounce(link, unit, is_fenced, rows, count);
    }
    free(rows);
}

bool deliver_batch(struct link *link, const struct link_frame *frame, bool *ret_pressed)
{
    if (!check_rows(link, frame))
        return false;
    bool *is_back = NULL;
    for (size_t i = 0; i < frame->row_count; i++) {
        const struct link_row *row = &frame->rows[i];
        if (verdict_of(row) == ROUTE_DELIVER) {
            bool pressed = false;
            deliver_row(link, row, &pressed);
            if (pressed) {
                *ret_pressed = true;
                link->peer->overloaded = row->target ? row->target->number : 0;
            }
            continue;
        }
        if (!is_back)
            is_back = xcalloc(frame->row_count, sizeof(*is_back));
        is_back[i] = true;
    }
    if (is_back)
        send_back(link, frame, is_back);
    free(is_back);
    return true;
}

/* ---- our own ---- */

static const char *text_of(enum histrio_error error)
{
    switch (error) {
    case HISTRIO_UNCERTAIN: return "the connection to the actor's node broke before its answer came";
    case HISTRIO_UNAVAILABLE: return "the actor's unit is placed nowhere now, or its node cannot be reached";
    case HISTRIO_FENCED: return "the asker's unit was placed elsewhere";
    case HISTRIO_NOT_FOUND: return "no such actor";
    case HISTRIO_OK:
    case HISTRIO_MAILBOX_FULL:
    case HISTRIO_TIMEOUT:
    case HISTRIO_CRASHED:
    case HISTRIO_BAD_ARGUMENT:
    case HISTRIO_APPLICATION:
    case HISTRIO_DENIED: break;
    }
    return "error";
}

void deliver_outcome(struct transport *transport, const struct outcome *outcome)
{
    const char *text = text_of(outcome->error);
    struct actor_envelope envelope = {
        .kind = ENVELOPE_ERROR_REPLY,
        .error = outcome->error,
        .target = {transport->config.node_uid, outcome->asker},
        .ask = outcome->ask,
        .value = (const uint8_t *)text,
        .size = strlen(text),
    };
    (void)transport->inbound.deliver(
        transport->inbound.ctx, &envelope, NULL); /* its deadline may have passed */
}

void deliver_local(struct transport *transport, const struct batch *batch)
{
    int64_t now_ns = transport_now(transport);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct row *row = &batch->rows[i];
        int64_t left_ms = (row->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        struct actor_envelope envelope = {
            .kind = (enum actor_envelope_kind)row->kind,
            .target_name = row->target->text,
            .target_incarnation = row->incarnation,
            .sender_unit = row->sender_unit ? row->sender_unit->name : NULL,
            .type = row->type ? row->type->text : NULL,
            .ask = row->ask,
            .remaining_ms = row->kind != ROW_ASK ? 0
                            : left_ms < 1        ? 1
                                                 : (uint32_t)left_ms,
            .value = batch->data + row->offset,
            .size = row->size,
            .trace = trace_context_is_valid(&row->trace) ? &row->trace : NULL,
        };
        if (row->sender_id != 0)
            envelope.sender = (struct histrio_ref){transport->config.node_uid, row->sender_id};
        /* What the runtime does not take, it answers or counts itself. */
        (void)transport->inbound.deliver(transport->inbound.ctx, &envelope, NULL);
    }
}
