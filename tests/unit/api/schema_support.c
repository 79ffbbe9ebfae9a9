#include "unit/api/suites.h"

#include "unit/api/schema_support.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"

enum { DEFINITION_BYTES_MAX = 1024 * 1024 };

/* The lines of template language are whole lines. */
static void append_plain_lines(const char *text, struct str *plain)
{
    while (*text) {
        const char *end = strchr(text, '\n');
        size_t size = end ? (size_t)(end - text) + 1 : strlen(text);
        if (strncmp(text, "{{", 2) != 0)
            str_append_bytes(plain, text, size);
        text += size;
    }
}

struct json *schema_load(const char *plural)
{
    struct str text = STR_INIT(DEFINITION_BYTES_MAX);
    struct str plain = STR_INIT(DEFINITION_BYTES_MAX);
    struct json *documents = NULL;
    struct err err = {0};
    char *path = xasprintf("charts/histrio-crds/templates/%s.yaml", plural);
    if (file_read(path, DEFINITION_BYTES_MAX, &text, &err) < 0)
        fail_msg("%s", err.text);
    append_plain_lines(str_text(&text), &plain);
    if (yaml_parse(path, str_text(&plain), plain.size, &documents, &err) < 0)
        fail_msg("%s", err.text);
    const struct json *spec = json_get(json_at(documents, 0), "spec");
    const struct json *version = json_at(json_get(spec, "versions"), 0);
    struct json *schema = json_dup(json_get(json_get(version, "schema"), "openAPIV3Schema"));
    json_free(documents);
    str_done(&text);
    str_done(&plain);
    free(path);
    return schema;
}

static void refuse(const struct json *value, const char *what)
{
    struct str path = STR_INIT(DEFINITION_BYTES_MAX);
    json_path(value, &path);
    fail_msg("%s: %s", str_text(&path), what);
}

static bool has_type(const struct json *value, const char *type)
{
    enum json_type is = json_type(value);
    if (text_equal(type, "integer"))
        return is == JSON_INT; /* API servers have no unsigned numbers beyond that */
    if (text_equal(type, "string"))
        return is == JSON_STRING;
    if (text_equal(type, "boolean"))
        return is == JSON_BOOL;
    return is == (text_equal(type, "array") ? JSON_ARRAY : JSON_OBJECT);
}

static bool is_listed(const struct json *list, const struct json *value)
{
    json_for_each(item, list)
    {
        if (json_equal(item, value))
            return true;
    }
    return false;
}

static void expect_members(const struct json *schema, const struct json *value)
{
    json_for_each(name, json_get(schema, "required"))
    {
        if (!json_get(value, json_string(name)))
            refuse(value, json_string(name));
    }
    json_for_each(member, value)
    {
        const struct json *property = json_get(json_get(schema, "properties"), json_key(member));
        if (!property)
            refuse(member, "is not in the schema");
        schema_expect(property, member);
    }
}

void schema_expect(const struct json *schema, const struct json *value)
{
    const struct json *length = json_get(schema, "maxLength");
    const struct json *count = json_get(schema, "maxItems");
    const struct json *names = json_get(schema, "enum");
    if (!has_type(value, json_string(json_get(schema, "type"))))
        refuse(value, "is of another type");
    if (length && json_string_size(value) > (size_t)json_int(length))
        refuse(value, "is too long");
    if (count && json_count(value) > (size_t)json_int(count))
        refuse(value, "has too many items");
    if (names && !is_listed(names, value))
        refuse(value, "is not in the enumeration");
    if (json_type(value) == JSON_ARRAY)
        json_for_each(item, value) schema_expect(json_get(schema, "items"), item);
    if (json_type(value) == JSON_OBJECT && json_get(schema, "properties"))
        expect_members(schema, value);
}
