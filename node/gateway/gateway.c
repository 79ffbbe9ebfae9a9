#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/private.h"
#include "rpc/loop.h"
#include "transport/transport.h"

#include <assert.h>
#include <stdlib.h>

enum { ROUTE_WAIT_MS = 2000, ASKS_MAX = 65536 };

int gateway_new(const struct gateway_config *config, struct gateway **ret_gateway, struct err *err)
{
    (void)err; /* nothing of today's configuration can be wrong */
    struct gateway *gateway = xcalloc(1, sizeof(*gateway));
    gateway->config = *config;
    gateway->config.node_name = xstrdup(config->node_name ? config->node_name : "");
    gateway->config.credential =
        config->credential_size > 0 ? xmemdup(config->credential, config->credential_size) : NULL;
    if (!gateway->config.clock)
        gateway->config.clock = clock_system();
    if (gateway->config.route_wait_ms == 0)
        gateway->config.route_wait_ms = ROUTE_WAIT_MS;
    if (gateway->config.asks_max == 0)
        gateway->config.asks_max = ASKS_MAX;
    list_init(&gateway->asks);
    list_init(&gateway->waiting);
    list_init(&gateway->watches);
    mutex_init(&gateway->events_lock, GATEWAY_RANK_EVENTS, "gateway events");
    mutex_lock(&gateway->events_lock);
    list_init(&gateway->events);
    mutex_unlock(&gateway->events_lock);
    gateway->methods[0] = (struct rpc_method){"/histrio.v1.Gateway/Ask", ask_open, gateway};
    gateway->methods[1] = (struct rpc_method){"/histrio.v1.Gateway/Tell", tell_open, gateway};
    gateway->methods[2] = (struct rpc_method){"/histrio.v1.Gateway/List", list_open, gateway};
    gateway->methods[3] = (struct rpc_method){"/histrio.v1.Gateway/Watch", watch_open, gateway};
    *ret_gateway = gateway;
    return 0;
}

void gateway_attach(struct gateway *gateway, struct actor_system *actors)
{
    gateway->actors = actors;
    transport_watch(gateway->config.transport, ask_routes_changed, gateway);
}

const struct rpc_method *gateway_methods(struct gateway *gateway, size_t *ret_count)
{
    *ret_count = GATEWAY_METHODS;
    return gateway->methods;
}

static void close_on_loop(void *ctx)
{
    struct gateway *gateway = ctx;
    gateway->is_closed = true;
    ask_close_all(gateway);
    watch_close_all(gateway);
}

void gateway_close(struct gateway *gateway)
{
    if (!gateway)
        return;
    transport_watch(gateway->config.transport, NULL, NULL);
    rpc_loop_call(gateway->config.loop, close_on_loop, gateway);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    gateway_close(gateway);
    /* The runtime is gone and has ended all asks: the last outcomes were posted before this. */
    rpc_loop_call(gateway->config.loop, nothing, NULL);
    assert(list_is_empty(&gateway->asks));
    watch_discard_events(gateway);
    mutex_done(&gateway->events_lock);
    free((void *)gateway->config.node_name);
    free((void *)gateway->config.credential);
    free(gateway);
}
