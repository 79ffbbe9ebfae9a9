#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_private.h"
#include "base/str.h"

/* The shortest of 15 to 17 digits that reads back as the same number, and never the look of an integer. */
static void write_double(double value, struct str *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    str_append(out, text);
    if (!strpbrk(text, ".e"))
        str_append(out, ".0");
}

static void line_break(enum json_style style, int depth, struct str *out)
{
    if (style == JSON_PRETTY)
        str_appendf(out, "\n%*s", depth * 2, "");
}

static void write_node(const struct json *node, enum json_style style, int depth, struct str *out)
{
    switch (json_type(node)) {
    case JSON_NULL: str_append(out, "null"); return;
    case JSON_BOOL: str_append(out, node->as.truth ? "true" : "false"); return;
    case JSON_INT: str_appendf(out, "%" PRId64, node->as.number); return;
    case JSON_UINT: str_appendf(out, "%" PRIu64, node->as.large); return;
    case JSON_DOUBLE: write_double(node->as.real, out); return;
    case JSON_STRING: str_append_json_bytes(out, node->as.text.bytes, node->as.text.size); return;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    bool is_object = node->type == JSON_OBJECT;
    str_append_char(out, is_object ? '{' : '[');
    for (size_t i = 0; i < node->as.list.count && !out->overflowed; i++) {
        const struct json *item = node->as.list.items[i];
        if (i > 0)
            str_append_char(out, ',');
        line_break(style, depth + 1, out);
        if (is_object) {
            str_append_json_string(out, item->key);
            str_append(out, style == JSON_PRETTY ? ": " : ":");
        }
        write_node(item, style, depth + 1, out);
    }
    if (node->as.list.count > 0)
        line_break(style, depth, out);
    str_append_char(out, is_object ? '}' : ']');
}

void json_write(const struct json *node, enum json_style style, struct str *out)
{
    write_node(node, style, 0, out);
    if (style == JSON_PRETTY)
        str_append_char(out, '\n');
}

char *json_to_text(const struct json *node, enum json_style style)
{
    struct str text = STR_INIT(SIZE_MAX / 2); /* the tree is in memory already */
    json_write(node, style, &text);
    return str_steal(&text);
}
