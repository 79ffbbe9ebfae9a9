/* The functions of histrio/value.h that send nothing: base/value.h with names that behavior libraries see. */
#include <histrio/value.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/value.h"
#include "capi/writer.h"

#include <stdlib.h>

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
