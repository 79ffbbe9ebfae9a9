#include "api/decode.h"

#include <inttypes.h>

#include "base/duration.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "types/system.h"

enum { LABELS_MAX = 64, LABEL_KEY_BYTES = 317, LABEL_VALUE_BYTES = 253, HINT_BYTES = 600, FIELD_BYTES = 32 };

/* The number of changed, missing or added letters between two short names; only small numbers matter. */
static size_t edit_distance(const char *left, const char *right)
{
    size_t row[FIELD_BYTES + 1];
    size_t right_size = strlen(right);
    if (strlen(left) > FIELD_BYTES || right_size > FIELD_BYTES)
        return SIZE_MAX;
    for (size_t i = 0; i <= right_size; i++)
        row[i] = i;
    for (size_t i = 0; left[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < right_size; k++) {
            bool is_same = (left[i] | 0x20) == (right[k] | 0x20);
            size_t best = diagonal + (is_same ? 0 : 1);
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k + 1] + 1 < best)
                best = row[k + 1] + 1;
            diagonal = row[k + 1];
            row[k + 1] = best;
        }
    }
    return row[right_size];
}

static const char *nearest(const char *wrong, const char *const *known)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; known[i]; i++) {
        size_t distance = edit_distance(wrong, known[i]);
        if (distance < best_distance && distance < strlen(known[i])) {
            best_distance = distance;
            best = known[i];
        }
    }
    return best;
}

static void append_names(struct str *out, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        str_appendf(out, "%s%s", i ? ", " : "", names[i]);
}

bool decode_object(struct api_problems *problems, const struct json *node, const char *const *known)
{
    size_t position = 0;
    const struct json *unknown;
    if (json_is_null(node))
        return true;
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(problems, node, "must be an object, not %s", json_type_name(json_type(node)));
        return false;
    }
    while ((unknown = json_next_unknown(node, known, &position))) {
        const char *meant = nearest(json_key(unknown), known);
        struct str hint = STR_INIT(HINT_BYTES);
        append_names(&hint, known);
        if (meant)
            api_problems_add_at(problems, unknown, "unknown field; did you mean '%s'?", meant);
        else
            api_problems_add_at(
                problems, unknown, "unknown field; remove it (known here: %s)", str_text(&hint));
        str_done(&hint);
    }
    return true;
}

const struct json *decode_array(
    struct api_problems *problems, const struct json *object, const char *key, size_t count_max)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return NULL;
    if (json_type(node) != JSON_ARRAY) {
        api_problems_add_at(problems, node, "must be a list, not %s", json_type_name(json_type(node)));
        return NULL;
    }
    if (json_count(node) > count_max) {
        api_problems_add_at(
            problems, node, "has %zu items; at most %zu are allowed", json_count(node), count_max);
        return NULL;
    }
    return node;
}

bool decode_bool(struct api_problems *problems, const struct json *object, const char *key, bool *value)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return false;
    if (json_type(node) != JSON_BOOL) {
        api_problems_add_at(problems, node, "must be true or false, not %s", json_type_name(json_type(node)));
        return false;
    }
    *value = json_bool(node);
    return true;
}

bool decode_u32(struct api_problems *problems, const struct json *object, const char *key, uint32_t minimum,
    uint32_t maximum, uint32_t *value)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return false;
    if (json_type(node) != JSON_INT && json_type(node) != JSON_UINT) {
        api_problems_add_at(problems, node, "must be an integer from %" PRIu32 " to %" PRIu32 ", not %s",
            minimum, maximum, json_type_name(json_type(node)));
        return false;
    }
    if (json_type(node) == JSON_UINT || json_int(node) < (int64_t)minimum ||
        json_int(node) > (int64_t)maximum) {
        api_problems_add_at(problems, node, "must be from %" PRIu32 " to %" PRIu32, minimum, maximum);
        return false;
    }
    *value = (uint32_t)json_int(node);
    return true;
}

bool decode_duration(struct api_problems *problems, const struct json *object, const char *key,
    int64_t minimum_ms, int64_t maximum_ms, int64_t *value_ms)
{
    const struct json *node = json_get(object, key);
    char low[DURATION_TEXT_BYTES];
    char high[DURATION_TEXT_BYTES];
    int64_t parsed_ms;
    if (json_is_null(node))
        return false;
    if (json_type(node) != JSON_STRING || strlen(json_string(node)) != json_string_size(node) ||
        duration_parse(json_string(node), &parsed_ms, NULL) < 0) {
        api_problems_add_at(problems, node, "must be a duration such as \"250ms\", \"5s\" or \"1m30s\"");
        return false;
    }
    if (parsed_ms < minimum_ms || parsed_ms > maximum_ms) {
        api_problems_add_at(problems, node, "must be from %s to %s", duration_format(minimum_ms, low),
            duration_format(maximum_ms, high));
        return false;
    }
    *value_ms = parsed_ms;
    return true;
}

