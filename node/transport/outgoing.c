#include "transport/outgoing.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "transport/outgoing_private.h"

#include <assert.h>

enum { SPARE_MAX = 64 };

void outgoing_init(struct outgoing *outgoing, uint64_t self, const struct outgoing_limits *limits)
{
    *outgoing = (struct outgoing){.limits = *limits};
    router_init(&outgoing->router, self);
    list_init(&outgoing->dirty);
    list_init(&outgoing->unsettled);
}

static void free_signals(struct list *signals)
{
    struct list_node *node;
    while ((node = list_pop_front(signals)))
        free(list_entry(node, struct pending_signal, node));
}

static void free_outbox(void *pointer)
{
    struct outbox *outbox = pointer;
    batch_list_done(&outbox->open);
    batch_list_done(&outbox->sent);
    asks_done(&outbox->asks);
    free_signals(&outbox->signals);
    free(outbox->node_name);
    free(outbox->link_address);
    free(outbox);
}

void outgoing_done(struct outgoing *outgoing)
{
    map64_done(&outgoing->outboxes, free_outbox);
    map_for_each (item, &outgoing->router.units) {
        struct unit_queue *queue = ((struct route_unit *)item.value)->queue;
        if (!queue)
            continue;
        batch_list_done(&queue->returned);
        batch_list_done(&queue->held);
        free_signals(&queue->signals);
        free(queue);
    }
    router_done(&outgoing->router);
    texts_done(&outgoing->texts);
    batch_list_done(&outgoing->local);
    vec_done(&outgoing->outcomes);
    while (outgoing->spare) {
        struct batch *batch = outgoing->spare;
        outgoing->spare = batch->next;
        batch_free(batch);
    }
}

struct outbox *outgoing_find(const struct outgoing *outgoing, uint64_t node_uid)
{
    return map64_get(&outgoing->outboxes, node_uid);
}

struct outbox *outgoing_add(struct outgoing *outgoing, uint64_t node_uid)
{
    struct outbox *outbox = outgoing_find(outgoing, node_uid);
    if (outbox)
        return outbox;
    outbox = xcalloc(1, sizeof(*outbox));
    outbox->node_uid = node_uid;
    outbox->is_reachable = true;
    outbox->next_sequence = 1;
    list_init(&outbox->signals);
    (void)map64_put(&outgoing->outboxes, node_uid, outbox); /* it was not there */
    return outbox;
}

struct unit_queue *outgoing_queue(struct outgoing *outgoing, struct route_unit *unit)
{
    if (unit->queue)
        return unit->queue;
    struct unit_queue *queue = xcalloc(1, sizeof(*queue));
    queue->unit = unit;
    list_init(&queue->signals);
    unit->queue = queue;
    if (!unit->text)
        unit->text = texts_get(&outgoing->texts, TEXT_NAME, 0, unit->name);
    return queue;
}

void outgoing_mark(struct outgoing *outgoing, struct outbox *outbox)
{
    if (!list_node_is_linked(&outbox->dirty_node))
        list_push_back(&outgoing->dirty, &outbox->dirty_node);
    outgoing->wake_wanted = true;
}

void outgoing_unsettled(struct outgoing *outgoing, struct unit_queue *queue, int64_t now_ns)
{
    if (queue->hold_until_ns == 0)
        queue->hold_until_ns = now_ns + outgoing->limits.hold_ns;
    if (list_node_is_linked(&queue->node))
        return;
    list_push_back(&outgoing->unsettled, &queue->node);
    outgoing->wake_wanted = true;
}

void outgoing_recycle(struct outgoing *outgoing, struct batch *batch)
{
    if (outgoing->spare_count >= SPARE_MAX) {
        batch_free(batch);
        return;
    }
    batch_clear(batch);
    batch->next = outgoing->spare;
    outgoing->spare = batch;
    outgoing->spare_count++;
}

