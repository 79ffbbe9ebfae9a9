/* The functions of histrio/value.h that send: each is one of histrio/actor.h with what was written, whoever
 * implements that. Compiled into the runtime, and into the worker process for C behaviors. */
#include "base/limits.h"
#include "capi/writer.h"

static const uint8_t *bytes(const struct histrio_writer *writer)
{
    return (const uint8_t *)str_text(&writer->out);
}

enum histrio_error histrio_tell_take(
    struct histrio_context *ctx, struct histrio_ref to, uint32_t type, struct histrio_writer *writer)
{
    enum histrio_error error = HISTRIO_BAD_ARGUMENT;
    if (!writer->out.overflowed) {
        error = histrio_tell(ctx, to, type, bytes(writer), writer->out.size);
    }
    histrio_writer_free(writer);
    return error;
}

uint64_t histrio_ask_take(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    struct histrio_writer *writer, uint32_t timeout_ms)
{
    /* A size over the limit makes histrio_ask() answer BAD_ARGUMENT by a message, as for any failed ask. */
    size_t size = writer->out.overflowed ? SIZE_MAX : writer->out.size;
    uint64_t ask = histrio_ask(ctx, to, type, bytes(writer), size, timeout_ms);
    histrio_writer_free(writer);
    return ask;
}

void histrio_reply_take(struct histrio_context *ctx, struct histrio_writer *writer)
{
    if (writer->out.overflowed) {
        histrio_reply_error(ctx, HISTRIO_BAD_ARGUMENT, "the answer is larger than a message may be");
    } else {
        histrio_reply(ctx, bytes(writer), writer->out.size);
    }
    histrio_writer_free(writer);
}

void histrio_reply_int(struct histrio_context *ctx, int64_t value)
{
    struct histrio_writer *writer = histrio_writer_new();
    histrio_put_int(writer, value);
    histrio_reply_take(ctx, writer);
}

void histrio_reply_string(struct histrio_context *ctx, const char *text)
{
    struct histrio_writer *writer = histrio_writer_new();
    histrio_put_string(writer, text);
    histrio_reply_take(ctx, writer);
}
