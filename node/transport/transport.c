#include "transport/transport.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "rpc/creds.h"
#include "transport/transport_private.h"

enum {
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    SWEEP_MS = 1000,
    HELLO_MS = 5000,
};

/* ---- what goes out of the lock ---- */

static void flush(void *ctx);

static bool wants_flush(struct transport *transport) REQUIRES(&transport->lock)
{
    if (!transport->outgoing.wake_wanted || transport->is_flush_posted)
        return false;
    transport->is_flush_posted = true;
    return true;
}

/* What the runtime has to hear; false: nothing (more). */
static bool drain_once(struct transport *transport)
{
    mutex_lock(&transport->lock);
    struct outgoing *outgoing = &transport->outgoing;
    __typeof__(outgoing->outcomes) outcomes = outgoing->outcomes;
    struct batch_list local = outgoing->local;
    bool lift = outgoing->lift_wanted;
    memset(&outgoing->outcomes, 0, sizeof(outgoing->outcomes));
    outgoing->local = (struct batch_list){0};
    outgoing->lift_wanted = false;
    bool post = wants_flush(transport);
    mutex_unlock(&transport->lock);
    if (post)
        rpc_loop_post(transport->loop, flush, transport);
    vec_for_each (outcome, &outcomes)
        deliver_outcome(transport, outcome);
    for (struct batch *batch = local.first; batch; batch = batch->next)
        deliver_local(transport, batch);
    if (lift)
        transport->inbound.pressure_lifted(transport->inbound.ctx);
    bool had_any = outcomes.count > 0 || local.first || lift;
    vec_done(&outcomes);
    batch_list_done(&local);
    return had_any;
}

void transport_drain(struct transport *transport)
{
    while (drain_once(transport))
        ; /* answers may be outcomes in turn; each ends an ask or empties a queue */
}

void transport_notify(struct transport *transport)
{
    if (transport->changed)
        transport->changed(transport->changed_ctx);
}

/* ---- the loop's work for the outbound ---- */

static void settle_and_arm(struct transport *transport)
{
    mutex_lock(&transport->lock);
    outgoing_settle(&transport->outgoing, transport_now(transport));
    bool has_more = !list_is_empty(&transport->outgoing.unsettled);
    mutex_unlock(&transport->lock);
    if (!has_more || transport->is_settle_armed)
        return;
    transport->is_settle_armed = true;
    rpc_timer_set(transport->settle_timer, transport->config.retry_ms);
}

static struct peer *next_dirty(struct transport *transport)
{
    mutex_lock(&transport->lock);
    struct list_node *node = list_pop_front(&transport->outgoing.dirty);
    struct outbox *outbox = node ? list_entry(node, struct outbox, dirty_node) : NULL;
    mutex_unlock(&transport->lock);
    return outbox ? outbox->peer : NULL;
}

static void flush(void *ctx)
{
    struct transport *transport = ctx;
    mutex_lock(&transport->lock);
    transport->is_flush_posted = false;
    transport->outgoing.wake_wanted = false;
    transport->coarse_ns = transport_now(transport);
    bool has_unsettled = !list_is_empty(&transport->outgoing.unsettled);
    mutex_unlock(&transport->lock);
    if (transport->is_closed)
        return;
    if (has_unsettled)
        settle_and_arm(transport);
    struct peer *peer;
    while ((peer = next_dirty(transport))) {
        messages_flush(peer);
        system_flush(peer);
    }
    transport_drain(transport);
}

static enum histrio_error send_out(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    struct transport *transport = ctx;
    int64_t now_ns = envelope->kind == ENVELOPE_ASK ? transport_now(transport) : 0;
    mutex_lock(&transport->lock);
    if (now_ns == 0)
        now_ns = transport->coarse_ns;
    enum histrio_error error = outgoing_send(&transport->outgoing, envelope, now_ns, ret_pressure);
    bool post = wants_flush(transport);
    mutex_unlock(&transport->lock);
    if (post)
        rpc_loop_post(transport->loop, flush, transport);
    return error;
}

static enum histrio_error signal_out(void *ctx, const struct actor_signal *signal, uint64_t *ret_node)
{
    struct transport *transport = ctx;
    int64_t now_ns = transport_now(transport);
    mutex_lock(&transport->lock);
    enum histrio_error error = outgoing_signal(&transport->outgoing, signal, now_ns, ret_node);
    bool post = wants_flush(transport);
    mutex_unlock(&transport->lock);
    if (post)
        rpc_loop_post(transport->loop, flush, transport);
    return error;
}

struct actor_outbound transport_outbound(struct transport *transport)
{
    return (struct actor_outbound){.send = send_out, .signal = signal_out, .ctx = transport};
}