/* 0: no such unit. */
static uint64_t unit_bytes(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", 1}, {"k", 1000}, {"M", 1000 * 1000}, {"G", 1000 * 1000 * 1000}, {"Ki", 1024},
        {"Mi", 1024 * 1024}, {"Gi", 1024 * 1024 * 1024}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (text_equal(unit, units[i].name))
            return units[i].bytes;
    return 0;
}

bool decode_bytes(struct api_problems *problems, const struct json *object, const char *key, uint64_t minimum,
    uint64_t maximum, uint64_t *value)
{
    const struct json *node = json_get(object, key);
    char digits[20] = "";
    uint64_t number = 0;
    if (json_is_null(node))
        return false;
    const char *text = json_type(node) == JSON_STRING ? json_string(node) : "";
    size_t size = strspn(text, "0123456789");
    uint64_t bytes = unit_bytes(text + size);
    if (size > 0 && size < sizeof(digits))
        memcpy(digits, text, size);
    if (bytes == 0 || text_to_u64(digits, UINT64_MAX / bytes, &number, NULL) < 0) {
        api_problems_add_at(problems, node, "must be an amount of memory such as \"512Mi\" or \"1Gi\"");
        return false;
    }
    if (number * bytes < minimum || number * bytes > maximum) {
        api_problems_add_at(
            problems, node, "must be from %" PRIu64 " to %" PRIu64 " bytes", minimum, maximum);
        return false;
    }
    *value = number * bytes;
    return true;
}

bool decode_enum(struct api_problems *problems, const struct json *object, const char *key,
    const char *const *names, int *value)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return false;
    for (int i = 0; json_type(node) == JSON_STRING && names[i]; i++)
        if (text_equal(json_string(node), names[i])) {
            *value = i;
            return true;
        }
    struct str hint = STR_INIT(HINT_BYTES);
    append_names(&hint, names);
    api_problems_add_at(problems, node, "must be one of %s", str_text(&hint));
    str_done(&hint);
    return false;
}

static bool read_text(struct api_problems *problems, const struct json *node, size_t size_max, char **value)
{
    if (json_type(node) != JSON_STRING) {
        api_problems_add_at(
            problems, node, "must be a text, not %s; put it in quotes", json_type_name(json_type(node)));
        return false;
    }
    size_t size = json_string_size(node);
    if (size == 0 || strlen(json_string(node)) != size) {
        api_problems_add_at(problems, node, "must not be empty or hold a NUL");
        return false;
    }
    if (size > size_max) {
        api_problems_add_at(problems, node, "has %zu bytes; at most %zu are allowed", size, size_max);
        return false;
    }
    free(*value);
    *value = xstrdup(json_string(node));
    return true;
}

bool decode_text(
    struct api_problems *problems, const struct json *object, const char *key, size_t size_max, char **value)
{
    const struct json *node = json_get(object, key);
    return !json_is_null(node) && read_text(problems, node, size_max, value);
}

bool decode_label_name(
    struct api_problems *problems, const struct json *object, const char *key, size_t size_max, char **value)
{
    if (!decode_text(problems, object, key, size_max, value))
        return false;
    if (text_is_dns_label(*value))
        return true;
    api_problems_add_at(problems, json_get(object, key),
        "'%.80s' is no name: use a-z, 0-9 and '-', beginning and ending with a letter or digit", *value);
    return false;
}

void decode_labels(
    struct api_problems *problems, const struct json *object, const char *key, struct label_list *labels)
{
    const struct json *node = json_get(object, key);
    if (json_is_null(node))
        return;
    if (json_type(node) != JSON_OBJECT) {
        api_problems_add_at(
            problems, node, "must be an object of texts, not %s", json_type_name(json_type(node)));
        return;
    }
    if (json_count(node) > LABELS_MAX) {
        api_problems_add_at(problems, node, "has more than %d labels", LABELS_MAX);
        return;
    }
    json_for_each(item, node)
    {
        char *value = NULL;
        if (strlen(json_key(item)) > LABEL_KEY_BYTES || json_key(item)[0] == '\0')
            api_problems_add_at(problems, item, "a label's name has 1 to %d bytes", LABEL_KEY_BYTES);
        else if (read_text(problems, item, LABEL_VALUE_BYTES, &value))
            label_list_add(labels, json_key(item), value);
        free(value);
    }
}

void decode_missing(
    struct api_problems *problems, const struct json *object, const char *key, const char *fmt, ...)
{
    struct str path = STR_INIT(HINT_BYTES);
    va_list args;
    const struct json *with_line = object;
    json_path(object, &path);
    while (with_line && json_line(with_line) == 0)
        with_line = json_parent(with_line);
    if (path.size)
        str_append_char(&path, '.');
    str_append(&path, key);
    va_start(args, fmt);
    char *text = xvasprintf(fmt, args);
    va_end(args);
    api_problems_add(problems, json_line(with_line), str_text(&path), "is missing: %s", text);
    free(text);
    str_done(&path);
}
