#include <assert.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "rpc/status.h"
#include "rpc/stream_private.h"

static void stream_later(struct rpc_later *later);
static void end_done(struct rpc_tag *tag, bool ok);

struct rpc_stream *rpc_stream_new(
    struct rpc_loop *loop, grpc_call *call, bool is_server, const struct rpc_stream_limits *limits)
{
    struct rpc_stream *stream = xcalloc(1, sizeof(*stream));
    rpc_loop_hold(loop);
    stream->loop = loop;
    stream->call = call;
    stream->is_server = is_server;
    stream->later.run = stream_later;
    stream->end_tag.done = end_done;
    stream->queue_bytes_max = limits->queue_bytes_max;
    stream->message_bytes_max = limits->message_bytes_max;
    stream->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    rpc_stream_send_init(stream);
    rpc_stream_receive_init(stream);
    rpc_stream_touch(stream);
    return stream;
}

void rpc_stream_touch(struct rpc_stream *stream)
{
    rpc_loop_later(stream->loop, &stream->later);
}

bool rpc_stream_start(struct rpc_stream *stream, const grpc_op *ops, size_t count, struct rpc_tag *tag)
{
    rpc_tag_post(tag);
    if (grpc_call_start_batch(stream->call, ops, count, tag, NULL) != GRPC_CALL_OK)
        return false;
    stream->batches++;
    return true;
}

static void leave_maker(struct rpc_stream *stream)
{
    if (!list_node_is_linked(&stream->node))
        return;
    list_remove(&stream->node);
    if (stream->gone)
        stream->gone(stream->maker);
}

static void give_back_call(struct rpc_stream *stream)
{
    if (!stream->call)
        return;
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_call_unref(stream->call);
    stream->call = NULL;
    leave_maker(stream);
}

static void stream_destroy(struct rpc_stream *stream)
{
    struct rpc_loop *loop = stream->loop;
    list_remove(&stream->later.node);
    give_back_call(stream);
    rpc_stream_send_drop(stream);
    rpc_stream_receive_drop(stream);
    grpc_slice_unref(stream->status_text);
    free(stream->finish_text);
    free(stream->peer);
    free(stream);
    rpc_loop_release(loop);
}

void rpc_stream_enter(struct rpc_stream *stream)
{
    stream->batches++;
}

void rpc_stream_leave(struct rpc_stream *stream)
{
    assert(stream->batches > 0);
    stream->batches--;
    if (stream->batches > 0 || (stream->is_started && !stream->is_ended))
        return;
    if (stream->is_freed)
        stream_destroy(stream);
    else if (stream->is_told)
        give_back_call(stream);
}

/* gRPC says UNAVAILABLE of a server that is not who it should be, as of one that is not there. */
static enum rpc_code client_code(const struct rpc_stream *stream, const char *text)
{
    enum rpc_code code = rpc_code_from_grpc(stream->status);
    bool is_impostor = code == RPC_UNAVAILABLE &&
                       (strstr(text, "Tls handshake failed") || strstr(text, "verification check failed"));
    return is_impostor ? RPC_UNAUTHENTICATED : code;
}

static void tell_end(struct rpc_stream *stream)
{
    struct rpc_status status = {.code = rpc_code_from_grpc(stream->status)};
    char *text = NULL;
    if (!stream->is_ended || stream->is_told || stream->is_receiving)
        return;
    if (stream->received && !stream->is_freed && !stream->is_server && status.code == RPC_OK)
        return; /* one message is left, for when reading goes on */
    stream->is_told = true;
    rpc_stream_receive_drop(stream);
    rpc_stream_send_drop(stream);
    if (stream->is_freed)
        return;
    if (stream->client_went) {
        status = (struct rpc_status){.code = RPC_CANCELLED, .text = "the client went away"};
    } else if (stream->is_server) {
        status = (struct rpc_status){.code = stream->finish_code, .text = stream->finish_text};
    } else {
        status.text = text = xstrndup(
            (const char *)GRPC_SLICE_START_PTR(stream->status_text), GRPC_SLICE_LENGTH(stream->status_text));
        status.code = client_code(stream, text);
    }
    stream->events.closed(stream, &status, stream->ctx);
    free(text);
}

