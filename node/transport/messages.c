/* The Messages stream: batches out, acknowledgements, credit. */
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/stream.h"
#include "transport/transport_private.h"

enum {
    WRITE_AHEAD_BYTES = 128 * 1024, /* given to the stream before its first write is done */
    ACKNOWLEDGE_ROWS = 1024,        /* so many are told at once, fewer with the next frame or by the timer */
    ACKNOWLEDGE_MS = 10,
    PRESSED_MS = 1,     /* how often overloaded receivers are looked at */
    WITHHELD_PART = 64, /* of what is withheld, goes back at each look all the same */
    WITHHELD_MIN = 16,
};

/* ---- out ---- */

static void tell_position(struct peer *peer, uint64_t first)
{
    struct link *link = peer->messages;
    struct batch position = {.first = first};
    struct link_extra extra = {
        .credit_bytes = peer->transport->config.credit_bytes,
        .credit_messages = peer->transport->config.credit_messages,
    };
    link->granted_bytes = (int64_t)extra.credit_bytes;
    link->granted_messages = (int64_t)extra.credit_messages;
    size_t size = link_encode_batch(&link->encoder, &position, 0, &extra);
    uint8_t *data = xmalloc(size);
    link_encode_finish(&link->encoder, data);
    link_send_take(link, data, size);
}

void messages_up(struct peer *peer)
{
    struct transport *transport = peer->transport;
    mutex_lock(&transport->lock);
    bool is_news = !peer->outbox->is_reachable;
    peer->outbox->is_connected = true;
    peer->outbox->is_reachable = true;
    uint64_t first = peer->outbox->sent_sequence + 1;
    mutex_unlock(&transport->lock);
    peer->acknowledged = 0;
    peer->spent_bytes = peer->spent_messages = 0; /* credit begins anew with the stream */
    peer->withheld_bytes = peer->withheld_messages = 0;
    tell_position(peer, first);
    messages_flush(peer);
    if (is_news)
        transport_notify(transport);
}

/* What goes beside the next frame. */
struct link_extra messages_extra(struct peer *peer)
{
    struct link *link = peer->messages;
    struct link_extra extra = {0};
    if (peer->taken > peer->acknowledged)
        extra.acknowledge = peer->acknowledged = peer->taken;
    extra.credit_bytes = peer->spent_bytes;
    extra.credit_messages = peer->spent_messages;
    link->granted_bytes += (int64_t)peer->spent_bytes;
    link->granted_messages += (int64_t)peer->spent_messages;
    peer->spent_bytes = peer->spent_messages = 0;
    if (peer->withheld_messages == 0 && peer->withheld_bytes == 0) {
        /* All is told: the time begins with the next that is not, so that where answers go back nothing goes
         * alone. */
        rpc_timer_cancel(peer->acknowledge_timer);
        peer->is_acknowledge_armed = false;
    }
    return extra;
}

static bool has_extra(const struct peer *peer)
{
    return peer->taken > peer->acknowledged || peer->spent_bytes > 0 || peer->spent_messages > 0;
}

static void write_batch(struct peer *peer, const struct batch *batch)
{
    struct link *link = peer->messages;
    struct link_extra extra = messages_extra(peer);
    size_t size = link_encode_batch(&link->encoder, batch, transport_now(peer->transport), &extra);
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    link_encode_finish(&link->encoder, rpc_buffer_data(buffer));
    link->credit_bytes -= (int64_t)size;
    link->credit_messages -= batch->count;
    struct err err;
    /* When the stream has ended, `closed` follows and the batch counts as lost. */
    (void)rpc_stream_write_take(link->stream, buffer, &err);
    mutex_lock(&peer->transport->lock);
    peer->transport->counters.frames_sent++;
    peer->transport->counters.messages_sent += batch->count;
    peer->transport->counters.bytes_sent += size;
    mutex_unlock(&peer->transport->lock);
}

static struct batch *next_batch(struct peer *peer)
{
    struct transport *transport = peer->transport;
    struct link *link = peer->messages;
    size_t queued = rpc_stream_queued_bytes(link->stream);
    bool may = queued < WRITE_AHEAD_BYTES && link->credit_bytes > 0 && link->credit_messages > 0;
    mutex_lock(&transport->lock);
    struct batch *batch = may ? outgoing_take(&transport->outgoing, peer->outbox, queued > 0) : NULL;
    /* Without credit its coming is what we wait for, as for the end of a write. */
    if (!batch)
        peer->outbox->is_writing = !may || !rpc_stream_is_idle(link->stream);
    mutex_unlock(&transport->lock);
    return batch;
}

void messages_flush(struct peer *peer)
{
    if (!peer->messages || !peer->messages->is_up)
        return;
    struct batch *batch;
    while ((batch = next_batch(peer)))
        write_batch(peer, batch);
    transport_drain(peer->transport); /* there may be room again */
}

/* ---- in ---- */

static void send_extra(struct peer *peer)
{
    struct link_extra extra = messages_extra(peer);
    size_t size;
    uint8_t *data = link_encode_extra(&extra, &size);
    link_send_take(peer->messages, data, size);
}

static void arm_acknowledge(struct peer *peer)
{
    if (peer->is_acknowledge_armed)
        return;
    peer->is_acknowledge_armed = true;
    rpc_timer_set(peer->acknowledge_timer, peer->withheld_messages > 0 ? PRESSED_MS : ACKNOWLEDGE_MS);
}

