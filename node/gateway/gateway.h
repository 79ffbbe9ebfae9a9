/* gateway/gateway.h: service Gateway (gateway.proto): what clients ask and tell the actors of a system, at
 * any of its nodes.
 *
 * What goes wrong with a message is an error in the response; a gRPC status other than OK means a wrong
 * credential (UNAUTHENTICATED), a request that is no request (INVALID_ARGUMENT), or too many of them
 * (RESOURCE_EXHAUSTED). An ask for a unit that is placed nowhere, or that no route is known for yet, waits
 * for one as long as its deadline allows, at most `route_wait_ms`, as nothing was executed. A client that
 * goes away cancels its asks: who has them is told, and their outcome is dropped.
 *
 * Thread: calls are served on the loop's thread; every function says who may call it. */
#pragma once

#include "actor/system.h"

#include <stddef.h>
#include <stdint.h>

struct clock;
struct err;
struct gateway;
struct rpc_loop;
struct rpc_method;
struct transport;

/* docs/locks.md */
enum { GATEWAY_RANK_EVENTS = 580 };

/* Strings and credential are copied, the rest is borrowed until gateway_free(). Zero means the default. */
struct gateway_config {
    struct rpc_loop *loop;
    struct clock *clock; /* NULL: the system's */
    struct transport *transport;
    const char *node_name;
    const uint8_t *credential; /* empty: none is asked for */
    size_t credential_size;
    uint32_t route_wait_ms; /* 2,000 */
    uint32_t asks_max;      /* under way at one time; 65,536 */
};

/* Any thread. */
int gateway_new(const struct gateway_config *config, struct gateway **ret_gateway, struct err *err);

/* Before the server listens; once. */
void gateway_attach(struct gateway *gateway, struct actor_system *actors);

/* For a server on the same loop, which must be freed before the gateway. Valid as long as the gateway. */
const struct rpc_method *gateway_methods(struct gateway *gateway, size_t *ret_count);

/* For Watch: an actor ended or started. Any thread; call it from the runtime's events. Cheap when nobody
 * watches. */
void gateway_actor_exited(struct gateway *gateway, const struct actor_exit_report *report);
void gateway_unit_changed(struct gateway *gateway, const char *unit, uint64_t epoch,
    enum actor_unit_state state, const char *reason);

/* Any thread but the loop's. Ends all calls with UNAVAILABLE; no use of runtime or transport afterwards. */
void gateway_close(struct gateway *gateway);
/* After the server and the runtime are gone (asks that they still hold end before). NULL is fine. */
void gateway_free(struct gateway *gateway);