static void end_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = list_entry(tag, struct rpc_stream, end_tag);
    (void)ok; /* says nothing for this operation: the status does */
    stream->is_ended = true;
    tell_end(stream);
    rpc_stream_leave(stream);
}

/* One batch that waits for the end, whatever it is; without it a cancellation would not be seen. */
static void wait_for_end(struct rpc_stream *stream)
{
    grpc_op ops[2] = {0};
    size_t count = 0;
    if (stream->is_server) {
        ops[count].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        ops[count++].data.recv_close_on_server.cancelled = &stream->client_went;
    } else {
        ops[count].op = GRPC_OP_RECV_INITIAL_METADATA;
        ops[count++].data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata;
        ops[count].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
        ops[count].data.recv_status_on_client.trailing_metadata = &stream->trailing_metadata;
        ops[count].data.recv_status_on_client.status = &stream->status;
        ops[count++].data.recv_status_on_client.status_details = &stream->status_text;
    }
    bool is_started = rpc_stream_start(stream, ops, count, &stream->end_tag);
    assert(is_started); /* a new call takes its first batches, also when it is cancelled */
    stream->is_started = is_started;
}

static void stream_later(struct rpc_later *later)
{
    struct rpc_stream *stream = list_entry(later, struct rpc_stream, later);
    assert(stream->is_listening || stream->is_freed); /* an owner must do one or the other at once */
    rpc_stream_enter(stream);
    if (stream->call) {
        rpc_stream_send_next(stream);
        if (!stream->is_started)
            wait_for_end(stream);
        rpc_stream_deliver(stream);
        rpc_stream_receive_next(stream);
    }
    tell_end(stream);
    rpc_stream_leave(stream);
}

void rpc_stream_listen(struct rpc_stream *stream, const struct rpc_stream_events *events, void *ctx)
{
    assert(events->message && events->closed);
    stream->events = *events;
    stream->ctx = ctx;
    stream->is_listening = true;
}

void rpc_stream_cancel(struct rpc_stream *stream)
{
    if (stream->is_cancelled || stream->is_ended || !stream->call)
        return;
    stream->is_cancelled = true;
    (void)grpc_call_cancel_with_status(stream->call, GRPC_STATUS_CANCELLED, "cancelled", NULL);
    rpc_stream_touch(stream);
}

void rpc_stream_free(struct rpc_stream *stream)
{
    if (!stream)
        return;
    assert(!stream->is_freed);
    bool is_finishing = stream->is_server && stream->close_wanted && !stream->is_cancelled;
    stream->is_freed = true;
    if (!is_finishing)
        rpc_stream_cancel(stream);
    rpc_stream_touch(stream); /* never freed inside a callback of its own */
}

const char *rpc_stream_peer(struct rpc_stream *stream)
{
    if (stream->call) {
        char *peer = grpc_call_get_peer(stream->call);
        free(stream->peer);
        stream->peer = xstrdup(peer);
        gpr_free(peer);
    }
    return stream->peer ? stream->peer : "";
}

bool rpc_stream_peer_has_name(struct rpc_stream *stream, const char *name)
{
    grpc_auth_context *context = stream->call ? grpc_call_auth_context(stream->call) : NULL;
    bool is_found = false;
    if (!context)
        return false;
    /* Only the names of a certificate that was verified: without TLS there are none. */
    grpc_auth_property_iterator names =
        grpc_auth_context_find_properties_by_name(context, GRPC_PEER_DNS_PROPERTY_NAME);
    for (const grpc_auth_property *property = grpc_auth_property_iterator_next(&names); property && !is_found;
         property = grpc_auth_property_iterator_next(&names))
        is_found = text_equal(property->value, name) && property->value_length == strlen(name);
    grpc_auth_context_release(context);
    return is_found && *name;
}
