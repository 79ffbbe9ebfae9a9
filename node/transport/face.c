/* The functions of transport.h that only look at or change routes and rosters. Any thread. */
#include "base/mem.h"
#include "base/str.h"
#include "transport/transport_private.h"

static enum histrio_error to_runtime(void *ctx, const struct actor_envelope *envelope, bool *ret_pressure)
{
    return actor_system_deliver(ctx, envelope, ret_pressure);
}

static void signal_to_runtime(void *ctx, const struct actor_signal *signal)
{
    actor_system_signal(ctx, signal);
}

static bool is_overloaded_in_runtime(void *ctx, uint64_t name)
{
    return actor_system_is_overloaded(ctx, name);
}

static uint64_t name_of_runtime(void *ctx, const char *name)
{
    return actor_system_name(ctx, name);
}

static void dead_to_runtime(void *ctx, uint64_t node_uid)
{
    actor_system_node_dead(ctx, node_uid);
}

static void lift_in_runtime(void *ctx)
{
    actor_system_pressure_lifted(ctx);
}

void transport_attach_inbound(struct transport *transport, const struct transport_inbound *inbound)
{
    transport->inbound = *inbound;
}

void transport_attach(struct transport *transport, struct actor_system *actors)
{
    const struct transport_inbound inbound = {
        .deliver = to_runtime,
        .signal = signal_to_runtime,
        .is_overloaded = is_overloaded_in_runtime,
        .name = name_of_runtime,
        .node_dead = dead_to_runtime,
        .pressure_lifted = lift_in_runtime,
        .ctx = actors,
    };
    transport_attach_inbound(transport, &inbound);
}

/* ---- rosters and routes ---- */

static void set_text(char **place, const char *text)
{
    if (text_equal(*place, text))
        return;
    free(*place);
    *place = text ? xstrdup(text) : NULL;
}

static void mark_dead(struct transport *transport, const uint64_t *node_uids, size_t count)
    REQUIRES(&transport->lock)
{
    for (size_t i = 0; i < count; i++)
        if (node_uids[i] != 0 && node_uids[i] != transport->config.node_uid)
            outgoing_add(&transport->outgoing, node_uids[i])->is_dead = true;
}

void transport_set_roster(struct transport *transport, uint64_t version,
    const struct transport_member *members, size_t member_count, const uint64_t *dead_uids, size_t dead_count)
{
    (void)version; /* members are only added here; who leaves is declared dead */
    mutex_lock(&transport->lock);
    for (size_t i = 0; i < member_count; i++) {
        if (members[i].node_uid == 0 || members[i].node_uid == transport->config.node_uid)
            continue;
        struct outbox *outbox = outgoing_add(&transport->outgoing, members[i].node_uid);
        set_text(&outbox->node_name, members[i].node_name);
        set_text(&outbox->link_address, members[i].link_address);
    }
    mark_dead(transport, dead_uids, dead_count);
    mutex_unlock(&transport->lock);
    transport_refresh_later(transport);
}

void transport_set_dead(struct transport *transport, const uint64_t *node_uids, size_t count)
{
    mutex_lock(&transport->lock);
    mark_dead(transport, node_uids, count);
    mutex_unlock(&transport->lock);
    transport_refresh_later(transport);
}

void transport_set_routes(struct transport *transport, uint64_t version, bool is_full,
    const struct transport_placement *placements, size_t count)
{
    mutex_lock(&transport->lock);
    struct router *router = &transport->outgoing.router;
    if (is_full)
        router_begin_full(router);
    for (size_t i = 0; i < count; i++) /* an older placement than is known changes nothing */
        (void)router_place(router, placements[i].unit, placements[i].epoch, placements[i].node_uid);
    if (is_full)
        router_end_full(router);
    router->version = version > 0 ? version : 1;
    mutex_unlock(&transport->lock);
    transport_refresh_later(transport);
}

static void hold(struct transport *transport, const char *unit, uint64_t epoch,
    void (*how)(struct router *router, struct route_unit *unit, uint64_t epoch))
{
    mutex_lock(&transport->lock);
    struct route_unit *route = router_add(&transport->outgoing.router, unit);
    if (route)
        how(&transport->outgoing.router, route, epoch);
    mutex_unlock(&transport->lock);
    transport_refresh_later(transport);
}

void transport_unit_starts(struct transport *transport, const char *unit, uint64_t epoch)
{
    hold(transport, unit, epoch, router_start);
}