/* ---- timers ---- */

static void settle_due(void *ctx)
{
    struct transport *transport = ctx;
    transport->is_settle_armed = false;
    if (transport->is_closed)
        return;
    settle_and_arm(transport);
    flush(transport);
}

/* The peers, so that each may be used without the lock; the outboxes live as long as the transport. */
struct peer_list {
    struct peer **items;
    size_t count;
};

static struct peer_list all_peers(struct transport *transport)
{
    struct peer_list list = {0};
    mutex_lock(&transport->lock);
    list.items = xcalloc(map64_count(&transport->outgoing.outboxes) + 1, sizeof(*list.items));
    map64_for_each(item, &transport->outgoing.outboxes)
    {
        struct outbox *outbox = item.value;
        if (outbox->peer)
            list.items[list.count++] = outbox->peer;
    }
    mutex_unlock(&transport->lock);
    return list;
}

static void sweep(struct transport *transport, int64_t now_ns)
{
    if (now_ns - transport->swept_ns < SWEEP_MS * NS_PER_MS)
        return;
    transport->swept_ns = now_ns;
    mutex_lock(&transport->lock);
    map64_for_each(item, &transport->outgoing.outboxes)
        asks_sweep(&((struct outbox *)item.value)->asks, now_ns - NS_PER_S);
    mutex_unlock(&transport->lock);
}

/* An accepted stream that says nothing is not kept. */
static void end_silent_links(struct transport *transport, int64_t now_ns)
{
    list_for_each_safe (link, &transport->links, struct link, node)
        if (!link->peer && now_ns - link->opened_ns > HELLO_MS * NS_PER_MS)
            link_end(link, RPC_DEADLINE_EXCEEDED, "no hello");
}

static void tick(void *ctx)
{
    struct transport *transport = ctx;
    if (transport->is_closed)
        return;
    int64_t now_ns = transport_now(transport);
    mutex_lock(&transport->lock);
    transport->coarse_ns = now_ns;
    mutex_unlock(&transport->lock);
    struct peer_list peers = all_peers(transport);
    for (size_t i = 0; i < peers.count; i++)
        peer_tick(peers.items[i], now_ns);
    free(peers.items);
    end_silent_links(transport, now_ns);
    sweep(transport, now_ns);
    rpc_timer_set(transport->tick_timer, transport->config.heartbeat_ms);
}

/* ---- what the operator said, on the loop ---- */

static void meet_outboxes(struct transport *transport)
{
    mutex_lock(&transport->lock);
    map64_for_each(item, &transport->outgoing.outboxes)
    {
        struct outbox *outbox = item.value;
        if (!outbox->peer)
            outbox->peer = peer_new(transport, outbox);
    }
    mutex_unlock(&transport->lock);
}

static void refresh(void *ctx)
{
    struct transport *transport = ctx;
    mutex_lock(&transport->lock);
    transport->is_refresh_posted = false;
    mutex_unlock(&transport->lock);
    if (transport->is_closed)
        return;
    meet_outboxes(transport);
    struct peer_list peers = all_peers(transport);
    for (size_t i = 0; i < peers.count; i++) {
        struct peer *peer = peers.items[i];
        mutex_lock(&transport->lock);
        bool is_dead = peer->outbox->is_dead;
        mutex_unlock(&transport->lock);
        if (is_dead && !peer->is_buried)
            peer_bury(peer);
        else if (!is_dead)
            peer_dial(peer);
    }
    free(peers.items);
    settle_and_arm(transport);
    flush(transport);
    transport_notify(transport);
}

void transport_refresh_later(struct transport *transport)
{
    mutex_lock(&transport->lock);
    bool post = !transport->is_refresh_posted;
    transport->is_refresh_posted = true;
    mutex_unlock(&transport->lock);
    if (post)
        rpc_loop_post(transport->loop, refresh, transport);
}

/* ---- life ---- */

