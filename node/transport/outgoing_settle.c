/* The second half of outgoing: acknowledgements, what comes back, breaks, and where it goes then. */
#include "base/clock.h"
#include "base/mem.h"
#include "transport/outgoing.h"
#include "transport/outgoing_private.h"

#include <assert.h>

/* ---- settling: invariant 2 ---- */

static void leave_unsettled(struct outgoing *outgoing, struct unit_queue *queue)
{
    list_remove(&queue->node);
    if (queue->is_over) {
        queue->is_over = false;
        outgoing->lift_wanted = true;
    }
}

static void each_row(struct outgoing *outgoing, struct batch_list *list, struct outbox *outbox,
    enum histrio_error error, int64_t now_ns)
{
    struct batch *batch;
    while ((batch = batch_list_pop(list))) {
        for (uint32_t i = 0; i < batch->count; i++) {
            const struct row *row = &batch->rows[i];
            if (row->kind == ROW_ASK && row->deadline_ns <= now_ns)
                continue; /* its asker has given up */
            if (error != HISTRIO_OK)
                outgoing_fail(outgoing, row, error);
            else if (outbox)
                outgoing_append(outgoing, outbox, row, batch->data + row->offset);
            else
                batch_list_append(&outgoing->local, row, batch->data + row->offset);
        }
        outgoing_recycle(outgoing, batch);
    }
}

/* Everything that waits for the unit goes to a peer, to the runtime here (outbox NULL), or nowhere (error).
 */
static void release(struct outgoing *outgoing, struct unit_queue *queue, struct outbox *outbox,
    enum histrio_error error, int64_t now_ns)
{
    each_row(outgoing, &queue->returned, outbox, error, now_ns);
    each_row(outgoing, &queue->held, outbox, error, now_ns);
    struct list_node *node;
    while ((node = list_pop_front(&queue->signals))) {
        struct pending_signal *pending = list_entry(node, struct pending_signal, node);
        if (outbox)
            outgoing_push_signal(outgoing, outbox, pending);
        else
            free(pending); /* the runtime was told a node: it ends the link when that one is declared dead */
    }
    leave_unsettled(outgoing, queue);
    outgoing->wake_wanted = true;
}

static void settle(struct outgoing *outgoing, struct unit_queue *queue, int64_t now_ns)
{
    if (queue->in_flight > 0)
        return;
    if (queue_is_settled(queue)) {
        leave_unsettled(outgoing, queue);
        queue->hold_until_ns = 0;
        return;
    }
    bool is_late = now_ns >= queue->hold_until_ns;
    enum histrio_error error = HISTRIO_UNAVAILABLE;
    switch (router_send(&outgoing->router, queue->unit)) {
    case ROUTE_DELIVER: release(outgoing, queue, NULL, HISTRIO_OK, now_ns); return;
    case ROUTE_FORWARD: {
        struct outbox *outbox = outgoing_find(outgoing, queue->unit->node_uid);
        if (!outbox || outbox->is_dead || !outbox->is_reachable)
            break;
        bool is_same = outbox == queue->flight && queue->unit->epoch == queue->flight_epoch;
        if (is_same && now_ns < queue->retry_at_ns)
            return;
        if (is_same && is_late)
            break;
        release(outgoing, queue, outbox, HISTRIO_OK, now_ns);
        return;
    }
    case ROUTE_NOT_FOUND:
        is_late = true;
        error = HISTRIO_NOT_FOUND;
        break;
    case ROUTE_UNAVAILABLE:
    case ROUTE_BOUNCE:
    case ROUTE_FENCED: break;
    }
    if (is_late) {
        release(outgoing, queue, NULL, error, now_ns);
        queue->hold_until_ns = 0;
    }
}

void outgoing_settle(struct outgoing *outgoing, int64_t now_ns)
{
    list_for_each_safe (queue, &outgoing->unsettled, struct unit_queue, node)
        settle(outgoing, queue, now_ns);
}

/* ---- what the peer says ---- */

