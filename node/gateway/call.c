/* Unary calls: one request comes in, is decoded and handed on; one response goes out. */
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "gateway/private.h"
#include "wire/arena.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct gateway *gateway;
    struct rpc_stream *stream;
    const ProtobufCMessageDescriptor *type;
    call_handler handler;
};

static void call_end(struct call *call, enum rpc_code code, const char *text)
{
    call_refuse(call->stream, code, text);
    free(call);
}

static void call_message(struct rpc_stream *stream, const uint8_t *data, size_t size, void *ctx)
{
    struct call *call = ctx;
    uint8_t first[2048];
    struct wire_arena arena;
    wire_arena_init(&arena, first, sizeof(first), 4 * (size_t)LIMIT_FRAME_BYTES);
    ProtobufCMessage *request;
    struct err err = {0};
    if (call->gateway->is_closed) {
        call_end(call, RPC_UNAVAILABLE, "the node is stopping");
    } else if (wire_unpack(call->type, data, size, LIMIT_FRAME_BYTES, &arena, &request, &err) < 0) {
        call_end(call, RPC_INVALID_ARGUMENT, err.text);
    } else {
        struct gateway *gateway = call->gateway;
        call_handler handler = call->handler;
        free(call);
        handler(gateway, stream, request);
    }
    wire_arena_done(&arena);
}

static void call_half_closed(struct rpc_stream *stream, void *ctx)
{
    (void)stream;
    call_end(ctx, RPC_INVALID_ARGUMENT, "no request came");
}

static void call_closed(struct rpc_stream *stream, const struct rpc_status *status, void *ctx)
{
    (void)status; /* the client went before it asked anything */
    rpc_stream_free(stream);
    free(ctx);
}

void call_accept(struct gateway *gateway, struct rpc_stream *stream, const ProtobufCMessageDescriptor *type,
    call_handler handler)
{
    static const struct rpc_stream_events events = {
        .message = call_message, .half_closed = call_half_closed, .closed = call_closed};
    struct call *call = xcalloc(1, sizeof(*call));
    *call = (struct call){gateway, stream, type, handler};
    rpc_stream_listen(stream, &events, call);
}

void call_respond(struct rpc_stream *stream, const void *response)
{
    size_t size = wire_packed_size(response);
    struct err err = {0};
    struct rpc_buffer *buffer = rpc_buffer_new(size);
    wire_pack_into(response, rpc_buffer_data(buffer));
    if (rpc_stream_write_take(stream, buffer, &err) < 0)
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, err.text);
    else
        rpc_stream_finish(stream, RPC_OK, "");
    rpc_stream_free(stream);
}

void call_refuse(struct rpc_stream *stream, enum rpc_code code, const char *text)
{
    rpc_stream_finish(stream, code, text);
    rpc_stream_free(stream);
}

bool call_check_credential(
    struct gateway *gateway, struct rpc_stream *stream, const ProtobufCBinaryData *credential)
{
    size_t size = gateway->config.credential_size;
    if (size == 0)
        return true;
    /* All bytes are looked at, so that the time taken does not tell how many were right. */
    unsigned difference = credential->len != size;
    for (size_t i = 0; i < size && i < credential->len; i++)
        difference |= (unsigned)(credential->data[i] ^ gateway->config.credential[i]);
    if (difference == 0)
        return true;
    call_refuse(stream, RPC_UNAUTHENTICATED, "wrong credential for this system");
    return false;
}

const char *call_check_names(const char *actor, const char *method)
{
    if (actor[0] == '\0')
        return "no actor is named";
    if (strlen(actor) > LIMIT_ADDRESS_BYTES)
        return "the actor's name is too long";
    if (method[0] == '\0')
        return "no method is named";
    if (strlen(method) > LIMIT_MESSAGE_TYPE_BYTES)
        return "the method's name is too long";
    return NULL;
}