static struct batch *spare_batch(struct outgoing *outgoing)
{
    struct batch *batch = outgoing->spare;
    if (!batch)
        return batch_new();
    outgoing->spare = batch->next;
    outgoing->spare_count--;
    return batch;
}

void outgoing_fail(struct outgoing *outgoing, const struct row *row, enum histrio_error error)
{
    switch ((enum row_kind)row->kind) {
    case ROW_TELL: outgoing->lost_tells++; break;
    case ROW_ASK:
        if (error == HISTRIO_UNCERTAIN)
            outgoing->uncertain_asks++;
        vec_push(&outgoing->outcomes, ((struct outcome){row->ask, row->sender_id, error}));
        outgoing->wake_wanted = true;
        break;
    case ROW_REPLY:
    case ROW_ERROR_REPLY: break; /* its asker has a deadline */
    }
}

void outgoing_check_room(struct outgoing *outgoing, struct outbox *outbox)
{
    if (!outbox->is_over || outbox->open.bytes > outgoing->limits.high_bytes / 2)
        return;
    outbox->is_over = false;
    outgoing->lift_wanted = true;
}

/* ---- appending ---- */

/* The place in a batch where its statement about a unit is, added if need be; NULL: it says another epoch
 * already. */
static struct batch_unit *say_target(struct batch *batch, struct route_unit *unit, uint64_t epoch)
{
    for (size_t i = batch->targets.count; i-- > 0;)
        if (batch->targets.items[i].unit == unit)
            return batch->targets.items[i].epoch == epoch ? &batch->targets.items[i] : NULL;
    vec_push(&batch->targets, ((struct batch_unit){unit, epoch, 0}));
    return &batch->targets.items[batch->targets.count - 1];
}

static bool say_sender(struct batch *batch, struct route_unit *unit)
{
    for (size_t i = batch->senders.count; i-- > 0;)
        if (batch->senders.items[i].unit == unit)
            return batch->senders.items[i].epoch == unit->own_epoch;
    vec_push(&batch->senders, ((struct batch_unit){unit, unit->own_epoch, 0}));
    return true;
}

static bool say_units(struct batch *batch, const struct row *row, uint64_t epoch)
{
    if (row->sender_unit && !say_sender(batch, row->sender_unit))
        return false;
    if (!row->unit)
        return true;
    struct batch_unit *target = say_target(batch, row->unit, epoch);
    if (target)
        target->in_flight++;
    return target != NULL;
}

void outgoing_append(
    struct outgoing *outgoing, struct outbox *outbox, const struct row *row, const void *data)
{
    uint64_t epoch = 0;
    if (row->unit) {
        struct unit_queue *queue = outgoing_queue(outgoing, row->unit);
        if (queue->in_flight++ == 0) {
            queue->flight = outbox;
            queue->flight_epoch = row->unit->epoch;
        }
        assert(queue->flight == outbox);
        epoch = queue->flight_epoch;
    }
    struct batch *batch = outbox->open.last;
    bool is_new = !batch || !batch_has_room(batch, row->size) || !say_units(batch, row, epoch);
    if (is_new) {
        batch = spare_batch(outgoing);
        batch->first = outbox->next_sequence;
        batch_list_push(&outbox->open, batch);
        (void)say_units(batch, row, epoch); /* an empty batch says everything */
    }
    (void)batch_append(batch, row, data); /* nobody needs its place */
    outbox->open.bytes += row_cost(row);
    outbox->next_sequence++;
    if (row->kind == ROW_ASK)
        asks_put(&outbox->asks, row->ask, row->sender_id, row->deadline_ns);
    /* While a write is in flight the loop comes by anyway, unless a batch has become full. */
    if (outbox->is_connected && (!outbox->is_writing || is_new))
        outgoing_mark(outgoing, outbox);
}

/* ---- from the runtime ---- */