static void landed(struct outgoing *outgoing, struct route_unit *unit, uint32_t rows, int64_t now_ns)
{
    struct unit_queue *queue = unit->queue;
    assert(queue && queue->in_flight >= rows);
    queue->in_flight -= rows;
    if (queue->in_flight == 0)
        settle(outgoing, queue, now_ns);
}

bool outgoing_acknowledge(struct outgoing *outgoing, struct outbox *outbox, uint64_t sequence, int64_t now_ns)
{
    if (sequence > outbox->sent_sequence)
        return false;
    while (outbox->sent.first && batch_last(outbox->sent.first) <= sequence) {
        struct batch *batch = batch_list_pop(&outbox->sent);
        vec_for_each (target, &batch->targets)
            if (target->in_flight > 0)
                landed(outgoing, target->unit, target->in_flight, now_ns);
        outgoing_recycle(outgoing, batch);
    }
    return true;
}

static void forget_in_batch(struct batch *batch, const struct route_unit *unit)
{
    vec_for_each (target, &batch->targets)
        if (target->unit == unit)
            target->in_flight--;
}

static struct batch *sent_batch(const struct outbox *outbox, uint64_t sequence)
{
    struct batch *batch = outbox->sent.first;
    while (batch && batch_last(batch) < sequence)
        batch = batch->next;
    return batch && batch->first <= sequence ? batch : NULL;
}

static void row_back(struct outgoing *outgoing, struct outbox *outbox, struct batch *batch, struct row *row,
    bool is_fenced, int64_t now_ns)
{
    row->is_settled = true;
    if (row->kind == ROW_ASK)
        (void)asks_remove(&outbox->asks, row->ask); /* it has an outcome, or is put again */
    if (is_fenced) {
        outgoing->fenced++;
        outgoing_fail(outgoing, row, HISTRIO_FENCED);
    } else {
        struct unit_queue *queue = row->unit->queue;
        outgoing->bounced++;
        batch_list_append(&queue->returned, row, batch->data + row->offset);
        outgoing_unsettled(outgoing, queue, now_ns);
        queue->retry_at_ns = now_ns + outgoing->limits.retry_ns;
    }
    if (row->unit) {
        forget_in_batch(batch, row->unit);
        landed(outgoing, row->unit, 1, now_ns);
    }
}

bool outgoing_return(struct outgoing *outgoing, struct outbox *outbox, const uint64_t *sequences,
    size_t count, bool is_fenced, int64_t now_ns)
{
    uint64_t former = 0;
    for (size_t i = 0; i < count; i++) {
        struct batch *batch = sequences[i] > former ? sent_batch(outbox, sequences[i]) : NULL;
        if (!batch)
            return false;
        former = sequences[i];
        struct row *row = &batch->rows[sequences[i] - batch->first];
        if (row->is_settled || (!row->unit && !is_fenced))
            return false;
        row_back(outgoing, outbox, batch, row, is_fenced, now_ns);
    }
    return true;
}

/* ---- breaks ---- */

/* Rows that were sent: what is not for sure delivered, is not sent again, but for replies. */
static void lose_sent(
    struct outgoing *outgoing, struct outbox *outbox, struct batch_list *replies, int64_t now_ns)
{
    struct batch *batch;
    while ((batch = batch_list_pop(&outbox->sent))) {
        for (uint32_t i = 0; i < batch->count; i++) {
            struct row *row = &batch->rows[i];
            if (row->is_settled)
                continue;
            if (row->kind == ROW_ASK && !asks_remove(&outbox->asks, row->ask))
                continue; /* answered already */
            if (row->kind == ROW_REPLY || row->kind == ROW_ERROR_REPLY)
                batch_list_append(replies, row, batch->data + row->offset);
            else
                outgoing_fail(outgoing, row, HISTRIO_UNCERTAIN);
        }
        vec_for_each (target, &batch->targets)
            if (target->in_flight > 0)
                landed(outgoing, target->unit, target->in_flight, now_ns);
        outgoing_recycle(outgoing, batch);
    }
}

/* Replies go before everything that waits; sequences go on from the last one given out, so none is used
 * twice. */
