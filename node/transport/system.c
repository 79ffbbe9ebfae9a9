/* The System stream: signals, acknowledged and sent again to the same node after a break; heartbeats, and
 * cancels of asks, which are neither. */
#include "base/mem.h"
#include "transport/transport_private.h"

enum { WAITING_MAX = 100 * 1000, CANCELS_WAITING_MAX = WAITING_MAX / 2 };

static bool is_up(const struct peer *peer)
{
    return peer->system && peer->system->is_up;
}

/* ---- out ---- */

static void send_signal(struct peer *peer, const struct pending_signal *pending)
{
    size_t size;
    uint8_t *data = system_encode_signal(pending, peer->signals_taken, &size);
    peer->signals_acknowledged = peer->signals_taken;
    link_send_take(peer->system, data, size);
    mutex_lock(&peer->transport->lock);
    peer->transport->counters.signals_sent++;
    mutex_unlock(&peer->transport->lock);
}

/* Nobody acknowledges it: it is over for us. */
static void send_cancel_take(struct peer *peer, struct pending_signal *pending)
{
    size_t size;
    uint8_t *data = system_encode_cancel(pending, peer->signals_taken, &size);
    peer->signals_acknowledged = peer->signals_taken;
    link_send_take(peer->system, data, size);
    free(pending);
    mutex_lock(&peer->transport->lock);
    peer->transport->counters.signals_sent++;
    peer->outbox->signal_count--;
    mutex_unlock(&peer->transport->lock);
}

void system_up(struct peer *peer)
{
    list_for_each (pending, &peer->signals_sent, struct pending_signal, node)
        send_signal(peer, pending);
    system_beat(peer);
    system_flush(peer);
}

void system_flush(struct peer *peer)
{
    if (!is_up(peer))
        return;
    struct list fresh;
    list_init(&fresh);
    mutex_lock(&peer->transport->lock);
    list_append_all(&fresh, &peer->outbox->signals);
    mutex_unlock(&peer->transport->lock);
    struct list_node *node;
    while ((node = list_pop_front(&fresh))) {
        struct pending_signal *pending = list_entry(node, struct pending_signal, node);
        if (pending->signal.kind == SIGNAL_CANCEL) {
            send_cancel_take(peer, pending);
            continue;
        }
        pending->sequence = ++peer->signal_sequence;
        list_push_back(&peer->signals_sent, &pending->node);
        send_signal(peer, pending);
    }
}

void system_beat(struct peer *peer)
{
    size_t size;
    uint8_t *data = system_encode_heartbeat(++peer->nonce, peer->echo, peer->signals_taken, &size);
    peer->signals_acknowledged = peer->signals_taken;
    link_send_take(peer->system, data, size);
}

static void acknowledged(struct peer *peer, uint64_t sequence)
{
    size_t count = 0;
    list_for_each_safe (pending, &peer->signals_sent, struct pending_signal, node) {
        if (pending->sequence > sequence)
            break;
        list_remove(&pending->node);
        free(pending);
        count++;
    }
    if (count == 0)
        return;
    mutex_lock(&peer->transport->lock);
    peer->outbox->signal_count -= count;
    mutex_unlock(&peer->transport->lock);
}

void system_forget(struct peer *peer)
{
    list_for_each_safe (pending, &peer->signals_sent, struct pending_signal, node) {
        list_remove(&pending->node);
        free(pending);
    }
    list_for_each_safe (waiting, &peer->signals_waiting, struct waiting_signal, node) {
        list_remove(&waiting->node);
        free(waiting->copy);
        free(waiting);
    }
    peer->signals_waiting_count = 0;
}

/* ---- in ---- */

static void hand_over(struct peer *peer, const struct actor_signal *signal)
{
    struct transport *transport = peer->transport;
    mutex_lock(&transport->lock);
    bool is_dead = peer->outbox->is_dead;
    transport->counters.signals_received++;
    mutex_unlock(&transport->lock);
    if (!is_dead)
        transport->inbound.signal(transport->inbound.ctx, signal);
}

