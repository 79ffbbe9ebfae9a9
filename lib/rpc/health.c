#include <grpc/health/v1/health.pb-c.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rpc/server_private.h"
#include "rpc/stream.h"
#include "wire/arena.h"
#include "wire/wire.h"

enum {
    REQUEST_BYTES_MAX = 1024, /* the name of a service */
    REQUEST_MEMORY_MAX = 4096,
};

typedef Grpc__Health__V1__HealthCheckResponse response_message;

/* One Check or Watch under way. */
struct health_call {
    struct list_node node;
    struct rpc_health *health;
    struct rpc_stream *stream;
    bool is_watch;
    bool is_asked;
    bool is_known; /* the service exists here */
    int told;      /* the last status that was sent; -1: none */
};

static void call_free(struct health_call *call)
{
    list_remove(&call->node);
    rpc_stream_free(call->stream);
    free(call);
}

static bool knows_service(const struct rpc_health *health, const char *service)
{
    if (service[0] == '\0')
        return true;
    size_t size = strlen(service);
    for (size_t i = 0; i < health->method_count; i++) {
        const char *path = health->methods[i].path; /* "/service/method" */
        if (strncmp(path + 1, service, size) == 0 && path[1 + size] == '/')
            return true;
    }
    return false;
}

static int current_status(const struct health_call *call)
{
    if (!call->is_known)
        return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    if (atomic_load_explicit(&call->health->serving, memory_order_relaxed) && !call->health->is_stopping)
        return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static void tell(struct health_call *call)
{
    response_message response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    int status = current_status(call);
    if (call->told == status)
        return;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    struct rpc_buffer *buffer = rpc_buffer_new(wire_packed_size(&response));
    wire_pack_into(&response, rpc_buffer_data(buffer));
    if (rpc_stream_write_take(call->stream, buffer, NULL) == 0)
        call->told = status; /* else the watcher is slow or gone, and `writable` or `closed` comes */
}

static void refuse(struct health_call *call, enum rpc_code code, const char *text)
{
    rpc_stream_finish(call->stream, code, text);
    call_free(call);
}

static int read_request(struct health_call *call, const uint8_t *data, size_t size, struct err *err)
{
    uint8_t memory[REQUEST_MEMORY_MAX];
    struct wire_arena arena;
    ProtobufCMessage *message;
    wire_arena_init(&arena, memory, sizeof(memory), sizeof(memory));
    int result = wire_unpack(&grpc__health__v1__health_check_request__descriptor, data, size,
        REQUEST_BYTES_MAX, &arena, &message, err);
    if (result == 0)
        call->is_known =
            knows_service(call->health, ((Grpc__Health__V1__HealthCheckRequest *)message)->service);
    wire_arena_done(&arena);
    return result;
}

/* What to answer; RPC_OK with a watch goes on. */
static enum rpc_code handle_request(
    struct health_call *call, const uint8_t *data, size_t size, struct err *err)
{
    if (call->is_asked) {
        (void)err_set(err, ERR_INVALID, "one request is enough");
        return RPC_INVALID_ARGUMENT;
    }
    if (read_request(call, data, size, err) < 0)
        return RPC_INVALID_ARGUMENT;
    call->is_asked = true;
    if (!call->is_watch && !call->is_known) {
        (void)err_set(err, ERR_NOT_FOUND, "no such service");
        return RPC_NOT_FOUND;
    }
    tell(call);
    if (call->is_watch && call->health->is_stopping) {
        (void)err_set(err, ERR_UNAVAILABLE, "the server is stopping");
        return RPC_UNAVAILABLE;
    }
    return RPC_OK;
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct health_call *call = ctx;
    struct err err = {0};
    (void)stream;
    enum rpc_code code = handle_request(call, data, size, &err);
    if (code != RPC_OK || !call->is_watch)
        refuse(call, code, err.text);
}

static void on_writable(struct rpc_stream *stream, void *ctx)
{
    (void)stream;
    tell(ctx);
}

static void on_half_closed(struct rpc_stream *stream, void *ctx)
{
    struct health_call *call = ctx;
    (void)stream;
    if (!call->is_asked)
        refuse(call, RPC_INVALID_ARGUMENT, "no request came");
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)stream;
    (void)status;
    call_free(ctx);
}

static void open_call(struct rpc_stream *stream, struct rpc_health *health, bool is_watch)
{
    static const struct rpc_stream_events events = {
        .message = on_message, .writable = on_writable, .half_closed = on_half_closed, .closed = on_closed};
    struct health_call *call = xcalloc(1, sizeof(*call));
    call->health = health;
    call->stream = stream;
    call->is_watch = is_watch;
    call->told = -1;
    list_push_back(&health->calls, &call->node);
    rpc_stream_listen(stream, &events, call);
}

static void open_check(struct rpc_stream *stream, void *ctx)
{
    open_call(stream, ctx, false);
}

static void open_watch(struct rpc_stream *stream, void *ctx)
{
    open_call(stream, ctx, true);
}

void rpc_health_init(struct rpc_health *health, const struct rpc_method *methods, size_t method_count)
{
    atomic_init(&health->serving, true);
    health->methods = methods;
    health->method_count = method_count;
    list_init(&health->calls);
}

const struct rpc_method *rpc_health_methods(size_t *ret_count)
{
    static const struct rpc_method methods[] = {
        {.path = "/grpc.health.v1.Health/Check", .open = open_check},
        {.path = "/grpc.health.v1.Health/Watch", .open = open_watch},
    };
    *ret_count = sizeof(methods) / sizeof(methods[0]);
    return methods;
}

void rpc_health_notify(struct rpc_health *health)
{
    list_for_each (call, &health->calls, struct health_call, node) {
        if (call->is_asked)
            tell(call);
    }
}

void rpc_health_stop(struct rpc_health *health)
{
    health->is_stopping = true;
    list_for_each_safe (call, &health->calls, struct health_call, node) {
        if (call->is_asked) {
            tell(call);
            refuse(call, RPC_UNAVAILABLE, "the server is stopping");
        }
    }
}
