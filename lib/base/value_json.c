#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/json_private.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/str.h"
#include "base/value_private.h"

static const char bin_key[] = "$bin";
static const char time_key[] = "$time";

/* {"$bin": "..."} and {"$time": "..."} stand for what JSON has not. */
static bool is_special(const struct json *node)
{
    const char *key = json_key_at(node, 0);
    return key && json_count(node) == 1 && json_type(json_at(node, 0)) == JSON_STRING &&
           (strcmp(key, bin_key) == 0 || strcmp(key, time_key) == 0);
}

/* A value of a byte becomes a node of some 60: their number has a limit. */
struct builder {
    size_t nodes;
    struct err *err;
};

static int tree_of(struct builder *builder, struct value value, struct json **ret_node);

static int add_pair(struct builder *builder, struct json *object, const struct value_iterator *pair)
{
    const char *text;
    size_t size;
    bool is_string = value_get_string(pair->key, &text, &size);
    assert(is_string);
    (void)is_string; /* validated before */
    if (memchr(text, '\0', size))
        return err_set(builder->err, ERR_INVALID, "a key of a map holds a NUL character");
    _cleanup_(cleanup_free) char *key = xstrndup(text, size);
    if (json_get(object, key))
        return err_set(builder->err, ERR_INVALID, "duplicate key \"%.100s\"", key);
    struct json *item;
    if (tree_of(builder, pair->item, &item) < 0)
        return -1;
    json_append_take(object, steal_ptr(&key), item);
    return 0;
}

static int tree_of_items(struct builder *builder, struct value value, bool is_map, struct json **ret_node)
{
    _cleanup_(json_freep) struct json *node = is_map ? json_object_new() : json_array_new();
    struct value_iterator iterator = value_iterate(value);
    while (value_next(&iterator)) {
        struct json *item;
        if (is_map) {
            if (add_pair(builder, node, &iterator) < 0)
                return -1;
        } else {
            if (tree_of(builder, iterator.item, &item) < 0)
                return -1;
            json_append_take(node, NULL, item);
        }
    }
    if (is_special(node))
        return err_set(
            builder->err, ERR_INVALID, "a map of nothing but \"%s\" has no JSON form", json_key_at(node, 0));
    *ret_node = steal_ptr(&node);
    return 0;
}

static struct json *tree_of_bytes(struct value value)
{
    const void *data = NULL;
    size_t size = 0;
    (void)value_get_bytes(value, &data, &size); /* the type is known */
    _cleanup_(str_done) struct str text = STR_INIT(base64_size(size));
    base64_encode(data, size, &text);
    struct json *node = json_object_new();
    json_set_string(node, bin_key, str_text(&text));
    return node;
}

static int tree_of_time(struct value value, struct json **ret_node, struct err *err)
{
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    char text[RFC3339_TEXT_BYTES];
    (void)value_get_time(value, &seconds, &nanoseconds); /* the type is known */
    if (rfc3339_format(seconds, nanoseconds, text, err) < 0)
        return -1;
    *ret_node = json_object_new();
    json_set_string(*ret_node, time_key, text);
    return 0;
}

/* value is validated. */
static int tree_of(struct builder *builder, struct value value, struct json **ret_node)
{
    struct value_head head;
    bool is_whole = value_read_head(value, &head);
    assert(is_whole);
    (void)is_whole; /* validated before */
    if (++builder->nodes > LIMIT_TREE_NODES)
        return err_set(builder->err, ERR_LIMIT, "more than %d values", LIMIT_TREE_NODES);
    switch (head.type) {
    case VALUE_NIL: *ret_node = json_null_new(); return 0;
    case VALUE_BOOL: *ret_node = json_bool_new(head.number != 0); return 0;
    case VALUE_INT:
        *ret_node = head.is_negative ? json_int_new((int64_t)head.number) : json_uint_new(head.number);
        return 0;
    case VALUE_DOUBLE: *ret_node = json_double_new(head.real); return 0;
    case VALUE_STRING:
        *ret_node = json_bytes_new((const char *)value.data + head.head_size, head.payload_size);
        return 0;
    case VALUE_BYTES: *ret_node = tree_of_bytes(value); return 0;
    case VALUE_TIME: return tree_of_time(value, ret_node, builder->err);
    case VALUE_ARRAY:
    case VALUE_MAP: return tree_of_items(builder, value, head.type == VALUE_MAP, ret_node);
    case VALUE_NONE:
    case VALUE_OTHER: break;
    }
    return err_set(builder->err, ERR_INVALID, "a value has no JSON form");
}

int value_to_json(const void *data, size_t size, struct json **ret_root, struct err *err)
{
    if (value_validate(data, size, err) < 0)
        return -1;
    struct builder builder = {.err = err};
    return tree_of(&builder, value_of(data, size), ret_root);
}

int value_to_text(const void *data, size_t size, struct str *out, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    if (value_to_json(data, size, &root, err) < 0)
        return -1;
    json_write(root, JSON_COMPACT, out);
    return str_check(out, "the text of the value", err);
}

static int put_special(const struct json *node, struct str *out, struct err *err)
{
    const struct json *member = json_at(node, 0);
    if (strcmp(json_key(member), time_key) == 0) {
        int64_t seconds;
        uint32_t nanoseconds;
        if (rfc3339_parse(json_string(member), &seconds, &nanoseconds) < 0)
            return json_error(member, err, "must be a time such as 2026-11-23T12:00:00Z");
        value_put_time(out, seconds, nanoseconds);
        return 0;
    }
    _cleanup_(str_done) struct str bytes = STR_INIT(json_string_size(member));
    if (base64_decode(json_string(member), json_string_size(member), &bytes) < 0)
        return json_error(member, err, "must be base64");
    value_put_bytes(out, str_text(&bytes), bytes.size);
    return 0;
}

static int put_node(const struct json *node, unsigned depth, struct str *out, struct err *err)
{
    if (is_special(node))
        return put_special(node, out, err);
    switch (json_type(node)) {
    case JSON_NULL: value_put_nil(out); return 0;
    case JSON_BOOL: value_put_bool(out, json_bool(node)); return 0;
    case JSON_INT: value_put_int(out, json_int(node)); return 0;
    case JSON_UINT: value_put_uint(out, json_uint(node)); return 0;
    case JSON_DOUBLE: value_put_double(out, json_double(node)); return 0;
    case JSON_STRING: value_put_string_bytes(out, json_string(node), json_string_size(node)); return 0;
    case JSON_ARRAY: value_put_array(out, json_count(node)); break;
    case JSON_OBJECT: value_put_map(out, json_count(node)); break;
    }
    if (depth >= LIMIT_TREE_DEPTH)
        return err_set(err, ERR_LIMIT, "nested more than %d deep", LIMIT_TREE_DEPTH);
    json_for_each(item, node)
    {
        if (json_key(item))
            value_put_string(out, json_key(item));
        if (put_node(item, depth + 1, out, err) < 0)
            return -1;
    }
    return 0;
}

int value_from_json(const struct json *root, struct str *out, struct err *err)
{
    size_t before = out->size;
    if (put_node(root, 0, out, err) < 0 || str_check(out, "the value", err) < 0)
        return -1;
    if (out->size - before > LIMIT_VALUE_BYTES)
        return err_set(err, ERR_LIMIT, "the value is larger than %d bytes", LIMIT_VALUE_BYTES);
    return 0;
}

int value_from_text(const char *text, size_t size, struct str *out, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    if (json_parse(text, size, &root, err) < 0)
        return -1;
    return value_from_json(root, out, err);
}