static uint64_t part_of(uint64_t withheld)
{
    uint64_t part = withheld / WITHHELD_PART;
    return part > WITHHELD_MIN ? part : withheld < WITHHELD_MIN ? withheld : WITHHELD_MIN;
}

void messages_acknowledge(struct peer *peer)
{
    if (!peer->messages || !peer->messages->is_up)
        return;
    const struct transport_inbound *inbound = &peer->transport->inbound;
    uint64_t messages = part_of(peer->withheld_messages), bytes = part_of(peer->withheld_bytes);
    bool is_over = peer->overloaded != 0 && inbound->is_overloaded &&
                   !inbound->is_overloaded(inbound->ctx, peer->overloaded);
    if (peer->withheld_messages <= WITHHELD_MIN || is_over) {
        messages = peer->withheld_messages;
        bytes = peer->withheld_bytes;
    }
    peer->withheld_messages -= messages;
    peer->withheld_bytes -= bytes;
    peer->spent_messages += messages;
    peer->spent_bytes += bytes;
    if (has_extra(peer))
        send_extra(peer);
    if (peer->withheld_messages > 0 || peer->withheld_bytes > 0)
        arm_acknowledge(peer);
}

/* The credit of what was taken goes back; of overloaded receivers slowly, so that the sender feels it. */
static void give_back(struct peer *peer, size_t rows, size_t bytes, bool pressed)
{
    const struct transport_config *config = &peer->transport->config;
    if (pressed) {
        peer->withheld_messages += rows;
        peer->withheld_bytes += bytes;
    } else {
        peer->spent_messages += rows + peer->withheld_messages;
        peer->spent_bytes += bytes + peer->withheld_bytes;
        peer->withheld_messages = peer->withheld_bytes = 0;
    }
    if (peer->taken - peer->acknowledged >= ACKNOWLEDGE_ROWS ||
        peer->spent_messages >= config->credit_messages / 4 || peer->spent_bytes >= config->credit_bytes / 4)
        send_extra(peer);
    else
        arm_acknowledge(peer);
}

static void take_batch(struct link *link, const struct link_frame *frame, size_t size)
{
    struct peer *peer = link->peer;
    if (link->granted_bytes <= 0 || link->granted_messages <= 0) {
        link_violated(link, "more than the credit allows");
        return;
    }
    link->granted_bytes -= (int64_t)size;
    link->granted_messages -= (int64_t)frame->row_count;
    bool pressed = false;
    if (!deliver_batch(link, frame, &pressed))
        return; /* of a dead node: as if it had never come */
    peer->taken = frame->sequence + frame->row_count - 1;
    give_back(peer, frame->row_count, size, pressed);
    system_run_waiting(peer);
}

static bool take_extra(struct link *link, const struct link_extra *extra)
{
    struct peer *peer = link->peer;
    struct transport *transport = peer->transport;
    if (extra->acknowledge > 0) {
        mutex_lock(&transport->lock);
        bool is_sane = outgoing_acknowledge(
            &transport->outgoing, peer->outbox, extra->acknowledge, transport_now(transport));
        mutex_unlock(&transport->lock);
        if (!is_sane) {
            link_violated(link, "an acknowledgement of what was not sent");
            return false;
        }
    }
    int64_t before = link->credit_bytes < link->credit_messages ? link->credit_bytes : link->credit_messages;
    if (extra->credit_bytes > 0 || extra->credit_messages > 0) {
        if (__builtin_add_overflow(link->credit_bytes, (int64_t)extra->credit_bytes, &link->credit_bytes) ||
            __builtin_add_overflow(
                link->credit_messages, (int64_t)extra->credit_messages, &link->credit_messages)) {
            link_violated(link, "more credit than makes sense");
            return false;
        }
        if (before <= 0)
            messages_flush(peer);
    }
    return true;
}

static bool take_bounce(struct link *link, const struct link_bounce *bounce)
{
    struct peer *peer = link->peer;
    struct transport *transport = peer->transport;
    int64_t now_ns = transport_now(transport);
    mutex_lock(&transport->lock);
    struct route_unit *unit =
        bounce->is_fenced ? NULL
                          : router_find(&transport->outgoing.router, bounce->unit, strlen(bounce->unit));
    bool is_news = unit && router_learn(unit, bounce->epoch, bounce->node_uid);
    bool is_sane = outgoing_return(
        &transport->outgoing, peer->outbox, bounce->sequences, bounce->count, bounce->is_fenced, now_ns);
    mutex_unlock(&transport->lock);
    if (!is_sane) {
        link_violated(link, "messages that were not sent came back");
        return false;
    }
    if (is_news)
        transport_refresh_later(transport);
    return true;
}

void messages_received(struct link *link, const struct link_frame *frame, size_t size)
{
    struct transport *transport = link->transport;
    mutex_lock(&transport->lock);
    transport->counters.frames_received++;
    transport->counters.bytes_received += size;
    mutex_unlock(&transport->lock);
    /* What came back is counted before an acknowledgement beside it covers it. */
    if (frame->kind == LINK_BOUNCE && !take_bounce(link, &frame->bounce))
        return;
    if (!take_extra(link, &frame->extra))
        return;
    if (frame->kind == LINK_BATCH && frame->row_count > 0)
        take_batch(link, frame, size);
    else if (frame->kind == LINK_BATCH) {
        if (frame->sequence - 1 > link->peer->taken)
            link->peer->taken = frame->sequence - 1;
        link->peer->acknowledged = link->peer->taken;
        system_run_waiting(link->peer);
    }
    transport_drain(transport);
}