static void requeue(struct outgoing *outgoing, struct outbox *outbox, struct batch_list *replies)
{
    struct batch_list open = outbox->open;
    outbox->open = (struct batch_list){0};
    struct batch *batch;
    while ((batch = batch_list_pop(replies))) {
        for (uint32_t i = 0; i < batch->count; i++)
            outgoing_append(outgoing, outbox, &batch->rows[i], batch->data + batch->rows[i].offset);
        outgoing_recycle(outgoing, batch);
    }
    while ((batch = batch_list_pop(&open))) {
        batch->first = outbox->next_sequence;
        outbox->next_sequence += batch->count;
        batch_list_push(&outbox->open, batch);
    }
    list_for_each (pending, &outbox->signals, struct pending_signal, node)
        pending->after = outbox->next_sequence - 1;
}

void outgoing_broken(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns)
{
    struct batch_list replies = {0};
    outbox->is_connected = false;
    outbox->is_writing = false;
    lose_sent(outgoing, outbox, &replies, now_ns);
    if (replies.first)
        requeue(outgoing, outbox, &replies);
    outbox->sent_sequence = outbox->open.first ? outbox->open.first->first - 1 : outbox->next_sequence - 1;
}

/* Takes all of the open batches; what has a unit may go elsewhere when `again`. */
static void give_up_open(struct outgoing *outgoing, struct outbox *outbox, bool again, int64_t now_ns)
{
    struct batch *batch;
    while ((batch = batch_list_pop(&outbox->open))) {
        for (uint32_t i = 0; i < batch->count; i++) {
            struct row *row = &batch->rows[i];
            if (row->kind == ROW_ASK && !asks_remove(&outbox->asks, row->ask))
                continue;
            if (again && row->unit) {
                batch_list_append(&row->unit->queue->returned, row, batch->data + row->offset);
                outgoing_unsettled(outgoing, row->unit->queue, now_ns);
            } else
                outgoing_fail(outgoing, row, again ? HISTRIO_NOT_FOUND : HISTRIO_UNAVAILABLE);
        }
        vec_for_each (target, &batch->targets)
            if (target->in_flight > 0)
                landed(outgoing, target->unit, target->in_flight, now_ns);
        outgoing_recycle(outgoing, batch);
    }
    outgoing_check_room(outgoing, outbox);
    outbox->sent_sequence = outbox->next_sequence - 1;
}

void outgoing_unreachable(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns)
{
    outbox->is_reachable = false;
    give_up_open(outgoing, outbox, false, now_ns);
}

void outgoing_dead(struct outgoing *outgoing, struct outbox *outbox, int64_t now_ns)
{
    struct batch_list replies = {0};
    outbox->is_dead = true;
    outbox->is_connected = false;
    lose_sent(outgoing, outbox, &replies, now_ns);
    batch_list_done(&replies); /* nobody waits for them any more */
    give_up_open(outgoing, outbox, true, now_ns);
    for (size_t i = 0; i < outbox->asks.capacity; i++) {
        const struct ask_entry *entry = &outbox->asks.entries[i];
        if (entry->ask == 0)
            continue;
        outgoing->uncertain_asks++;
        vec_push(&outgoing->outcomes, ((struct outcome){entry->ask, entry->asker, HISTRIO_UNCERTAIN}));
        outgoing->wake_wanted = true;
    }
    asks_done(&outbox->asks);
    struct list_node *node;
    while ((node = list_pop_front(&outbox->signals)))
        free(list_entry(node, struct pending_signal, node));
    outbox->signal_count = 0;
}

void outgoing_close(struct outgoing *outgoing)
{
    outgoing->is_closed = true;
    map64_for_each(item, &outgoing->outboxes)
    {
        struct outbox *outbox = item.value;
        struct batch_list replies = {0};
        lose_sent(outgoing, outbox, &replies, 0);
        batch_list_done(&replies);
        give_up_open(outgoing, outbox, false, 0);
    }
    list_for_each_safe (queue, &outgoing->unsettled, struct unit_queue, node)
        release(outgoing, queue, NULL, HISTRIO_UNAVAILABLE, 0);
    list_init(&outgoing->dirty);
}
