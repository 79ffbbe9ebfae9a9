/* One other node: its two links, dialling, and its end. */
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "transport/transport_private.h"

enum { REDIAL_FIRST_MS = 5, REDIAL_MAX_MS = 200, REDIAL_RESET_MS = 2000 };

static bool is_dialler(const struct peer *peer)
{
    return peer->transport->config.node_uid < peer->outbox->node_uid;
}

static void redial(void *ctx)
{
    peer_dial(ctx);
}

static void acknowledge_due(void *ctx)
{
    struct peer *peer = ctx;
    peer->is_acknowledge_armed = false;
    messages_acknowledge(peer);
}

struct peer *peer_new(struct transport *transport, struct outbox *outbox)
{
    struct peer *peer = xcalloc(1, sizeof(*peer));
    peer->transport = transport;
    peer->outbox = outbox;
    peer->disconnected_ns = transport_now(transport);
    peer->redial_timer = rpc_timer_new(transport->loop, redial, peer);
    peer->acknowledge_timer = rpc_timer_new(transport->loop, acknowledge_due, peer);
    backoff_init(&peer->backoff, REDIAL_FIRST_MS, REDIAL_MAX_MS, REDIAL_RESET_MS);
    list_init(&peer->signals_sent);
    list_init(&peer->signals_waiting);
    return peer;
}

static void end_links(struct peer *peer, const char *why)
{
    if (peer->messages)
        link_end(peer->messages, RPC_FAILED_PRECONDITION, why);
    if (peer->system)
        link_end(peer->system, RPC_FAILED_PRECONDITION, why);
    rpc_timer_cancel(peer->redial_timer);
    rpc_timer_cancel(peer->acknowledge_timer);
    rpc_client_free(peer->client);
    peer->client = NULL;
}

void peer_free(struct peer *peer)
{
    if (!peer)
        return;
    peer->is_buried = true; /* nothing is dialled again */
    end_links(peer, "the node stops");
    system_forget(peer);
    rpc_timer_free(peer->redial_timer);
    rpc_timer_free(peer->acknowledge_timer);
    free(peer);
}

void peer_dial(struct peer *peer)
{
    struct transport *transport = peer->transport;
    if (peer->is_buried || transport->is_closed || !is_dialler(peer))
        return;
    if (!peer->client) {
        mutex_lock(&transport->lock);
        char *address = peer->outbox->link_address ? xstrdup(peer->outbox->link_address) : NULL;
        mutex_unlock(&transport->lock);
        struct rpc_client_config config = {
            .address = address, .creds = transport->config.creds, .server_name = transport->peer_name};
        struct err err;
        if (address && rpc_client_new(transport->loop, &config, &peer->client, &err) < 0)
            peer->client = NULL; /* the roster's address makes no sense: as one that nobody answers at */
        free(address);
        if (!peer->client)
            return;
    }
    if (!peer->messages)
        link_dial(peer, LINK_MESSAGES);
    if (!peer->system)
        link_dial(peer, LINK_SYSTEM);
}

void peer_link_up(struct peer *peer, struct link *link)
{
    if (link->kind == LINK_MESSAGES) {
        peer->messages = link;
        messages_up(peer);
    } else {
        peer->system = link;
        system_up(peer);
    }
}

static void messages_down(struct peer *peer)
{
    struct transport *transport = peer->transport;
    int64_t now_ns = transport_now(transport);
    peer->disconnected_ns = now_ns;
    mutex_lock(&transport->lock);
    outgoing_broken(&transport->outgoing, peer->outbox, now_ns);
    transport->counters.reconnects++;
    mutex_unlock(&transport->lock);
    transport_drain(transport);
}

void peer_link_ended(struct peer *peer, struct link *link)
{
    bool is_ours = link == peer->messages || link == peer->system;
    if (link == peer->messages)
        peer->messages = NULL;
    else if (link == peer->system)
        peer->system = NULL;
    if (!is_ours)
        return; /* refused before it was taken */
    if (link->is_up && link->kind == LINK_MESSAGES)
        messages_down(peer);
    if (!peer->is_buried && !peer->transport->is_closed && is_dialler(peer)) {
        int64_t now_ms = transport_now(peer->transport) / NS_PER_MS;
        rpc_timer_set(
            peer->redial_timer, (uint64_t)backoff_next(&peer->backoff, now_ms, &peer->transport->rng));
    }
}

void peer_bury(struct peer *peer)
{
    struct transport *transport = peer->transport;
    peer->is_buried = true;
    end_links(peer, "declared dead");
    system_forget(peer);
    mutex_lock(&transport->lock);
    outgoing_dead(&transport->outgoing, peer->outbox, transport_now(transport));
    mutex_unlock(&transport->lock);
    transport_drain(transport);
    transport->inbound.node_dead(transport->inbound.ctx, peer->outbox->node_uid);
}

void peer_tick(struct peer *peer, int64_t now_ns)
{
    struct transport *transport = peer->transport;
    if (peer->is_buried)
        return;
    if (peer->system && peer->system->is_up)
        system_beat(peer);
    if (peer->messages && peer->messages->is_up)
        return;
    if (now_ns - peer->disconnected_ns < (int64_t)transport->config.unreachable_ms * NS_PER_MS)
        return;
    mutex_lock(&transport->lock);
    bool is_new = peer->outbox->is_reachable;
    outgoing_unreachable(&transport->outgoing, peer->outbox, now_ns);
    mutex_unlock(&transport->lock);
    transport_drain(transport);
    if (is_new)
        transport_notify(transport);
}
