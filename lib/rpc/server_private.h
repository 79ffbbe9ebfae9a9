/* rpc/server_private.h: the server and its health service. Private to module rpc. */
#pragma once

#include <stdatomic.h>

#include "base/list.h"
#include "rpc/server.h"

/* grpc.health.v1 of one server. The list is owned by the loop's thread. */
struct rpc_health {
    atomic_bool serving;
    bool is_stopping;
    const struct rpc_method *methods; /* of the server: their services are known names */
    size_t method_count;
    struct list calls;
};

void rpc_health_init(struct rpc_health *health, const struct rpc_method *methods, size_t method_count);
/* On the loop's thread. The methods of the service; ctx is the health. */
const struct rpc_method *rpc_health_methods(size_t *ret_count);
/* On the loop's thread: tells all watchers what changed. */
void rpc_health_notify(struct rpc_health *health);
/* On the loop's thread: tells them that nothing is served any more and ends them. */
void rpc_health_stop(struct rpc_health *health);
