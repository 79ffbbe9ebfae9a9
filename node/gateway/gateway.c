#include "gateway/gateway.h"

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"
#include "gateway/gateway_private.h"
#include "rpc/loop.h"
#include "transport/transport.h"
#include "wire/wire.h"

enum { ROUTE_WAIT_MS = 2000, ASKS_MAX = 65536, ARENA_BYTES_MAX = 2 * LIMIT_FRAME_BYTES };

/* ---- calls ---- */

static void end_call(struct gateway_call *call)
{
    asker_forget(&call->asker);
    watch_end(call);
    list_remove(&call->node);
    rpc_stream_free(call->stream);
    free(call);
}

void gateway_refuse(struct gateway_call *call, enum rpc_code code, const char *text)
{
    rpc_stream_finish(call->stream, code, text);
    end_call(call);
}

void gateway_answer(struct gateway_call *call, const void *message)
{
    struct err err;
    size_t size = wire_packed_size(message);
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    wire_pack_into(message, rpc_buffer_data(buffer));
    if (rpc_stream_write_take(call->stream, buffer, &err) < 0)
        gateway_refuse(call, RPC_RESOURCE_EXHAUSTED, err.text);
    else
        gateway_refuse(call, RPC_OK, "");
}

/* ---- checks ---- */

const char *gateway_name_problem(const char *actor, const char *method)
{
    size_t size = strlen(actor);
    if (size == 0 || size > LIMIT_ADDRESS_BYTES)
        return size == 0 ? "no actor is named" : "the actor's name is too long";
    if (*actor == '/' || actor[size - 1] == '/')
        return "the actor's name begins or ends with '/'";
    if (!method)
        return NULL;
    if (!*method || strlen(method) > LIMIT_MESSAGE_TYPE_BYTES)
        return *method ? "the method's name is too long" : "no method is named";
    return NULL;
}

const char *gateway_request_problem(const struct ask_request *request)
{
    const char *problem = gateway_name_problem(request->actor, request->method);
    if (problem)
        return problem;
    if (request->arguments_size > LIMIT_VALUE_BYTES)
        return "the arguments are larger than 4 MiB";
    if (request->arguments_size > 0 && value_validate(request->arguments, request->arguments_size, NULL) < 0)
        return "the arguments are not one msgpack value";
    return NULL;
}

static bool is_credential_right(const struct gateway *gateway, const ProtobufCBinaryData *credential)
{
    if (gateway->config.credential_size == 0)
        return true;
    if (credential->len != gateway->config.credential_size)
        return false;
    uint8_t difference = 0; /* the time must not tell where they differ */
    for (size_t i = 0; i < credential->len; i++)
        difference |= credential->data[i] ^ gateway->config.credential[i];
    return difference == 0;
}

/* The request as a message; NULL: the call has been refused. */
static void *take_request(
    struct gateway_call *call, const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    struct gateway *gateway = call->gateway;
    struct err err;
    ProtobufCMessage *message;
    if (call->has_request) {
        gateway_refuse(call, RPC_INVALID_ARGUMENT, "more than one request");
        return NULL;
    }
    call->has_request = true;
    wire_arena_reset(&gateway->arena);
    if (wire_unpack(type, data, size, LIMIT_FRAME_BYTES, &gateway->arena, &message, &err) < 0) {
        gateway_refuse(call, RPC_INVALID_ARGUMENT, err.text);
        return NULL;
    }
    return message;
}

static bool check_credential(struct gateway_call *call, const ProtobufCBinaryData *credential)
{
    if (is_credential_right(call->gateway, credential))
        return true;
    gateway_refuse(call, RPC_UNAUTHENTICATED, "wrong credential");
    return false;
}

/* ---- methods ---- */

/* What is known at once; a unit on a node that cannot be reached now may be reached before it is given up. */
enum histrio_error gateway_tell(
    struct gateway *gateway, const struct ask_request *request, const char **ret_text)
{
    uint64_t version;
    *ret_text = gateway_request_problem(request);
    if (*ret_text)
        return HISTRIO_BAD_ARGUMENT;
    switch (transport_route_of(gateway->config.transport, request->actor, NULL, NULL, &version)) {
    case TRANSPORT_ROUTE_UNKNOWN:
        *ret_text = version ? "no such unit" : "this node has no routes yet";
        return version ? HISTRIO_NOT_FOUND : HISTRIO_UNAVAILABLE;
    case TRANSPORT_ROUTE_NOWHERE:
    case TRANSPORT_ROUTE_STARTING:
        *ret_text = "the actor's unit runs nowhere now";
        return HISTRIO_UNAVAILABLE;
    case TRANSPORT_ROUTE_HERE:
    case TRANSPORT_ROUTE_THERE:
    case TRANSPORT_ROUTE_CUT: break;
    }
    struct trace_context trace;
    bool is_traced = trace_context_parse(request->trace, &trace);
    enum histrio_error error = actor_system_tell_traced(gateway->actors, is_traced ? &trace : NULL,
        request->actor, request->method, request->arguments, request->arguments_size);
    *ret_text = error == HISTRIO_OK ? "" : histrio_error_name(error);
    return error;
}

