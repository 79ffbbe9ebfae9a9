/* histrio/value.h: reading and writing message values (msgpack). A map holds named arguments, an array
 * positional ones, nil none; JSON of the command line becomes the same.
 *
 * Reading allocates nothing and checks bounds: values from outside are safe to read. Any thread. */
#ifndef HISTRIO_VALUE_H
#define HISTRIO_VALUE_H

#include <histrio/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arguments of a message, by name in a map or by position in an array ----
 *
 * True, and *ret filled, when the argument is there, has the type, and fits; else false, and *ret untouched.
 */

HISTRIO_API bool histrio_argument_int(
    const struct histrio_message *message, const char *name, size_t position, int64_t *ret_value);
HISTRIO_API bool histrio_argument_double(
    const struct histrio_message *message, const char *name, size_t position, double *ret_value);
HISTRIO_API bool histrio_argument_bool(
    const struct histrio_message *message, const char *name, size_t position, bool *ret_value);
/* The bytes of a text; not ended by a NUL, and valid as long as the message. */
HISTRIO_API bool histrio_argument_string(const struct histrio_message *message, const char *name,
    size_t position, const char **ret_text, size_t *ret_size);

/* ---- any value ---- */

/* A view of bytes that somebody else keeps. Zeroed: no value. */
struct histrio_value {
    const uint8_t *data;
    size_t size;
};

/* NULL and empty bytes are no value. */
static inline struct histrio_value histrio_value_of(const uint8_t *data, size_t size)
{
    struct histrio_value value = {data, size};
    return value;
}

HISTRIO_API bool histrio_value_int(struct histrio_value value, int64_t *ret_value);
HISTRIO_API bool histrio_value_double(
    struct histrio_value value, double *ret_value); /* of integers as well */
HISTRIO_API bool histrio_value_bool(struct histrio_value value, bool *ret_value);
HISTRIO_API bool histrio_value_string(struct histrio_value value, const char **ret_text, size_t *ret_size);
HISTRIO_API bool histrio_value_bytes(struct histrio_value value, const void **ret_data, size_t *ret_size);
HISTRIO_API bool histrio_value_is_nil(struct histrio_value value); /* also of no value */
/* Items of an array, pairs of a map; 0 for others. */
HISTRIO_API size_t histrio_value_count(struct histrio_value value);
/* The item of an array or the value of the pair of a map at `index`; no value behind the end. */
HISTRIO_API struct histrio_value histrio_value_at(struct histrio_value value, size_t index);
/* The value under `key` of a map; no value when there is none. */
HISTRIO_API struct histrio_value histrio_value_find(struct histrio_value map, const char *key);

/* ---- writing ----
 *
 * Put values one after the other: histrio_put_map(w, 1), histrio_put_string(w, "amount"), histrio_put_int(w,
 * 5). A writer that was given more than the limit of a message (4 MiB) sends nothing: what takes it says
 * BAD_ARGUMENT. */

HISTRIO_API struct histrio_writer *histrio_writer_new(void);
HISTRIO_API void histrio_writer_free(struct histrio_writer *writer); /* only for one that nobody took */

HISTRIO_API void histrio_put_nil(struct histrio_writer *writer);
HISTRIO_API void histrio_put_bool(struct histrio_writer *writer, bool value);
HISTRIO_API void histrio_put_int(struct histrio_writer *writer, int64_t value);
HISTRIO_API void histrio_put_uint(struct histrio_writer *writer, uint64_t value);
HISTRIO_API void histrio_put_double(struct histrio_writer *writer, double value);
HISTRIO_API void histrio_put_string(struct histrio_writer *writer, const char *text); /* NULL: nil */
HISTRIO_API void histrio_put_string_bytes(struct histrio_writer *writer, const char *text, size_t size);
HISTRIO_API void histrio_put_bytes(struct histrio_writer *writer, const void *data, size_t size);
HISTRIO_API void histrio_put_array(struct histrio_writer *writer, size_t count); /* count items follow */
HISTRIO_API void histrio_put_map(
    struct histrio_writer *writer, size_t count); /* count keys and values follow */

/* histrio_tell(), histrio_reply(), histrio_ask() with what was written. They free the writer. */
HISTRIO_API enum histrio_error histrio_tell_take(
    struct histrio_context *ctx, struct histrio_ref to, uint32_t type, struct histrio_writer *writer);
HISTRIO_API uint64_t histrio_ask_take(struct histrio_context *ctx, struct histrio_ref to, uint32_t type,
    struct histrio_writer *writer, uint32_t timeout_ms);
HISTRIO_API void histrio_reply_take(struct histrio_context *ctx, struct histrio_writer *writer);
HISTRIO_API void histrio_reply_int(struct histrio_context *ctx, int64_t value);
HISTRIO_API void histrio_reply_string(struct histrio_context *ctx, const char *text);

#ifdef __cplusplus
}
#endif
#endif
