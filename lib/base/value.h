/* Values of messages: msgpack, with texts as map keys. A map holds named arguments, an array positional ones,
 * nil none.
 *
 * Reading allocates nothing: a struct value is a view of bytes that somebody else keeps, and every call
 * checks bounds, so that also bytes from outside are safe to read; value_validate says whether all of them
 * make sense. Thread: any. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct json;
struct str;

enum value_type {
    VALUE_NONE, /* no value: an empty or broken view */
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT, /* any integer; int64 or uint64 */
    VALUE_DOUBLE,
    VALUE_STRING,
    VALUE_BYTES,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_TIME, /* ext 1: 4 bytes of nanoseconds, 8 bytes of seconds since 1970, big-endian */
    VALUE_OTHER /* an ext type that we do not know */
};

/* The bytes of one value, and perhaps more behind it. Zeroed: no value. */
struct value {
    const uint8_t *data;
    size_t size;
};

/* ---- reading ---- */

static inline struct value value_of(const void *data, size_t size)
{
    return (struct value){(const uint8_t *)data, size};
}

/* ERR_INVALID unless data is exactly one well-formed value with text keys, UTF-8 texts, no NaN, no infinity
 * and known ext types; ERR_LIMIT beyond LIMIT_VALUE_BYTES or LIMIT_TREE_DEPTH. Duplicate keys are not looked
 * for. */
int value_validate(const void *data, size_t size, struct err *err);

enum value_type value_type(struct value value);
/* "a map", "nil", ...: for error texts. */
const char *value_type_name(enum value_type type);
/* Bytes of the first value in the view, with everything below it; 0 when it is broken. */
size_t value_span(struct value value);

/* Each fills *ret and returns true when the value is of that type (and, for numbers, fits). */
bool value_get_bool(struct value value, bool *ret_value);
bool value_get_int(struct value value, int64_t *ret_value);
bool value_get_uint(struct value value, uint64_t *ret_value);
bool value_get_double(struct value value, double *ret_value); /* of integers as well */
/* The bytes of a text; not ended by a NUL. */
bool value_get_string(struct value value, const char **ret_text, size_t *ret_size);
bool value_get_bytes(struct value value, const void **ret_data, size_t *ret_size);
bool value_get_time(struct value value, int64_t *ret_seconds, uint32_t *ret_nanoseconds);
/* True when the value is that text. */
bool value_is_string(struct value value, const char *text);

/* Items of an array or pairs of a map; 0 for others. */
size_t value_count(struct value value);
/* The item of an array, or the value of the pair of a map, at index; no value behind the end. Takes time with
 * index. */
struct value value_at(struct value value, size_t index);
/* The value under key in a map; no value when there is none or it is no map. */
struct value value_find(struct value map, const char *key);
/* The argument of a message: by name in a map, by position in an array. */
struct value value_argument(struct value arguments, const char *name, size_t position);

/* Walks over an array or map: from value_iterate, value_next until it returns false. key is no value in an
 * array. */
struct value_iterator {
    struct value rest;
    size_t left;
    bool is_map;
    struct value key;
    struct value item;
};

struct value_iterator value_iterate(struct value value);
bool value_next(struct value_iterator *iterator);

/* ---- writing: each appends one value to out ---- */

void value_put_nil(struct str *out);
void value_put_bool(struct str *out, bool value);
void value_put_int(struct str *out, int64_t value);
void value_put_uint(struct str *out, uint64_t value);
void value_put_double(struct str *out, double value);
void value_put_string(struct str *out, const char *text); /* NULL: nil */
void value_put_string_bytes(struct str *out, const char *text, size_t size);
void value_put_bytes(struct str *out, const void *data, size_t size);
void value_put_time(struct str *out, int64_t seconds, uint32_t nanoseconds);
/* count items, or keys and values in turn, follow. */
void value_put_array(struct str *out, size_t count);
void value_put_map(struct str *out, size_t count);
/* The bytes of another value. */
void value_put_value(struct str *out, struct value value);

/* ---- the JSON form, for people ----
 *
 * bytes: {"$bin": "base64"}; time: {"$time": "2026-11-23T12:00:00.5Z"}. So that both ways agree, a map with
 * nothing but a text under "$bin" or "$time" is refused as a value, and a malformed one as JSON. */

/* The value as a tree. ERR_INVALID or ERR_LIMIT as value_validate, and for duplicate keys. */
int value_to_json(const void *data, size_t size, struct json **ret_root, struct err *err);
/* Appends the JSON text of the value, on one line. */
int value_to_text(const void *data, size_t size, struct str *out, struct err *err);

/* Appends the value of a tree. Errors carry the path in the tree. */
int value_from_json(const struct json *root, struct str *out, struct err *err);
/* Appends the value of a JSON text. */
int value_from_text(const char *text, size_t size, struct str *out, struct err *err);

#endif
