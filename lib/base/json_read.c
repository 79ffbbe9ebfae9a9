#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/err.h"
#include "base/json_private.h"
#include "base/limits.h"
#include "base/str.h"

static bool is_plain_key(const char *key)
{
    static const char *const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return key[0] != '\0' && key[strspn(key, plain)] == '\0';
}

static size_t index_in(const struct json *array, const struct json *item)
{
    size_t index = 0;
    while (array->as.list.items[index] != item) /* ends: item is one of them */
        index++;
    return index;
}

void json_path(const struct json *node, struct str *out)
{
    if (!node || !node->parent)
        return;
    json_path(node->parent, out);
    if (node->parent->type == JSON_ARRAY) {
        str_appendf(out, "[%zu]", index_in(node->parent, node));
    } else if (is_plain_key(node->key)) {
        if (out->size > 0)
            str_append_char(out, '.');
        str_append(out, node->key);
    } else {
        str_append_char(out, '[');
        str_append_json_string(out, node->key);
        str_append_char(out, ']');
    }
}

int json_error(const struct json *node, struct err *err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)err_vset(err, ERR_INVALID, fmt, args);
    va_end(args);
    _cleanup_(str_done) struct str path = STR_INIT(LIMIT_STATUS_TEXT_BYTES);
    json_path(node, &path);
    if (path.size > 0)
        (void)err_wrap(err, "%s", path.data);
    if (json_line(node) > 0)
        (void)err_wrap(err, "line %u", json_line(node));
    return -1;
}

static int missing(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "a value is missing");
}

static int wrong_type(const struct json *node, const char *wanted, struct err *err)
{
    return json_error(node, err, "must be %s, not %s", wanted, json_type_name(json_type(node)));
}

int json_expect(const struct json *node, enum json_type type, struct err *err)
{
    if (!node)
        return missing(err);
    if (node->type != type)
        return wrong_type(node, json_type_name(type), err);
    return 0;
}

int json_read_bool(const struct json *node, bool *ret_value, struct err *err)
{
    if (json_expect(node, JSON_BOOL, err) < 0)
        return -1;
    *ret_value = node->as.truth;
    return 0;
}

int json_read_int(
    const struct json *node, int64_t minimum, int64_t maximum, int64_t *ret_value, struct err *err)
{
    if (!node)
        return missing(err);
    if (node->type != JSON_INT && node->type != JSON_UINT)
        return wrong_type(node, "an integer", err);
    if (node->type == JSON_UINT || node->as.number < minimum || node->as.number > maximum)
        return json_error(node, err, "must be from %" PRId64 " to %" PRId64, minimum, maximum);
    *ret_value = node->as.number;
    return 0;
}

int json_read_uint(const struct json *node, uint64_t maximum, uint64_t *ret_value, struct err *err)
{
    if (!node)
        return missing(err);
    if (node->type != JSON_INT && node->type != JSON_UINT)
        return wrong_type(node, "an integer", err);
    if ((node->type == JSON_INT && node->as.number < 0) || json_uint(node) > maximum)
        return json_error(node, err, "must be from 0 to %" PRIu64, maximum);
    *ret_value = json_uint(node);
    return 0;
}

int json_read_double(const struct json *node, double *ret_value, struct err *err)
{
    if (!node)
        return missing(err);
    if (node->type != JSON_INT && node->type != JSON_UINT && node->type != JSON_DOUBLE)
        return wrong_type(node, "a number", err);
    *ret_value = json_double(node);
    return 0;
}

int json_read_string(const struct json *node, size_t size_max, const char **ret_text, struct err *err)
{
    if (json_expect(node, JSON_STRING, err) < 0)
        return -1;
    if (node->as.text.size > size_max)
        return json_error(node, err, "must have at most %zu bytes", size_max);
    if (memchr(node->as.text.bytes, '\0', node->as.text.size))
        return json_error(node, err, "must not hold a NUL character");
    *ret_text = node->as.text.bytes;
    return 0;
}

int json_read_duration(const struct json *node, int64_t *ret_ms, struct err *err)
{
    const char *text;
    struct err cause = {0};
    if (json_read_string(node, 64, &text, err) < 0)
        return -1;
    if (duration_parse(text, ret_ms, &cause) < 0)
        return json_error(node, err, "%s", cause.text);
    return 0;
}

int json_read_enum(const struct json *node, const char *const *names, int *ret_index, struct err *err)
{
    const char *text;
    if (json_read_string(node, LIMIT_STATUS_TEXT_BYTES, &text, err) < 0)
        return -1;
    _cleanup_(str_done) struct str list = STR_INIT(LIMIT_STATUS_TEXT_BYTES);
    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_index = i;
            return 0;
        }
        str_appendf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return json_error(node, err, "must be one of %s, not \"%.40s\"", str_text(&list), text);
}

static bool is_among(const char *key, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(key, *names) == 0)
            return true;
    }
    return false;
}

const struct json *json_next_unknown(const struct json *object, const char *const *names, size_t *position)
{
    if (json_type(object) != JSON_OBJECT)
        return NULL;
    while (*position < json_count(object)) {
        const struct json *member = json_at(object, (*position)++);
        if (!is_among(member->key, names))
            return member;
    }
    return NULL;
}