void transport_unit_held(struct transport *transport, const char *unit, uint64_t epoch)
{
    hold(transport, unit, epoch, router_hold);
}

void transport_unit_released(struct transport *transport, const char *unit, uint64_t epoch)
{
    mutex_lock(&transport->lock);
    struct route_unit *route = router_find(&transport->outgoing.router, unit, strlen(unit));
    if (route)
        router_release(route, epoch);
    mutex_unlock(&transport->lock);
    transport_refresh_later(transport);
}

/* ---- questions ---- */

static enum transport_route answer(struct transport *transport, const struct route_unit *unit)
    REQUIRES(&transport->lock)
{
    const struct outgoing *outgoing = &transport->outgoing;
    switch (router_send(&outgoing->router, unit)) {
    case ROUTE_DELIVER: return TRANSPORT_ROUTE_HERE;
    case ROUTE_UNAVAILABLE:
        return unit->node_uid == outgoing->router.self ? TRANSPORT_ROUTE_STARTING : TRANSPORT_ROUTE_NOWHERE;
    case ROUTE_FORWARD: {
        const struct outbox *outbox = outgoing_find(outgoing, unit->node_uid);
        return outbox && !outbox->is_dead && outbox->is_reachable ? TRANSPORT_ROUTE_THERE
                                                                  : TRANSPORT_ROUTE_CUT;
    }
    case ROUTE_NOT_FOUND:
    case ROUTE_BOUNCE:
    case ROUTE_FENCED: break;
    }
    return TRANSPORT_ROUTE_UNKNOWN;
}

enum transport_route transport_route_of(struct transport *transport, const char *name, uint64_t *ret_node_uid,
    uint64_t *ret_epoch, uint64_t *ret_version)
{
    mutex_lock(&transport->lock);
    const struct router *router = &transport->outgoing.router;
    const struct route_unit *unit = router_find(router, name, router_unit_size(name));
    enum transport_route route = answer(transport, unit);
    if (ret_node_uid)
        *ret_node_uid = unit ? unit->node_uid : 0;
    if (ret_epoch)
        *ret_epoch = unit ? unit->epoch : 0;
    if (ret_version)
        *ret_version = router->version;
    mutex_unlock(&transport->lock);
    return route;
}

const char *transport_node_name(struct transport *transport, uint64_t node_uid, char *buffer, size_t size)
{
    buffer[0] = 0;
    if (node_uid == transport->config.node_uid) {
        (void)snprintf(buffer, size, "%s", transport->hello.node_name); /* cut when too long */
        return buffer;
    }
    mutex_lock(&transport->lock);
    const struct outbox *outbox = outgoing_find(&transport->outgoing, node_uid);
    if (outbox && outbox->node_name)
        (void)snprintf(buffer, size, "%s", outbox->node_name); /* cut when too long */
    mutex_unlock(&transport->lock);
    return buffer;
}

struct watch {
    struct transport *transport;
    void (*changed)(void *ctx);
    void *ctx;
};

static void set_watch(void *ctx)
{
    struct watch *watch = ctx;
    watch->transport->changed = watch->transport->is_closed ? NULL : watch->changed;
    watch->transport->changed_ctx = watch->ctx;
}

void transport_watch(struct transport *transport, void (*changed)(void *ctx), void *ctx)
{
    struct watch watch = {transport, changed, ctx};
    rpc_loop_call(transport->loop, set_watch, &watch);
}

void transport_counters(struct transport *transport, struct transport_counters *ret_counters)
{
    mutex_lock(&transport->lock);
    const struct outgoing *outgoing = &transport->outgoing;
    *ret_counters = transport->counters;
    ret_counters->bounced = outgoing->bounced;
    ret_counters->fenced = outgoing->fenced;
    ret_counters->lost_tells = outgoing->lost_tells;
    ret_counters->uncertain_asks = outgoing->uncertain_asks;
    map64_for_each(item, &outgoing->outboxes)
    {
        const struct outbox *outbox = item.value;
        if (outbox->is_dead)
            continue;
        ret_counters->peers++;
        ret_counters->peers_connected += outbox->is_connected;
        ret_counters->queued_bytes += outbox->open.bytes;
        for (const struct batch *batch = outbox->sent.first; batch; batch = batch->next)
            ret_counters->unacknowledged += batch->count;
    }
    mutex_unlock(&transport->lock);
}
