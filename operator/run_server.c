#include "operator/run_server.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "operator/run_queue.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <histrio/v1/gateway.pb-c.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MEMORY_BYTES = 1024 * 1024, STOP_GRACE_MS = 200 };

/* A call on the loop's thread. Its request knows it from the run's thread and back, so it is freed when both
 * the stream is over and the request is answered. */
struct run_call {
    struct run_server *server;
    struct rpc_stream *stream; /* NULL: over */
    enum run_request_kind kind;
    bool is_asked; /* a request is under way */
};

struct run_method {
    struct run_server *server;
    enum run_request_kind kind;
};

struct run_server {
    struct rpc_loop *loop;
    struct rpc_server *server;
    struct run_queue *queue;
    uint8_t *credential;
    size_t credential_size;
    struct run_method methods[4];
};

static const char *const method_paths[] = {[RUN_STATUS] = "/histrio.v1.Run/Status",
    [RUN_EXPLAIN] = "/histrio.v1.Run/Explain",
    [RUN_RESUME] = "/histrio.v1.Run/Resume",
    [RUN_STOP] = "/histrio.v1.Run/Stop"};

static const ProtobufCMessageDescriptor *const request_types[] = {
    [RUN_STATUS] = &histrio__v1__status_request__descriptor,
    [RUN_EXPLAIN] = &histrio__v1__explain_request__descriptor,
    [RUN_RESUME] = &histrio__v1__resume_request__descriptor,
    [RUN_STOP] = &histrio__v1__stop_request__descriptor};

static void request_free(struct run_request *request)
{
    free(request->unit);
    free(request->text);
    free(request->json);
    free(request);
}

static void end_call(struct run_call *call)
{
    rpc_stream_free(call->stream);
    call->stream = NULL;
    if (!call->is_asked)
        free(call);
}

/* The credential of the request; fills the rest of *request. */
static ProtobufCBinaryData take_request(const ProtobufCMessage *message, struct run_request *request)
{
    switch (request->kind) {
    case RUN_STATUS: return ((const Histrio__V1__StatusRequest *)message)->credential;
    case RUN_EXPLAIN: {
        const Histrio__V1__ExplainRequest *explain = (const Histrio__V1__ExplainRequest *)message;
        request->unit = xstrdup(explain->unit);
        return explain->credential;
    }
    case RUN_RESUME: {
        const Histrio__V1__ResumeRequest *resume = (const Histrio__V1__ResumeRequest *)message;
        request->unit = xstrdup(resume->unit);
        return resume->credential;
    }
    case RUN_STOP: {
        const Histrio__V1__StopRequest *stop = (const Histrio__V1__StopRequest *)message;
        request->drain_timeout_ms = stop->drain_timeout_ms;
        return stop->credential;
    }
    }
    return (ProtobufCBinaryData){0};
}

static bool is_ours(const struct run_server *server, ProtobufCBinaryData credential)
{
    unsigned difference = credential.len != server->credential_size;
    for (size_t i = 0; i < credential.len && i < server->credential_size; i++)
        difference |= credential.data[i] ^ server->credential[i];
    return difference == 0;
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct run_call *call = ctx;
    struct wire_arena arena;
    ProtobufCMessage *message = NULL;
    struct err err = {0};
    if (call->is_asked)
        return; /* a unary call has one message; a second one is not for us */
    wire_arena_init(&arena, NULL, 0, REQUEST_MEMORY_BYTES);
    if (wire_unpack(request_types[call->kind], data, size, LIMIT_FRAME_BYTES, &arena, &message, &err) < 0) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, err.text);
    } else {
        struct run_request *request = xcalloc(1, sizeof(*request));
        request->kind = call->kind;
        request->server = call->server;
        request->call = call;
        if (is_ours(call->server, take_request(message, request))) {
            call->is_asked = true;
            run_queue_push_request(call->server->queue, request);
        } else {
            request_free(request);
            rpc_stream_finish(stream, RPC_UNAUTHENTICATED, "credential of another run");
        }
    }
    wire_arena_done(&arena);
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)stream;
    (void)status; /* whether the caller got it is the caller's business */
    end_call(ctx);
}

static const struct rpc_stream_events call_events = {.message = on_message, .closed = on_closed};

static void on_open(struct rpc_stream *stream, void *ctx)
{
    const struct run_method *method = ctx;
    struct run_call *call = xcalloc(1, sizeof(*call));
    call->server = method->server;
    call->kind = method->kind;
    call->stream = stream;
    rpc_stream_listen(stream, &call_events, call);
}

static char *or_empty(char *text)
{
    return text ? text : (char *)(uintptr_t) "";
}