static void tell(struct gateway_call *call, const Histrio__V1__TellRequest *request)
{
    struct ask_request what = {.actor = request->actor,
        .method = request->method,
        .arguments = request->arguments.data,
        .arguments_size = request->arguments.len,
        .trace = request->trace};
    Histrio__V1__TellResponse response = HISTRIO__V1__TELL_RESPONSE__INIT;
    const char *text;
    response.error = (Histrio__V1__Error)gateway_tell(call->gateway, &what, &text);
    response.text = (char *)text; /* packing only reads it */
    gateway_answer(call, &response);
}

static void got_ask(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* the call's */
    Histrio__V1__AskRequest *request = take_request(ctx, &histrio__v1__ask_request__descriptor, data, size);
    if (request && check_credential(ctx, &request->credential))
        ask_start(ctx, request);
}

static void got_tell(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* the call's */
    Histrio__V1__TellRequest *request = take_request(ctx, &histrio__v1__tell_request__descriptor, data, size);
    if (request && check_credential(ctx, &request->credential))
        tell(ctx, request);
}

static void got_list(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* the call's */
    Histrio__V1__ListRequest *request = take_request(ctx, &histrio__v1__list_request__descriptor, data, size);
    if (request && check_credential(ctx, &request->credential))
        list_answer(ctx, request);
}

static void got_watch(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    (void)stream; /* the call's */
    Histrio__V1__WatchRequest *request =
        take_request(ctx, &histrio__v1__watch_request__descriptor, data, size);
    if (request && check_credential(ctx, &request->credential))
        watch_start(ctx, request);
}

static void got_half_closed(struct rpc_stream *stream, void *ctx)
{
    struct gateway_call *call = ctx;
    (void)stream; /* the call's */
    if (!call->has_request)
        gateway_refuse(call, RPC_INVALID_ARGUMENT, "no request");
}

static void got_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)stream;
    (void)status; /* the client went, whatever its reason */
    end_call(ctx);
}

#define CALL_EVENTS(name)                                                                                    \
    static const struct rpc_stream_events name##_events = {                                                  \
        .message = got_##name, .half_closed = got_half_closed, .closed = got_closed};                        \
    static void open_##name(struct rpc_stream *stream, void *ctx)                                            \
    {                                                                                                        \
        open_call(stream, ctx, &name##_events);                                                              \
    }

static void open_call(
    struct rpc_stream *stream, struct gateway *gateway, const struct rpc_stream_events *events)
{
    if (gateway->is_closed || !gateway->actors) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "the node does not serve now");
        rpc_stream_free(stream);
        return;
    }
    struct gateway_call *call = xcalloc(1, sizeof(*call));
    call->gateway = gateway;
    call->stream = stream;
    list_push_back(&gateway->calls, &call->node);
    rpc_stream_listen(stream, events, call);
}

CALL_EVENTS(ask)
CALL_EVENTS(tell)
CALL_EVENTS(list)
CALL_EVENTS(watch)

/* ---- life ---- */

int gateway_new(const struct gateway_config *config, struct gateway **ret_gateway, struct err *err)
{
    if (!config->loop || !config->transport)
        return err_set(err, ERR_INVALID, "a gateway needs a loop and a transport");
    struct gateway *gateway = xcalloc(1, sizeof(*gateway));
    gateway->config = *config;
    gateway->config.node_name = xstrdup(config->node_name ? config->node_name : "");
    gateway->config.credential = xmemdup(config->credential, config->credential_size);
    if (gateway->config.route_wait_ms == 0)
        gateway->config.route_wait_ms = ROUTE_WAIT_MS;
    if (gateway->config.asks_max == 0)
        gateway->config.asks_max = ASKS_MAX;
    gateway->clock = config->clock ? config->clock : clock_system();
    list_init(&gateway->calls);
    list_init(&gateway->waiting);
    list_init(&gateway->http_asks);
    list_init(&gateway->events);
    wire_arena_init(&gateway->arena, NULL, 0, ARENA_BYTES_MAX);
    mutex_init(&gateway->events_lock, GATEWAY_RANK_EVENTS, "gateway.events");
    gateway->methods[0] = (struct rpc_method){"/histrio.v1.Gateway/Ask", open_ask, gateway};
    gateway->methods[1] = (struct rpc_method){"/histrio.v1.Gateway/Tell", open_tell, gateway};
    gateway->methods[2] = (struct rpc_method){"/histrio.v1.Gateway/List", open_list, gateway};
    gateway->methods[3] = (struct rpc_method){"/histrio.v1.Gateway/Watch", open_watch, gateway};
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
    *ret_count = sizeof(gateway->methods) / sizeof(gateway->methods[0]);
    return gateway->methods;
}

static void close_on_loop(void *ctx)
{
    struct gateway *gateway = ctx;
    gateway->is_closed = true;
    ask_close_all(gateway);
    http_close_all(gateway);
    list_for_each_safe (call, &gateway->calls, struct gateway_call, node)
        gateway_refuse(call, RPC_UNAVAILABLE, "the node stops");
}

void gateway_close(struct gateway *gateway)
{
    transport_watch(gateway->config.transport, NULL, NULL);
    rpc_loop_call(gateway->config.loop, close_on_loop, gateway);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    rpc_loop_call(gateway->config.loop, close_on_loop, gateway); /* after everything that was posted to it */
    watch_done(gateway);
    wire_arena_done(&gateway->arena);
    mutex_done(&gateway->events_lock);
    free((char *)gateway->config.node_name);
    free((uint8_t *)gateway->config.credential);
    free(gateway);
}