/* R2: a signal of a unit that is placed elsewhere by now is not obeyed. */
static bool is_fenced(struct peer *peer, const struct system_frame *frame)
{
    struct transport *transport = peer->transport;
    if (!*frame->from_unit)
        return false;
    mutex_lock(&transport->lock);
    struct route_unit *unit =
        router_find(&transport->outgoing.router, frame->from_unit, strlen(frame->from_unit));
    bool fenced = router_receive_from(unit, frame->from_epoch) == ROUTE_FENCED;
    if (unit && !fenced)
        (void)router_learn(unit, frame->from_epoch, peer->outbox->node_uid); /* the same: nothing new */
    if (fenced)
        transport->outgoing.fenced++;
    mutex_unlock(&transport->lock);
    return fenced;
}

static bool wait_for_rows(struct peer *peer, const struct system_frame *frame)
{
    if (list_is_empty(&peer->signals_waiting) && frame->after <= peer->taken)
        return false;
    struct waiting_signal *waiting = xcalloc(1, sizeof(*waiting));
    waiting->after = frame->after;
    waiting->copy = outgoing_copy_signal(&frame->signal);
    list_push_back(&peer->signals_waiting, &waiting->node);
    peer->signals_waiting_count++;
    return true;
}

void system_run_waiting(struct peer *peer)
{
    list_for_each_safe (waiting, &peer->signals_waiting, struct waiting_signal, node) {
        if (waiting->after > peer->taken)
            return;
        list_remove(&waiting->node);
        peer->signals_waiting_count--;
        hand_over(peer, &waiting->copy->signal);
        free(waiting->copy);
        free(waiting);
    }
}

/* Whatever it says, it comes from this peer, and is for us. */
static void set_ends(struct link *link, struct actor_signal *signal)
{
    signal->from.node = link->peer->outbox->node_uid;
    if (signal->to.id != 0)
        signal->to.node = link->transport->config.node_uid;
}

/* Needs no fence: it means asks of the same incarnation only. A peer that cancels more asks than it may have
 * under way is not listened to in this, so that signals have room to wait. */
static void take_cancel(struct link *link, struct system_frame *frame)
{
    struct peer *peer = link->peer;
    if (peer->signals_waiting_count >= CANCELS_WAITING_MAX)
        return;
    set_ends(link, &frame->signal);
    if (!wait_for_rows(peer, frame))
        hand_over(peer, &frame->signal);
}

static void take_signal(struct link *link, struct system_frame *frame)
{
    struct peer *peer = link->peer;
    if (frame->sequence <= peer->signals_taken)
        return; /* sent again, and known */
    if (frame->sequence != peer->signals_taken + 1) {
        link_violated(link, "a signal is missing");
        return;
    }
    if (peer->signals_waiting_count >= WAITING_MAX) {
        link_violated(link, "too many signals wait for messages");
        return;
    }
    peer->signals_taken = frame->sequence;
    set_ends(link, &frame->signal);
    if (!is_fenced(peer, frame) && !wait_for_rows(peer, frame))
        hand_over(peer, &frame->signal);
}

void system_received(struct link *link, const struct system_frame *frame)
{
    struct peer *peer = link->peer;
    if (frame->acknowledge > peer->signal_sequence) {
        link_violated(link, "an acknowledgement of what was not sent");
        return;
    }
    acknowledged(peer, frame->acknowledge);
    if (frame->kind == SYSTEM_HEARTBEAT)
        peer->echo = frame->nonce;
    if (frame->kind == SYSTEM_SIGNAL) {
        struct system_frame copy = *frame;
        take_signal(link, &copy);
    }
    if (frame->kind == SYSTEM_CANCEL) {
        struct system_frame copy = *frame;
        take_cancel(link, &copy);
    }
}
