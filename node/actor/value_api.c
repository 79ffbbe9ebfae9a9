/* The functions of histrio/value.h: base/value.h with names that behavior libraries see. */
#include <histrio/value.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/value.h"

#include <stdlib.h>

struct histrio_writer {
    struct str out;
};

static struct value view(struct histrio_value value)
{
    return value_of(value.data, value.size);
}

static struct histrio_value public_view(struct value value)
{
    return histrio_value_of(value.data, value.size);
}

static struct value argument(const struct histrio_message *message, const char *name, size_t position)
{
    return value_argument(value_of(message->value, message->size), name, position);
}

bool histrio_argument_int(
    const struct histrio_message *message, const char *name, size_t position, int64_t *ret_value)
{
    return value_get_int(argument(message, name, position), ret_value);
}

bool histrio_argument_double(
    const struct histrio_message *message, const char *name, size_t position, double *ret_value)
{
    return value_get_double(argument(message, name, position), ret_value);
}

bool histrio_argument_bool(
    const struct histrio_message *message, const char *name, size_t position, bool *ret_value)
{
    return value_get_bool(argument(message, name, position), ret_value);
}

bool histrio_argument_string(const struct histrio_message *message, const char *name, size_t position,
    const char **ret_text, size_t *ret_size)
{
    return value_get_string(argument(message, name, position), ret_text, ret_size);
}

bool histrio_value_int(struct histrio_value value, int64_t *ret_value)
{
    return value_get_int(view(value), ret_value);
}

bool histrio_value_double(struct histrio_value value, double *ret_value)
{
    return value_get_double(view(value), ret_value);
}

bool histrio_value_bool(struct histrio_value value, bool *ret_value)
{
    return value_get_bool(view(value), ret_value);
}

bool histrio_value_string(struct histrio_value value, const char **ret_text, size_t *ret_size)
{
    return value_get_string(view(value), ret_text, ret_size);
}

bool histrio_value_bytes(struct histrio_value value, const void **ret_data, size_t *ret_size)
{
    return value_get_bytes(view(value), ret_data, ret_size);
}

bool histrio_value_is_nil(struct histrio_value value)
{
    enum value_type type = value_type(view(value));
    return type == VALUE_NIL || type == VALUE_NONE;
}

size_t histrio_value_count(struct histrio_value value)
{
    return value_count(view(value));
}

struct histrio_value histrio_value_at(struct histrio_value value, size_t index)
{
    return public_view(value_at(view(value), index));
}

struct histrio_value histrio_value_find(struct histrio_value map, const char *key)
{
    return public_view(value_find(view(map), key));
}

struct histrio_writer *histrio_writer_new(void)
{
    struct histrio_writer *writer = xcalloc(1, sizeof(*writer));
    str_init(&writer->out, LIMIT_VALUE_BYTES);
    return writer;
}

void histrio_writer_free(struct histrio_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    str_done(&writer->out);
    free(writer);
}

void histrio_put_nil(struct histrio_writer *writer)
{
    value_put_nil(&writer->out);
}

void histrio_put_bool(struct histrio_writer *writer, bool value)
{
    value_put_bool(&writer->out, value);
}

void histrio_put_int(struct histrio_writer *writer, int64_t value)
{
    value_put_int(&writer->out, value);
}

void histrio_put_uint(struct histrio_writer *writer, uint64_t value)
{
    value_put_uint(&writer->out, value);
}

void histrio_put_double(struct histrio_writer *writer, double value)
{
    value_put_double(&writer->out, value);
}

void histrio_put_string(struct histrio_writer *writer, const char *text)
{
    value_put_string(&writer->out, text);
}

void histrio_put_string_bytes(struct histrio_writer *writer, const char *text, size_t size)
{
    value_put_string_bytes(&writer->out, text, size);
}

void histrio_put_bytes(struct histrio_writer *writer, const void *data, size_t size)
{
    value_put_bytes(&writer->out, data, size);
}

void histrio_put_array(struct histrio_writer *writer, size_t count)
{
    value_put_array(&writer->out, count);
}

void histrio_put_map(struct histrio_writer *writer, size_t count)
{
    value_put_map(&writer->out, count);
}

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
