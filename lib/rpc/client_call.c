#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "rpc/client_private.h"
#include "rpc/loop_private.h"

/* A unary call: a stream with one message each way. Owned by the loop's thread once posted. */
struct unary_call {
    struct rpc_client *client;
    char *path;
    struct rpc_buffer *request;
    uint64_t timeout_ms;
    bool wait_for_ready;
    void (*done)(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx);
    void *ctx;
    uint8_t *response;
    size_t response_size;
    bool has_too_many;
};

static void call_free(struct unary_call *call)
{
    rpc_buffer_free(call->request);
    free(call->path);
    free(call->response);
    free(call);
}

static void on_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct unary_call *call = ctx;
    if (call->response) {
        call->has_too_many = true;
        rpc_stream_cancel(stream);
        return;
    }
    call->response = xmemdup(data, size);
    call->response_size = size;
}

static void on_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    struct unary_call *call = ctx;
    struct rpc_status result = *status;
    if (call->has_too_many)
        result = (struct rpc_status){.code = RPC_INTERNAL, .text = "more than one response came"};
    else if (result.code == RPC_OK && !call->response)
        result = (struct rpc_status){.code = RPC_INTERNAL, .text = "no response came"};
    rpc_stream_free(stream);
    if (result.code == RPC_OK)
        call->done(&result, call->response, call->response_size, call->ctx);
    else
        call->done(&result, NULL, 0, call->ctx);
    call_free(call);
}

static void call_start(void *ctx)
{
    static const struct rpc_stream_events events = {.message = on_message, .closed = on_closed};
    struct unary_call *call = ctx;
    struct err err = {0};
    struct rpc_stream *stream =
        rpc_client_open(call->client, call->path, call->timeout_ms, call->wait_for_ready);
    rpc_stream_listen(stream, &events, call);
    if (rpc_stream_write_take(stream, steal_ptr(&call->request), &err) < 0) {
        /* Nothing is queued and nothing has ended, so it is too large. */
        struct rpc_status status = {.code = RPC_RESOURCE_EXHAUSTED, .text = err.text};
        rpc_stream_free(stream);
        call->done(&status, NULL, 0, call->ctx);
        call_free(call);
        return;
    }
    rpc_stream_half_close(stream);
}

void rpc_client_call(struct rpc_client *client, const char *path, const void *request, size_t request_size,
    uint64_t timeout_ms, bool wait_for_ready,
    void (*done)(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx), void *ctx)
{
    struct unary_call *call = xcalloc(1, sizeof(*call));
    call->client = client;
    call->path = xstrdup(path);
    call->request = rpc_buffer_new(request_size);
    if (request_size > 0)
        memcpy(rpc_buffer_data(call->request), request, request_size);
    call->timeout_ms = timeout_ms;
    call->wait_for_ready = wait_for_ready;
    call->done = done;
    call->ctx = ctx;
    rpc_loop_post(rpc_client_loop(client), call_start, call);
}

struct waiting_call {
    struct rpc_loop *loop;
    struct err *err;
    uint8_t *data;
    size_t size;
    int result;
    bool is_done;
};

static void wake(const struct rpc_status *status, const uint8_t *data, size_t size, void *ctx)
{
    struct waiting_call *waiting = ctx;
    waiting->result = rpc_status_error(status, waiting->err);
    if (waiting->result == 0) {
        waiting->data = xmemdup(data, size);
        waiting->size = size;
    }
    rpc_loop_wake(waiting->loop, &waiting->is_done);
}

int rpc_client_call_wait(struct rpc_client *client, const char *path, const void *request,
    size_t request_size, uint64_t timeout_ms, bool wait_for_ready, uint8_t **ret_data, size_t *ret_size,
    struct err *err)
{
    struct waiting_call waiting = {.loop = rpc_client_loop(client), .err = err};
    rpc_client_call(client, path, request, request_size, timeout_ms, wait_for_ready, wake, &waiting);
    rpc_loop_wait(waiting.loop, &waiting.is_done);
    if (waiting.result < 0)
        return err_wrap(err, "%s", path);
    *ret_data = waiting.data;
    *ret_size = waiting.size;
    return 0;
}