static int pack_answer(
    const struct run_request *request, uint8_t **ret_data, size_t *ret_size, struct err *err)
{
    Histrio__V1__StatusResponse status = HISTRIO__V1__STATUS_RESPONSE__INIT;
    Histrio__V1__ExplainResponse explain = HISTRIO__V1__EXPLAIN_RESPONSE__INIT;
    Histrio__V1__ResumeResponse resume = HISTRIO__V1__RESUME_RESPONSE__INIT;
    Histrio__V1__StopResponse stop = HISTRIO__V1__STOP_RESPONSE__INIT;
    void *message = NULL;
    switch (request->kind) {
    case RUN_STATUS:
        status.status_json = or_empty(request->json);
        status.credential.data = request->server->credential;
        status.credential.len = request->server->credential_size;
        message = &status;
        break;
    case RUN_EXPLAIN:
        explain.error = (Histrio__V1__Error)request->error;
        explain.text = or_empty(request->text);
        explain.explanation_json = or_empty(request->json);
        message = &explain;
        break;
    case RUN_RESUME:
        resume.error = (Histrio__V1__Error)request->error;
        resume.text = or_empty(request->text);
        message = &resume;
        break;
    case RUN_STOP:
        stop.error = (Histrio__V1__Error)request->error;
        stop.text = or_empty(request->text);
        message = &stop;
        break;
    }
    return wire_pack(message, LIMIT_FRAME_BYTES, ret_data, ret_size, err);
}

static void send_answer(void *ctx)
{
    struct run_request *request = ctx;
    struct run_call *call = request->call;
    _cleanup_(cleanup_free) uint8_t *data = NULL;
    struct err err = {0};
    size_t size;
    call->is_asked = false;
    if (!call->stream) {
        free(call);
    } else if (pack_answer(request, &data, &size, &err) < 0) {
        rpc_stream_finish(call->stream, RPC_RESOURCE_EXHAUSTED, err.text);
    } else {
        (void)rpc_stream_write(call->stream, data, size, NULL); /* the caller is gone: `closed` follows */
        rpc_stream_finish(call->stream, RPC_OK, "");
    }
    request_free(request);
}

static int error_of(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE: return HISTRIO__V1__ERROR__ERROR_NONE;
    case ERR_NOT_FOUND: return HISTRIO__V1__ERROR__ERROR_NOT_FOUND;
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_CONFLICT: return HISTRIO__V1__ERROR__ERROR_BAD_ARGUMENT;
    case ERR_DENIED: return HISTRIO__V1__ERROR__ERROR_DENIED;
    case ERR_TIMEOUT: return HISTRIO__V1__ERROR__ERROR_TIMEOUT;
    case ERR_SYSTEM:
    case ERR_EXPIRED:
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
    case ERR_CANCELED: break;
    }
    return HISTRIO__V1__ERROR__ERROR_UNAVAILABLE;
}

void run_request_answer(struct run_request *request, const struct err *err)
{
    if (err) {
        request->error = error_of(err->kind);
        request->text = xstrdup(err->text);
    }
    rpc_loop_post(request->server->loop, send_answer, request);
}

void run_request_fail(struct run_request *request)
{
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "the run is over"); /* returns -1 by its contract */
    run_request_answer(request, &err);
}

int run_server_new(const struct run_server_config *config, struct run_server **ret_server, struct err *err)
{
    const char *addresses[] = {config->address, NULL};
    struct rpc_method methods[4];
    struct run_server *server = xcalloc(1, sizeof(*server));
    server->queue = config->queue;
    server->credential = xmemdup(config->credential, config->credential_size);
    server->credential_size = config->credential_size;
    for (size_t i = 0; i < 4; i++) {
        server->methods[i] = (struct run_method){server, (enum run_request_kind)i};
        methods[i] = (struct rpc_method){method_paths[i], on_open, &server->methods[i]};
    }
    struct rpc_server_config server_config = {.addresses = addresses, .methods = methods, .method_count = 4};
    if (rpc_loop_new("run", &server->loop, err) < 0 ||
        rpc_server_new(server->loop, &server_config, &server->server, err) < 0) {
        run_server_free(server);
        return -1;
    }
    rpc_server_set_serving(server->server, true);
    *ret_server = server;
    return 0;
}

void run_server_stop(struct run_server *server)
{
    if (server && server->server)
        rpc_server_free(server->server, STOP_GRACE_MS);
    if (server)
        server->server = NULL;
}

void run_server_free(struct run_server *server)
{
    if (!server)
        return;
    run_server_stop(server);
    rpc_loop_free(server->loop);
    free(server->credential);
    free(server);
}
