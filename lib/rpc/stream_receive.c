#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include "base/mem.h"
#include "rpc/stream_private.h"

void rpc_stream_receive_drop(struct rpc_stream *stream)
{
    if (stream->received && !stream->is_receiving) {
        grpc_byte_buffer_destroy(stream->received);
        stream->received = NULL;
    }
}

/* The bytes of `message`, in place when gRPC has them in one piece, else in the loop's scratch memory. */
static const uint8_t *bytes_of(struct rpc_loop *loop, grpc_byte_buffer_reader *reader, size_t size)
{
    grpc_slice *slice;
    uint8_t *copy = NULL;
    size_t filled = 0;
    while (grpc_byte_buffer_reader_peek(reader, &slice)) {
        if (GRPC_SLICE_LENGTH(*slice) == size)
            return GRPC_SLICE_START_PTR(*slice);
        if (!copy)
            copy = rpc_loop_scratch(loop, size);
        memcpy(copy + filled, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        filled += GRPC_SLICE_LENGTH(*slice);
    }
    assert(filled == size);
    return copy ? copy : (const uint8_t *)"";
}

void rpc_stream_deliver(struct rpc_stream *stream)
{
    grpc_byte_buffer *message = stream->received;
    grpc_byte_buffer_reader reader;
    if (!message || stream->is_receiving || stream->is_paused || stream->is_freed || stream->is_told)
        return;
    stream->received = NULL;
    /* Fails only for compressed messages, which are refused before. */
    if (grpc_byte_buffer_reader_init(&reader, message)) {
        size_t size = grpc_byte_buffer_length(message);
        const uint8_t *data = bytes_of(stream->loop, &reader, size);
        stream->events.message(stream, data, size, stream->ctx);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    grpc_byte_buffer_destroy(message);
    /* A server's header waits for its first message; a client that sent one is not kept waiting for it. */
    if (!stream->header_wanted) {
        stream->header_wanted = true;
        rpc_stream_touch(stream);
    }
}

/* `ok` is false when what came could not be taken, as with a message that is too large. */
static void no_more_messages(struct rpc_stream *stream, bool ok)
{
    stream->receive_ended = true;
    bool was_half_close = ok && stream->is_server && !stream->is_ended && !stream->is_cancelled &&
                          !stream->close_wanted && !grpc_call_failed_before_recv_message(stream->call);
    if (was_half_close && !stream->is_freed && stream->events.half_closed)
        stream->events.half_closed(stream, stream->ctx);
}

static void receive_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_stream *stream = list_entry(tag, struct rpc_stream, receive_tag);
    stream->is_receiving = false;
    if (!ok)
        rpc_stream_receive_drop(stream);
    if (stream->received)
        rpc_stream_deliver(stream);
    else
        no_more_messages(stream, ok);
    rpc_stream_receive_next(stream);
    if (stream->is_ended)
        rpc_stream_touch(stream); /* the end was told to us before the last message */
    rpc_stream_leave(stream);
}

void rpc_stream_receive_init(struct rpc_stream *stream)
{
    stream->receive_tag.done = receive_done;
}

void rpc_stream_receive_next(struct rpc_stream *stream)
{
    if (stream->is_receiving || stream->received || stream->is_paused || stream->receive_ended ||
        stream->is_freed || !stream->call)
        return;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &stream->received;
    stream->is_receiving = rpc_stream_start(stream, &op, 1, &stream->receive_tag);
    if (!stream->is_receiving)
        stream->receive_ended = true;
}

void rpc_stream_pause_reading(struct rpc_stream *stream, bool paused)
{
    stream->is_paused = paused;
    rpc_stream_touch(stream);
}
