/* Ask: waits for a route where there is none yet, asks through the runtime, and answers the client.
 *
 * An ask is on the loop's thread, except while `is_asked`: then the runtime holds it, and its outcome is
 * written by a worker and comes back to the loop by a post. */
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/private.h"
#include "rpc/loop.h"
#include "transport/transport.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 5000, UNAVAILABLE_RETRY_MS = 20 };

struct ask {
    struct list_node node;         /* in gateway->asks */
    struct list_node waiting_node; /* in gateway->waiting, or in no list */
    struct gateway *gateway;
    struct rpc_stream *stream; /* NULL: the client went, or the gateway is closed */
    struct rpc_timer *timer;   /* of a waiting ask */
    char *actor;
    char *method;
    uint8_t *arguments;
    size_t arguments_size;
    int64_t deadline_ns;
    int64_t route_deadline_ns; /* until then we wait for a route, as nothing was executed */
    bool is_asked;
    enum histrio_error outcome;
    uint8_t *value;
    size_t value_size;
};

static void ask_try(struct ask *ask);

static void ask_free(struct ask *ask)
{
    list_remove(&ask->node);
    list_remove(&ask->waiting_node);
    ask->gateway->ask_count--;
    rpc_timer_free(ask->timer);
    free(ask->actor);
    free(ask->method);
    free(ask->arguments);
    free(ask->value);
    free(ask);
}

/* What the client hears besides the error's number; a runtime's error carries its own text. */
static const char *error_text(enum histrio_error error)
{
    switch (error) {
    case HISTRIO_NOT_FOUND: return "no such actor";
    case HISTRIO_UNAVAILABLE: return "the actor's unit is placed nowhere now; nothing was executed";
    case HISTRIO_UNCERTAIN: return "the connection broke; it may have been executed";
    case HISTRIO_FENCED: return "the actor's node is not obeyed any more";
    case HISTRIO_MAILBOX_FULL: return "the actor's mailbox is full";
    case HISTRIO_TIMEOUT: return "no answer before the deadline";
    case HISTRIO_CRASHED: return "the actor crashed while it handled the message";
    case HISTRIO_BAD_ARGUMENT: return "the actor has no such method, or refuses the arguments";
    case HISTRIO_APPLICATION: return "the actor answered with an error";
    case HISTRIO_DENIED: return "denied";
    case HISTRIO_OK: break;
    }
    return "";
}

static void ask_answer(struct ask *ask, enum histrio_error error, const uint8_t *value, size_t size)
{
    char node_name[128];
    uint64_t node_uid = 0;
    enum transport_route route =
        transport_route_of(ask->gateway->config.transport, ask->actor, &node_uid, NULL, NULL);
    Histrio__V1__AskResponse response = HISTRIO__V1__ASK_RESPONSE__INIT;
    response.error = (Histrio__V1__Error)error;
    char *text = NULL;
    if (error == HISTRIO_OK) {
        response.value.data = (uint8_t *)(uintptr_t)value;
        response.value.len = size;
    } else {
        text = size > 0 ? xstrndup((const char *)value, size) : xstrdup(error_text(error));
        response.text = text;
    }
    if (route == TRANSPORT_ROUTE_HERE)
        response.node_name = (char *)(uintptr_t)ask->gateway->config.node_name;
    else if (node_uid != 0)
        response.node_name = (char *)(uintptr_t)transport_node_name(
            ask->gateway->config.transport, node_uid, node_name, sizeof(node_name));
    call_respond(ask->stream, &response);
    free(text);
    ask_free(ask);
}

