#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/json_private.h"
#include "base/json_scan.h"
#include "base/limits.h"
#include "base/mem.h"

/* cJSON knows the grammar. What it keeps in doubles, cuts at a NUL or forgets (integers, sizes of texts,
 * lines) comes from the marks of json_scan: both are in the order of the text, so one walk takes them in
 * step.
 *
 * Invariant: at each node of cJSON's tree, the next mark is its own; a member has one for its key before. */
struct converter {
    const char *text;
    const struct json_mark *mark; /* the next one */
    struct err *err;
};

static int convert(struct converter *converter, cJSON *source, struct json **ret_node);

static int fail_at(struct converter *converter, const struct json_mark *mark, const char *what)
{
    return json_scan_error(converter->text, mark->text, converter->err, what);
}

static int convert_number(
    struct converter *converter, const struct json_mark *mark, double real, struct json **ret_node)
{
    bool is_negative = mark->text[0] == '-';
    uint64_t magnitude = 0;
    bool is_over = false;
    for (unsigned i = is_negative; i < mark->size; i++) {
        if (mark->text[i] < '0' || mark->text[i] > '9') { /* a point or an exponent: no integer */
            if (!isfinite(real))
                return fail_at(converter, mark, "the number is too large");
            *ret_node = json_double_new(real);
            return 0;
        }
        is_over |= __builtin_mul_overflow(magnitude, 10, &magnitude);
        is_over |= __builtin_add_overflow(magnitude, (uint64_t)(mark->text[i] - '0'), &magnitude);
    }
    if (is_over || !json_integer_of(is_negative, magnitude, ret_node))
        return fail_at(converter, mark, "the integer does not fit 64 bits");
    return 0;
}

/* The key of a member, checked to be new in object; stolen from cJSON. */
static int take_key(struct converter *converter, cJSON *source, const struct json *object, char **ret_key)
{
    const struct json_mark *mark = converter->mark++;
    if (strlen(source->string) != mark->size)
        return fail_at(converter, mark, "a key must not hold a NUL character");
    if (json_get(object, source->string)) {
        struct err cause = {0};
        (void)err_set(&cause, ERR_INVALID, "duplicate key \"%.100s\"", source->string);
        return fail_at(converter, mark, cause.text);
    }
    *ret_key = steal_ptr(&source->string);
    return 0;
}

static int convert_items(struct converter *converter, cJSON *source, struct json *container)
{
    bool is_object = container->type == JSON_OBJECT;
    for (cJSON *child = source->child; child; child = child->next) {
        _cleanup_(cleanup_free) char *key = NULL;
        struct json *item;
        unsigned line = converter->mark->line; /* of the key, where a person looks */
        if ((is_object && take_key(converter, child, container, &key) < 0) ||
            convert(converter, child, &item) < 0)
            return -1;
        item->line = line;
        json_append_take(container, steal_ptr(&key), item);
    }
    return 0;
}

static int convert(struct converter *converter, cJSON *source, struct json **ret_node)
{
    const struct json_mark *mark = converter->mark++;
    _cleanup_(json_freep) struct json *node = NULL;
    switch (source->type & 0xFF) {
    case cJSON_True: node = json_bool_new(true); break;
    case cJSON_False: node = json_bool_new(false); break;
    case cJSON_NULL: node = json_null_new(); break;
    case cJSON_String: node = json_bytes_new(source->valuestring, mark->size); break;
    case cJSON_Number:
        if (convert_number(converter, mark, source->valuedouble, &node) < 0)
            return -1;
        break;
    default:
        node = json_new(cJSON_IsObject(source) ? JSON_OBJECT : JSON_ARRAY);
        if (convert_items(converter, source, node) < 0)
            return -1;
        break;
    }
    node->line = mark->line;
    *ret_node = steal_ptr(&node);
    return 0;
}

static void marks_done(struct json_marks *marks)
{
    vec_done(&marks->list);
}

DEFINE_CLEANUP(cJSON *, cJSON_Delete)

int json_parse(const char *text, size_t size, struct json **ret_root, struct err *err)
{
    if (size > LIMIT_JSON_BYTES)
        return err_set(err, ERR_LIMIT, "more than %d bytes of JSON", LIMIT_JSON_BYTES);
    _cleanup_(marks_done) struct json_marks marks = {0};
    if (json_scan(text, size, &marks, err) <
        0) /* first: it also bounds the depth and the size of what follows */
        return -1;
    const char *end = text;
    _cleanup_(cJSON_Deletep) cJSON *tree = cJSON_ParseWithLengthOpts(text, size, &end, /* terminated= */ 0);
    while (tree && end < text + size && strchr(" \t\r\n", *end)) /* only blanks may follow */
        end++;
    if (!tree || end != text + size)
        return json_scan_error(text, end, err, "this is not valid JSON here");
    struct converter converter = {.text = text, .mark = marks.list.items, .err = err};
    return convert(&converter, tree, ret_root);
}
