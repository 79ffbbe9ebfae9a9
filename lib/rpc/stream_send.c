#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "base/err.h"
#include "base/mem.h"
#include "rpc/stream_private.h"

enum { BUFFER_COST = 128 }; /* about what a queued message takes beside its bytes */

struct rpc_buffer {
    struct rpc_buffer *next;
    grpc_slice slice;
};

struct rpc_buffer *rpc_buffer_new(size_t size)
{
    struct rpc_buffer *buffer = xmalloc(sizeof(*buffer));
    *buffer = (struct rpc_buffer){.slice = grpc_slice_malloc(size)};
    return buffer;
}

uint8_t *rpc_buffer_data(struct rpc_buffer *buffer)
{
    return GRPC_SLICE_START_PTR(buffer->slice);
}

void rpc_buffer_free(struct rpc_buffer *buffer)
{
    if (!buffer)
        return;
    grpc_slice_unref(buffer->slice);
    free(buffer);
}

static size_t cost_of(size_t size)
{
    return size + BUFFER_COST;
}

void rpc_stream_send_drop(struct rpc_stream *stream)
{
    while (stream->first) {
        struct rpc_buffer *buffer = stream->first;
        stream->first = buffer->next;
        stream->queued_bytes -= cost_of(GRPC_SLICE_LENGTH(buffer->slice));
        rpc_buffer_free(buffer);
    }
    stream->last = NULL;
}

/* Moves the first of the queue into `sending` and describes it in `op`. */
static void add_message(struct rpc_stream *stream, bool has_header, grpc_op *op)
{
    struct rpc_buffer *buffer = stream->first;
    stream->first = buffer->next;
    if (!stream->first)
        stream->last = NULL;
    stream->sending_cost = cost_of(GRPC_SLICE_LENGTH(buffer->slice));
    stream->sending = grpc_raw_byte_buffer_create(&buffer->slice, 1);
    rpc_buffer_free(buffer);
    op->op = GRPC_OP_SEND_MESSAGE;
    op->data.send_message.send_message = stream->sending;
    /* With more to come gRPC may keep it back, and write several at once. Not beside the header: then gRPC
     * keeps that back, too, while the batch waits until the header is written, and both wait for ever. */
    op->flags = stream->first && !has_header ? GRPC_WRITE_BUFFER_HINT : 0;
}

static void add_close(struct rpc_stream *stream, grpc_op *op, grpc_slice *text)
{
    stream->close_sent = true;
    if (!stream->is_server) {
        op->op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        return;
    }
    *text = grpc_slice_from_copied_string(stream->finish_text);
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = (grpc_status_code)stream->finish_code;
    op->data.send_status_from_server.status_details = text;
}

void rpc_stream_send_next(struct rpc_stream *stream)
{
    grpc_op ops[3] = {0};
    size_t count = 0;
    grpc_slice text = grpc_empty_slice();
    bool is_over = stream->is_ended || stream->is_cancelled;
    if (is_over)
        rpc_stream_send_drop(stream);
    /* A client's call must have its header sent to end at all, so that happens also when it is already
     * cancelled. */
    if (stream->is_sending || !stream->call || (is_over && (stream->is_server || stream->header_sent)))
        return;
    bool has_close = stream->close_wanted && !stream->close_sent && !is_over;
    if (!stream->header_sent && (stream->header_wanted || stream->first || has_close)) {
        stream->header_sent = true;
        ops[count].op = GRPC_OP_SEND_INITIAL_METADATA;
        ops[count++].flags = stream->header_flags;
    }
    bool has_header = count > 0;
    if (stream->first)
        add_message(stream, has_header, &ops[count++]);
    if (has_close && !stream->first)
        add_close(stream, &ops[count++], &text);
    if (count > 0) {
        stream->is_sending = rpc_stream_start(stream, ops, count, &stream->send_tag);
        assert(stream->is_sending);
    }
    grpc_slice_unref(text);
}

static void send_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = list_entry(tag, struct rpc_stream, send_tag);
    bool was_message = stream->sending != NULL;
    stream->is_sending = false;
    if (was_message) {
        grpc_byte_buffer_destroy(stream->sending);
        stream->sending = NULL;
        stream->queued_bytes -= stream->sending_cost;
    }
    if (!ok)
        rpc_stream_send_drop(stream); /* the end of the call says why */
    else
        rpc_stream_send_next(stream);
    bool can_tell = ok && !stream->is_ended && !stream->is_cancelled && !stream->close_wanted;
    if (can_tell && stream->wants_writable && !stream->is_freed &&
        stream->queued_bytes <= stream->queue_bytes_max / 2) {
        stream->wants_writable = false;
        if (stream->events.writable)
            stream->events.writable(stream, stream->ctx);
    }
    if (can_tell && was_message && !stream->is_freed && rpc_stream_is_idle(stream) && stream->events.idle)
        stream->events.idle(stream, stream->ctx);
    rpc_stream_leave(stream);
}

void rpc_stream_send_init(struct rpc_stream *stream)
{
    stream->send_tag.done = send_done;
    stream->header_wanted = !stream->is_server; /* a server's goes with its first message, or its status */
}

int rpc_stream_write_take(struct rpc_stream *stream, struct rpc_buffer *buffer, struct err *err)
{
    size_t size = GRPC_SLICE_LENGTH(buffer->slice);
    int result = 0;
    if (stream->is_ended || stream->is_cancelled || stream->close_wanted) {
        result = err_set(err, ERR_CANCELED, "the stream has ended");
    } else if (size > stream->message_bytes_max) {
        result = err_set(
            err, ERR_LIMIT, "a message of %zu bytes is larger than %zu", size, stream->message_bytes_max);
    } else if (stream->queued_bytes > 0 && stream->queued_bytes + cost_of(size) > stream->queue_bytes_max) {
        stream->wants_writable = true;
        result = err_set(err, ERR_BUSY, "%zu bytes are waiting to be sent", stream->queued_bytes);
    }
    if (result < 0) {
        rpc_buffer_free(buffer);
        return result;
    }
    stream->queued_bytes += cost_of(size);
    if (stream->last)
        stream->last->next = buffer;
    else
        stream->first = buffer;
    stream->last = buffer;
    rpc_stream_touch(stream);
    return 0;
}

int rpc_stream_write(struct rpc_stream *stream, const void *data, size_t size, struct err *err)
{
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    if (size > 0)
        memcpy(rpc_buffer_data(buffer), data, size);
    return rpc_stream_write_take(stream, buffer, err);
}

size_t rpc_stream_queued_bytes(const struct rpc_stream *stream)
{
    return stream->queued_bytes;
}

bool rpc_stream_is_idle(const struct rpc_stream *stream)
{
    return !stream->first && !stream->sending;
}

static void want_close(struct rpc_stream *stream)
{
    stream->close_wanted = true;
    rpc_stream_touch(stream);
}

void rpc_stream_half_close(struct rpc_stream *stream)
{
    assert(!stream->is_server);
    if (!stream->close_wanted)
        want_close(stream);
}

void rpc_stream_finish(struct rpc_stream *stream, enum rpc_code code, const char *text)
{
    assert(stream->is_server);
    if (stream->close_wanted)
        return;
    stream->finish_code = code;
    stream->finish_text = xstrdup(text ? text : "");
    want_close(stream);
}