static uint32_t ms_until(const struct ask *ask, int64_t time_ns)
{
    int64_t left = time_ns - clock_now_ns(ask->gateway->config.clock);
    return left <= 0 ? 0 : (uint32_t)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static void ask_timer(void *ctx)
{
    struct ask *ask = ctx;
    list_remove(&ask->waiting_node);
    ask_try(ask);
}

static void ask_wait(struct ask *ask, uint32_t delay_ms)
{
    if (!ask->timer)
        ask->timer = rpc_timer_new(ask->gateway->config.loop, ask_timer, ask);
    rpc_timer_set(ask->timer, delay_ms);
    list_push_back(&ask->gateway->waiting, &ask->waiting_node);
}

static void ask_settled(void *ctx)
{
    struct ask *ask = ctx;
    ask->is_asked = false;
    if (!ask->stream) {
        ask_free(ask);
        return;
    }
    uint32_t wait_ms = ms_until(ask, ask->route_deadline_ns);
    if (ask->outcome == HISTRIO_UNAVAILABLE && wait_ms > 0) {
        /* Routes change a moment after the runtime or the transport knew that the place was gone. */
        free(ask->value);
        ask->value = NULL;
        ask_wait(ask, wait_ms < UNAVAILABLE_RETRY_MS ? wait_ms : UNAVAILABLE_RETRY_MS);
        return;
    }
    ask_answer(ask, ask->outcome, ask->value, ask->value_size);
}

/* On a worker thread. */
static void ask_done(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    struct ask *ask = ctx;
    ask->outcome = error;
    ask->value = size > 0 ? xmemdup(value, size) : NULL;
    ask->value_size = size;
    rpc_loop_post(ask->gateway->config.loop, ask_settled, ask);
}

static bool ask_must_wait(struct ask *ask)
{
    uint64_t version = 0;
    switch (transport_route_of(ask->gateway->config.transport, ask->actor, NULL, NULL, &version)) {
    case TRANSPORT_ROUTE_UNKNOWN: return version == 0;
    case TRANSPORT_ROUTE_NOWHERE:
    case TRANSPORT_ROUTE_STARTING: return true;
    case TRANSPORT_ROUTE_HERE:
    case TRANSPORT_ROUTE_THERE:
    case TRANSPORT_ROUTE_CUT: return false; /* the transport answers for a peer that it cannot reach */
    }
    return false;
}

static void ask_try(struct ask *ask)
{
    uint32_t left_ms = ms_until(ask, ask->deadline_ns);
    uint32_t wait_ms = ms_until(ask, ask->route_deadline_ns);
    if (left_ms == 0) {
        ask_answer(ask, HISTRIO_TIMEOUT, NULL, 0);
    } else if (ask_must_wait(ask)) {
        if (wait_ms > 0)
            ask_wait(ask, wait_ms);
        else
            ask_answer(ask, HISTRIO_UNAVAILABLE, NULL, 0);
    } else {
        ask->is_asked = true;
        actor_system_ask(ask->gateway->actors, ask->actor, ask->method, ask->arguments, ask->arguments_size,
            left_ms, ask_done, ask);
    }
}

static void ask_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)status;
    struct ask *ask = ctx;
    rpc_stream_free(stream);
    ask->stream = NULL;
    if (!ask->is_asked)
        ask_free(ask);
}

static void ask_more(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* a unary call has one request: more are ignored */
    (void)data;
    (void)size;
    (void)ctx;
}

static void ask_request(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    const Histrio__V1__AskRequest *request = (const Histrio__V1__AskRequest *)message;
    if (!call_check_credential(gateway, stream, &request->credential))
        return;
    const char *wrong = call_check_names(request->actor, request->method);
    if (wrong) {
        call_refuse(stream, RPC_INVALID_ARGUMENT, wrong);
        return;
    }
    if (gateway->ask_count >= gateway->config.asks_max) {
        call_refuse(stream, RPC_RESOURCE_EXHAUSTED, "too many asks are under way at this node");
        return;
    }
    static const struct rpc_stream_events events = {.message = ask_more, .closed = ask_closed};
    struct ask *ask = xcalloc(1, sizeof(*ask));
    ask->gateway = gateway;
    ask->stream = stream;
    ask->actor = xstrdup(request->actor);
    ask->method = xstrdup(request->method);
    ask->arguments_size = request->arguments.len;
    ask->arguments = ask->arguments_size > 0 ? xmemdup(request->arguments.data, ask->arguments_size) : NULL;
    int64_t now_ns = clock_now_ns(gateway->config.clock);
    int64_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
    ask->deadline_ns = now_ns + timeout_ms * NS_PER_MS;
    int64_t wait_ms = gateway->config.route_wait_ms < timeout_ms ? gateway->config.route_wait_ms : timeout_ms;
    ask->route_deadline_ns = now_ns + wait_ms * NS_PER_MS;
    list_push_back(&gateway->asks, &ask->node);
    gateway->ask_count++;
    rpc_stream_listen(stream, &events, ask);
    ask_try(ask);
}

void ask_open(struct rpc_stream *stream, void *gateway)
{
    call_accept(gateway, stream, &histrio__v1__ask_request__descriptor, ask_request);
}

static void ask_retry_waiting(void *ctx)
{
    struct gateway *gateway = ctx;
    /* Pairs with the exchange in ask_routes_changed(): a change after this posts again. */
    atomic_store_explicit(&gateway->retry_posted, false, memory_order_seq_cst);
    struct list waiting;
    list_init(&waiting);
    list_append_all(&waiting, &gateway->waiting);
    for (struct ask *ask; (ask = list_first_entry(&waiting, struct ask, waiting_node)) != NULL;) {
        list_remove(&ask->waiting_node);
        rpc_timer_cancel(ask->timer);
        ask_try(ask);
    }
}

void ask_routes_changed(void *ctx)
{
    struct gateway *gateway = ctx;
    if (!atomic_exchange_explicit(&gateway->retry_posted, true, memory_order_seq_cst))
        rpc_loop_post(gateway->config.loop, ask_retry_waiting, gateway);
}

void ask_close_all(struct gateway *gateway)
{
    list_for_each_safe (ask, &gateway->asks, struct ask, node) {
        if (ask->stream)
            call_refuse(ask->stream, RPC_UNAVAILABLE, "the node is stopping");
        ask->stream = NULL;
        if (!ask->is_asked)
            ask_free(ask);
    }
}
