#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/json_private.h"
#include "base/mem.h"
#include "base/vec.h"

struct json *json_null_new(void)
{
    return json_new(JSON_NULL);
}

struct json *json_bool_new(bool value)
{
    struct json *node = json_new(JSON_BOOL);
    node->as.truth = value;
    return node;
}

struct json *json_int_new(int64_t value)
{
    struct json *node = json_new(JSON_INT);
    node->as.number = value;
    return node;
}

struct json *json_uint_new(uint64_t value)
{
    if (value <= INT64_MAX)
        return json_int_new((int64_t)value);
    struct json *node = json_new(JSON_UINT);
    node->as.large = value;
    return node;
}

bool json_integer_of(bool is_negative, uint64_t magnitude, struct json **ret_node)
{
    if (is_negative && magnitude > (uint64_t)INT64_MAX + 1)
        return false;
    *ret_node = is_negative ? json_int_new((int64_t)(0 - magnitude)) : json_uint_new(magnitude);
    return true;
}

struct json *json_double_new(double value)
{
    assert(isfinite(value));
    struct json *node = json_new(JSON_DOUBLE);
    node->as.real = value;
    return node;
}

struct json *json_bytes_new(const char *text, size_t size)
{
    struct json *node = json_new(JSON_STRING);
    node->as.text.bytes = xmalloc(size + 1);
    if (size > 0)
        memcpy(node->as.text.bytes, text, size);
    node->as.text.bytes[size] = '\0';
    node->as.text.size = size;
    return node;
}

struct json *json_string_new(const char *text)
{
    return json_bytes_new(text, strlen(text));
}

struct json *json_array_new(void)
{
    return json_new(JSON_ARRAY);
}

struct json *json_object_new(void)
{
    return json_new(JSON_OBJECT);
}

static size_t position_of(const struct json *object, const struct json *member)
{
    size_t position = 0;
    while (object->as.list.items[position] != member) /* ends: member is one of them */
        position++;
    return position;
}

struct json *json_set_take(struct json *object, const char *key, struct json *value)
{
    assert(object->type == JSON_OBJECT);
    assert(!value->parent);
    struct json *former = json_get(object, key);
    if (!former) {
        json_append_take(object, xstrdup(key), value);
        return value;
    }
    object->as.list.items[position_of(object, former)] = value;
    free(value->key);
    value->key = xstrdup(key);
    value->parent = object;
    if (object->as.list.index)
        (void)map_put(object->as.list.index, key, value); /* returns former, which is freed below */
    former->parent = NULL;
    json_free(former);
    return value;
}

bool json_remove(struct json *object, const char *key)
{
    struct json *member = json_get(object, key);
    if (!member)
        return false;
    if (object->as.list.index)
        (void)map_remove(object->as.list.index, key); /* returns member */
    vec_remove_at(&object->as.list, position_of(object, member));
    member->parent = NULL;
    json_free(member);
    return true;
}

struct json *json_set_null(struct json *object, const char *key)
{
    return json_set_take(object, key, json_null_new());
}

struct json *json_set_bool(struct json *object, const char *key, bool value)
{
    return json_set_take(object, key, json_bool_new(value));
}

struct json *json_set_int(struct json *object, const char *key, int64_t value)
{
    return json_set_take(object, key, json_int_new(value));
}

struct json *json_set_uint(struct json *object, const char *key, uint64_t value)
{
    return json_set_take(object, key, json_uint_new(value));
}

struct json *json_set_double(struct json *object, const char *key, double value)
{
    return json_set_take(object, key, json_double_new(value));
}

struct json *json_set_string(struct json *object, const char *key, const char *text)
{
    return json_set_take(object, key, text ? json_string_new(text) : json_null_new());
}

struct json *json_set_stringf(struct json *object, const char *key, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    _cleanup_(cleanup_free) char *text = xvasprintf(fmt, args);
    va_end(args);
    return json_set_string(object, key, text);
}

struct json *json_set_array(struct json *object, const char *key)
{
    return json_set_take(object, key, json_array_new());
}

struct json *json_set_object(struct json *object, const char *key)
{
    return json_set_take(object, key, json_object_new());
}

struct json *json_add_take(struct json *array, struct json *value)
{
    assert(array->type == JSON_ARRAY);
    json_append_take(array, NULL, value);
    return value;
}

struct json *json_add_string(struct json *array, const char *text)
{
    return json_add_take(array, json_string_new(text));
}

struct json *json_add_int(struct json *array, int64_t value)
{
    return json_add_take(array, json_int_new(value));
}

struct json *json_add_object(struct json *array)
{
    return json_add_take(array, json_object_new());
}