static struct route_unit *sender_unit(struct outgoing *outgoing, const char *name)
{
    if (!name || !*name)
        return NULL;
    struct route_unit *unit = outgoing->last_unit;
    if (unit && outgoing->last_unit_text == name && strcmp(unit->name, name) == 0)
        return unit;
    unit = router_find(&outgoing->router, name, strlen(name));
    if (!unit)
        return NULL; /* a runtime without control: nothing is held, nothing is fenced */
    if (!unit->text)
        unit->text = texts_get(&outgoing->texts, TEXT_NAME, 0, unit->name);
    outgoing->last_unit = unit;
    outgoing->last_unit_text = name;
    return unit;
}

static struct route_unit *unit_of(struct outgoing *outgoing, struct text *text)
{
    if (!text->unit)
        text->unit = router_find(&outgoing->router, text->text, router_unit_size(text->text));
    return text->unit;
}

enum histrio_error outgoing_error_of(const struct outgoing *outgoing, enum route_verdict verdict)
{
    switch (verdict) {
    case ROUTE_FORWARD: return HISTRIO_OK;
    case ROUTE_UNAVAILABLE: return HISTRIO_UNAVAILABLE;
    case ROUTE_NOT_FOUND: return outgoing->router.version == 0 ? HISTRIO_UNAVAILABLE : HISTRIO_NOT_FOUND;
    case ROUTE_DELIVER:
    case ROUTE_BOUNCE:
    case ROUTE_FENCED: break;
    }
    return HISTRIO_NOT_FOUND; /* its unit is here, and the runtime does not have it */
}

static enum histrio_error outbox_error(const struct outbox *outbox)
{
    return !outbox || outbox->is_dead || !outbox->is_reachable ? HISTRIO_UNAVAILABLE : HISTRIO_OK;
}

/* Where a name is: an outbox, or why not. */
static enum histrio_error route(
    struct outgoing *outgoing, const struct route_unit *unit, struct outbox **ret_outbox)
{
    enum route_verdict verdict = router_send(&outgoing->router, unit);
    if (verdict != ROUTE_FORWARD)
        return outgoing_error_of(outgoing, verdict);
    /* Mostly it is where the last one went. */
    struct outbox *outbox = unit->queue ? unit->queue->flight : NULL;
    if (!outbox || outbox->node_uid != unit->node_uid)
        outbox = outgoing_find(outgoing, unit->node_uid);
    *ret_outbox = outbox;
    return outbox_error(outbox);
}

bool queue_must_hold(const struct unit_queue *queue, const struct outbox *outbox)
{
    if (!queue_is_settled(queue))
        return true;
    return queue->in_flight > 0 && (queue->flight != outbox || queue->flight_epoch != queue->unit->epoch);
}

static void fill_row(
    struct outgoing *outgoing, const struct actor_envelope *envelope, int64_t now_ns, struct row *row)
{
    *row = (struct row){
        .kind = (uint8_t)envelope->kind,
        .target_id = envelope->target_name ? 0 : envelope->target.id,
        .sender_id = envelope->sender.id,
        .sender_unit = sender_unit(outgoing, envelope->sender_unit),
        .ask = envelope->ask,
        .incarnation = (uint32_t)envelope->target_incarnation,
        .size = (uint32_t)envelope->size,
    };
    if (envelope->trace)
        row->trace = *envelope->trace;
    if (envelope->kind == ENVELOPE_ASK)
        row->deadline_ns = now_ns + (int64_t)envelope->remaining_ms * NS_PER_MS;
    if (envelope->kind <= ENVELOPE_ASK && envelope->type_id != 0)
        row->type = texts_get(&outgoing->texts, TEXT_METHOD, envelope->type_id,
            envelope->type ? envelope->type : histrio_type_name(envelope->type_id));
}