static void start_timers(void *ctx)
{
    struct transport *transport = ctx;
    transport->tick_timer = rpc_timer_new(transport->loop, tick, transport);
    transport->settle_timer = rpc_timer_new(transport->loop, settle_due, transport);
    rpc_timer_set(transport->tick_timer, transport->config.heartbeat_ms);
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static void copy_config(struct transport *transport, const struct transport_config *config)
{
    struct transport_config *own = &transport->config;
    *own = *config;
    own->creds = rpc_creds_ref(config->creds);
    (void)role_name(ROLE_NODE, config->system_uid ? config->system_uid : "", transport->peer_name);
    own->heartbeat_ms = or_default(config->heartbeat_ms, 200);
    own->unreachable_ms = or_default(config->unreachable_ms, 1000);
    own->hold_ms = or_default(config->hold_ms, 2000);
    own->retry_ms = or_default(config->retry_ms, 20);
    own->credit_messages = or_default(config->credit_messages, 65536);
    own->credit_bytes = or_default(config->credit_bytes, 8 * 1024 * 1024);
    if (own->route_high_bytes == 0)
        own->route_high_bytes = 1024 * 1024;
    transport->hello = (struct link_hello){
        .protocol_min = LINK_PROTOCOL,
        .protocol_max = LINK_PROTOCOL,
        .system = xstrdup(config->system ? config->system : ""),
        .system_uid = xstrdup(config->system_uid ? config->system_uid : ""),
        .node_name = xstrdup(config->node_name ? config->node_name : ""),
        .pod_uid = xstrdup(config->pod_uid ? config->pod_uid : ""),
        .kube_node = xstrdup(config->kube_node ? config->kube_node : ""),
        .zone = xstrdup(config->zone ? config->zone : ""),
        .software = xstrdup("histrio/0.1.0"),
        .node_uid = config->node_uid,
        .credential = xmemdup(config->credential, config->credential_size),
        .credential_size = config->credential_size,
    };
}

int transport_new(const struct transport_config *config, struct transport **ret_transport, struct err *err)
{
    if (config->node_uid == 0 || !config->loop)
        return err_set(err, ERR_INVALID, "a transport needs a loop and a node uid");
    struct transport *transport = xcalloc(1, sizeof(*transport));
    transport->loop = config->loop;
    transport->clock = config->clock ? config->clock : clock_system();
    copy_config(transport, config);
    mutex_init(&transport->lock, TRANSPORT_RANK_OUTGOING, "transport.outgoing");
    struct outgoing_limits limits = {
        .hold_ns = (int64_t)transport->config.hold_ms * NS_PER_MS,
        .retry_ns = (int64_t)transport->config.retry_ms * NS_PER_MS,
        .high_bytes = transport->config.route_high_bytes,
    };
    outgoing_init(&transport->outgoing, config->node_uid, &limits);
    mutex_lock(&transport->lock);
    transport->coarse_ns = transport_now(transport);
    mutex_unlock(&transport->lock);
    list_init(&transport->links);
    rng_seed(&transport->rng, config->node_uid);
    wire_arena_init(&transport->arena, NULL, 0, ARENA_BYTES_MAX);
    transport->methods[0] = (struct rpc_method){"/histrio.v1.Link/Messages", link_accept_messages, transport};
    transport->methods[1] = (struct rpc_method){"/histrio.v1.Link/System", link_accept_system, transport};
    rpc_loop_call(transport->loop, start_timers, transport);
    *ret_transport = transport;
    return 0;
}

const struct rpc_method *transport_methods(struct transport *transport, size_t *ret_count)
{
    *ret_count = sizeof(transport->methods) / sizeof(transport->methods[0]);
    return transport->methods;
}

static void close_all(void *ctx)
{
    struct transport *transport = ctx;
    if (transport->is_closed)
        return;
    transport->is_closed = true;
    transport->changed = NULL;
    rpc_timer_cancel(transport->tick_timer);
    rpc_timer_cancel(transport->settle_timer);
    list_for_each_safe (link, &transport->links, struct link, node)
        link_end(link, RPC_UNAVAILABLE, "the node stops");
    mutex_lock(&transport->lock);
    outgoing_close(&transport->outgoing);
    mutex_unlock(&transport->lock);
    transport_drain(transport);
}

void transport_close(struct transport *transport)
{
    rpc_loop_call(transport->loop, close_all, transport);
}

static void free_on_loop(void *ctx)
{
    struct transport *transport = ctx;
    close_all(transport);
    struct peer_list peers = all_peers(transport);
    for (size_t i = 0; i < peers.count; i++)
        peer_free(peers.items[i]);
    free(peers.items);
    rpc_timer_free(transport->tick_timer);
    rpc_timer_free(transport->settle_timer);
}

void transport_free(struct transport *transport)
{
    if (!transport)
        return;
    rpc_loop_call(transport->loop, free_on_loop, transport);
    outgoing_done(&transport->outgoing);
    mutex_done(&transport->lock);
    wire_arena_done(&transport->arena);
    const char *texts[] = {transport->hello.system, transport->hello.system_uid, transport->hello.node_name,
        transport->hello.pod_uid, transport->hello.kube_node, transport->hello.zone,
        transport->hello.software, (const char *)transport->hello.credential};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free((char *)texts[i]);
    rpc_creds_unref(transport->config.creds);
    free(transport);
}
