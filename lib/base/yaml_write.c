#include <string.h>

#include "base/json_private.h"
#include "base/str.h"
#include "base/yaml.h"

/* libyaml takes no longer text as a key in front of a colon. */
enum { SIMPLE_KEY_BYTES_MAX = 120, PLAIN_BYTES_MAX = 120 };

/* Whether text may stand without quotes: only what cannot mean anything else in any version of YAML. */
static bool is_plain(const char *text, size_t size)
{
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", NULL};
    if (size == 0 || size > PLAIN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < size; i++) {
        bool is_letter = (text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z';
        bool is_inner = (text[i] >= '0' && text[i] <= '9') || text[i] == '_' || text[i] == '-' ||
                        text[i] == '.' || text[i] == '/' || (text[i] == ' ' && i + 1 < size);
        if (!is_letter && (i == 0 || !is_inner))
            return false;
    }
    for (int i = 0; words[i]; i++) {
        if (strcasecmp(text, words[i]) == 0)
            return false;
    }
    return true;
}

static void write_text(const char *text, size_t size, struct str *out)
{
    if (is_plain(text, size))
        str_append_bytes(out, text, size);
    else
        str_append_json_bytes(out, text, size);
}

static void write_indent(int indent, struct str *out)
{
    str_appendf(out, "%*s", indent, "");
}

/* At the start of a line, or behind "- " when is_behind_dash: then the first line is indented already. */
static void write_block(const struct json *node, int indent, bool is_behind_dash, struct str *out);

/* Behind the colon of a key or the dash of an item. */
static void write_behind(const struct json *node, int indent, bool is_item, struct str *out)
{
    if (json_count(node) == 0) {
        str_append_char(out, ' ');
        if (json_type(node) == JSON_STRING)
            write_text(node->as.text.bytes, node->as.text.size, out);
        else
            json_write(node, JSON_COMPACT, out);
        str_append_char(out, '\n');
    } else if (is_item && json_type(node) == JSON_OBJECT) {
        str_append_char(out, ' ');
        write_block(node, indent + 2, /* is_behind_dash= */ true, out);
    } else {
        str_append_char(out, '\n');
        write_block(node, indent + 2, /* is_behind_dash= */ false, out);
    }
}

static void write_key(const char *key, int indent, struct str *out)
{
    size_t size = strlen(key);
    if (size <= SIMPLE_KEY_BYTES_MAX) {
        write_text(key, size, out);
    } else {
        str_append(out, "? ");
        write_text(key, size, out);
        str_append_char(out, '\n');
        write_indent(indent, out);
    }
    str_append_char(out, ':');
}

static void write_block(const struct json *node, int indent, bool is_behind_dash, struct str *out)
{
    for (size_t i = 0; i < json_count(node) && !out->overflowed; i++) {
        const struct json *item = json_at(node, i);
        if (i > 0 || !is_behind_dash)
            write_indent(indent, out);
        if (node->type == JSON_OBJECT)
            write_key(item->key, indent, out);
        else
            str_append_char(out, '-');
        write_behind(item, indent, node->type == JSON_ARRAY, out);
    }
}

void yaml_write(const struct json *node, struct str *out)
{
    if (json_count(node) > 0) {
        write_block(node, 0, /* is_behind_dash= */ false, out);
        return;
    }
    if (json_type(node) == JSON_STRING)
        write_text(node->as.text.bytes, node->as.text.size, out);
    else
        json_write(node, JSON_COMPACT, out);
    str_append_char(out, '\n');
}