/* A row that a peer would refuse must not leave: the peer would close the stream on all of us. */
static bool may_leave(const struct row *row)
{
    if (row->size > LIMIT_VALUE_BYTES + 1 || (row->kind != ROW_TELL) != (row->ask != 0))
        return false;
    if (row->target ? !row->target->may_leave : row->target_id == 0)
        return false;
    if (row->kind >= ROW_REPLY)
        return true;
    return row->type && row->type->may_leave && row->type->size <= LIMIT_MESSAGE_TYPE_BYTES &&
           (row->kind == ROW_TELL || row->sender_id != 0);
}

static enum histrio_error send_to_reference(
    struct outgoing *outgoing, const struct actor_envelope *envelope, int64_t now_ns, bool *ret_pressure)
{
    struct outbox *outbox = outgoing_find(outgoing, envelope->target.node);
    if (outbox && outbox->is_dead)
        return HISTRIO_NOT_FOUND; /* a reference is dead for ever */
    enum histrio_error error = outbox_error(outbox);
    if (error != HISTRIO_OK)
        return error;
    struct row row;
    fill_row(outgoing, envelope, now_ns, &row);
    if (!may_leave(&row))
        return HISTRIO_BAD_ARGUMENT;
    if (envelope->kind == ENVELOPE_ERROR_REPLY) { /* the error goes before its text */
        uint8_t text[256];
        size_t size = envelope->size < sizeof(text) - 1 ? envelope->size : sizeof(text) - 1;
        text[0] = (uint8_t)envelope->error;
        if (size > 0)
            memcpy(text + 1, envelope->value, size);
        row.size = (uint32_t)size + 1;
        outgoing_append(outgoing, outbox, &row, text);
    } else
        outgoing_append(outgoing, outbox, &row, envelope->value);
    if (outbox->open.bytes > outgoing->limits.high_bytes && envelope->kind <= ENVELOPE_ASK)
        *ret_pressure = outbox->is_over = true;
    return HISTRIO_OK;
}

enum histrio_error outgoing_send(
    struct outgoing *outgoing, const struct actor_envelope *envelope, int64_t now_ns, bool *ret_pressure)
{
    *ret_pressure = false;
    if (outgoing->is_closed)
        return HISTRIO_UNAVAILABLE;
    if (!envelope->target_name)
        return send_to_reference(outgoing, envelope, now_ns, ret_pressure);
    struct text *target = texts_get(&outgoing->texts, TEXT_NAME, envelope->target.id, envelope->target_name);
    struct route_unit *unit = unit_of(outgoing, target);
    struct outbox *outbox = NULL;
    enum histrio_error error = route(outgoing, unit, &outbox);
    if (error != HISTRIO_OK)
        return error;
    struct row row;
    fill_row(outgoing, envelope, now_ns, &row);
    row.target = target;
    row.unit = unit;
    if (!may_leave(&row))
        return HISTRIO_BAD_ARGUMENT;
    struct unit_queue *queue = outgoing_queue(outgoing, unit);
    if (queue_must_hold(queue, outbox)) {
        batch_list_append(&queue->held, &row, envelope->value);
        outgoing_unsettled(outgoing, queue, now_ns);
        if (queue->held.bytes > outgoing->limits.high_bytes)
            *ret_pressure = queue->is_over = true;
        return HISTRIO_OK;
    }
    outgoing_append(outgoing, outbox, &row, envelope->value);
    if (outbox->open.bytes > outgoing->limits.high_bytes)
        *ret_pressure = outbox->is_over = true;
    return HISTRIO_OK;
}

struct batch *outgoing_take(struct outgoing *outgoing, struct outbox *outbox, bool only_full)
{
    struct batch *batch = outbox->open.first;
    if (!batch || outbox->is_dead ||
        (only_full && batch == outbox->open.last && batch->count < BATCH_ROWS_MAX))
        return NULL;
    (void)batch_list_pop(&outbox->open); /* that is `batch` */
    batch_list_push(&outbox->sent, batch);
    outbox->sent_sequence = batch_last(batch);
    outgoing_check_room(outgoing, outbox);
    return batch;
}
