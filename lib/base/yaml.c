#include "base/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json_private.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml_private.h"

/* A pull parser over libyaml's events. An event belongs to the function that pulled it. */
struct reader {
    yaml_parser_t parser;
    const char *name; /* of the file; may be NULL */
    const char *text;
    size_t size;
    unsigned depth;
    size_t nodes;
    struct err *err;
};

static int read_node(struct reader *reader, yaml_event_t *event, struct json **ret_node);

static void event_done(yaml_event_t *event)
{
    yaml_event_delete(event);
    event->type = YAML_NO_EVENT;
}

__attribute__((format(printf, 4, 5))) static int fail(
    struct reader *reader, enum err_kind kind, size_t line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)err_vset(reader->err, kind, fmt, args);
    va_end(args);
    if (reader->name)
        return err_wrap(reader->err, "%s:%zu", reader->name, line);
    return err_wrap(reader->err, "line %zu", line);
}

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static int fail_parser(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        abort();                              /* as in base/mem */
    if (parser->error == YAML_READER_ERROR) { /* knows the offset only */
        size_t line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < reader->size; i++)
            line += reader->text[i] == '\n';
        return fail(reader, ERR_INVALID, line, "%s", problem);
    }
    const char *context = parser->context ? parser->context : "";
    return fail(
        reader, ERR_INVALID, parser->problem_mark.line + 1, "%s%s%s", problem, *context ? ", " : "", context);
}

static int pull(struct reader *reader, yaml_event_t *event)
{
    return yaml_parser_parse(&reader->parser, event) ? 0 : fail_parser(reader);
}

static const char core_prefix[] = "tag:yaml.org,2002:";

/* The tag without the prefix of the core schema, NULL when there is none. "!" alone means a text. */
static int core_tag(
    struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag, const char **ret_tag)
{
    const char *text = (const char *)tag;
    if (!text)
        *ret_tag = NULL;
    else if (strcmp(text, "!") == 0)
        *ret_tag = "str";
    else if (text_starts_with(text, core_prefix))
        *ret_tag = text + strlen(core_prefix);
    else
        return fail(reader, ERR_INVALID, line_of(event), "tag %.60s is not supported: remove it", text);
    return 0;
}

static const char *tag_of(const struct json *node)
{
    switch (json_type(node)) {
    case JSON_NULL: return "null";
    case JSON_BOOL: return "bool";
    case JSON_INT:
    case JSON_UINT: return "int";
    case JSON_DOUBLE: return "float";
    case JSON_STRING: return "str";
    case JSON_ARRAY: return "seq";
    case JSON_OBJECT: return "map";
    }
    return "";
}

static int refuse_anchor(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor)
{
    if (!anchor)
        return 0;
    return fail(reader, ERR_INVALID, line_of(event),
        "anchors and aliases are not supported: write the value out instead of &%.40s", (const char *)anchor);
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct json **ret_node)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    const char *tag;
    if (refuse_anchor(reader, event, event->data.scalar.anchor) < 0 ||
        core_tag(reader, event, event->data.scalar.tag, &tag) < 0)
        return -1;
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool is_text = tag ? strcmp(tag, "str") == 0 : !is_plain;
    _cleanup_(json_freep) struct json *node = NULL;
    struct err cause = {0};
    if (is_text)
        node = json_bytes_new(text, size);
    else if (yaml_scalar(text, size, &node, &cause) < 0)
        return fail(reader, cause.kind, line_of(event), "%s", cause.text);
    if (tag && strcmp(tag, tag_of(node)) != 0)
        return fail(reader, ERR_INVALID, line_of(event), "tag !!%.40s does not fit the value", tag);
    *ret_node = steal_ptr(&node);
    return 0;
}

static int read_sequence(struct reader *reader, struct json *array)
{
    for (;;) { /* ends with the sequence, or by the limit of nodes */
        _cleanup_(event_done) yaml_event_t event = {0};
        struct json *item;
        if (pull(reader, &event) < 0)
            return -1;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        if (read_node(reader, &event, &item) < 0)
            return -1;
        json_append_take(array, NULL, item);
    }
}

/* The text of a key, which is checked to be new in object. */
static int read_key(
    struct reader *reader, yaml_event_t *event, const struct json *object, struct json **ret_key)
{
    size_t line = line_of(event);
    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT)
        return fail(reader, ERR_INVALID, line, "a key must be a text");
    _cleanup_(json_freep) struct json *key = NULL;
    if (read_node(reader, event, &key) < 0)
        return -1;
    if (json_type(key) != JSON_STRING)
        return fail(reader, ERR_INVALID, line, "a key must be a text, not %s: quote it",
            json_type_name(json_type(key)));
    if (strlen(json_string(key)) != json_string_size(key))
        return fail(reader, ERR_INVALID, line, "a key must not hold a NUL character");
    const struct json *first = json_get(object, json_string(key));
    if (first)
        return fail(reader, ERR_INVALID, line, "duplicate key \"%.100s\", first in line %u", json_string(key),
            json_line(first));
    *ret_key = steal_ptr(&key);
    return 0;
}

static int read_mapping(struct reader *reader, struct json *object)
{
    for (;;) { /* ends with the mapping, or by the limit of nodes */
        _cleanup_(event_done) yaml_event_t key_event = {0};
        _cleanup_(event_done) yaml_event_t event = {0};
        _cleanup_(json_freep) struct json *key = NULL;
        struct json *item;
        if (pull(reader, &key_event) < 0)
            return -1;
        if (key_event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (read_key(reader, &key_event, object, &key) < 0 || pull(reader, &event) < 0 ||
            read_node(reader, &event, &item) < 0)
            return -1;
        item->line = (unsigned)line_of(&key_event); /* where a person looks */
        json_append_take(object, xstrdup(json_string(key)), item);
    }
}

static int read_container(
    struct reader *reader, const yaml_event_t *event, enum json_type type, struct json **ret_node)
{
    bool is_map = type == JSON_OBJECT;
    const char *tag;
    if (refuse_anchor(reader, event,
            is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor) < 0 ||
        core_tag(
            reader, event, is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag, &tag) < 0)
        return -1;
    if (reader->depth >= LIMIT_TREE_DEPTH)
        return fail(reader, ERR_LIMIT, line_of(event), "nested more than %d deep", LIMIT_TREE_DEPTH);
    _cleanup_(json_freep) struct json *container = json_new(type);
    if (tag && strcmp(tag, tag_of(container)) != 0)
        return fail(reader, ERR_INVALID, line_of(event), "tag !!%.40s does not fit the value", tag);
    container->line = (unsigned)line_of(event);
    reader->depth++;
    if ((is_map ? read_mapping(reader, container) : read_sequence(reader, container)) < 0)
        return -1;
    reader->depth--;
    *ret_node = steal_ptr(&container);
    return 0;
}

static int read_node(struct reader *reader, yaml_event_t *event, struct json **ret_node)
{
    size_t line = line_of(event);
    struct json *node = NULL;
    if (++reader->nodes > LIMIT_TREE_NODES)
        return fail(reader, ERR_LIMIT, line, "more than %d values", LIMIT_TREE_NODES);
    if (event->type == YAML_ALIAS_EVENT)
        return fail(reader, ERR_INVALID, line, "anchors and aliases are not supported: write the value out");
    int result;
    if (event->type == YAML_MAPPING_START_EVENT)
        result = read_container(reader, event, JSON_OBJECT, &node);
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        result = read_container(reader, event, JSON_ARRAY, &node);
    else
        result = read_scalar(reader, event, &node);
    if (result < 0)
        return -1;
    node->line = (unsigned)line;
    *ret_node = node;
    return 0;
}

/* Behind the start of a document. */
static int read_document(struct reader *reader, struct json *documents)
{
    _cleanup_(event_done) yaml_event_t event = {0};
    _cleanup_(event_done) yaml_event_t end = {0};
    _cleanup_(json_freep) struct json *root = NULL;
    if (pull(reader, &event) < 0 || read_node(reader, &event, &root) < 0 || pull(reader, &end) < 0)
        return -1;
    bool is_empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 && json_is_null(root);
    if (is_empty)
        return 0;
    if (json_count(documents) >= LIMIT_YAML_DOCUMENTS)
        return fail(reader, ERR_LIMIT, line_of(&event), "more than %d documents", LIMIT_YAML_DOCUMENTS);
    json_append_take(documents, NULL, steal_ptr(&root));
    return 0;
}

static int read_stream(struct reader *reader, struct json *documents)
{
    for (;;) { /* ends with the stream; each document takes text */
        _cleanup_(event_done) yaml_event_t event = {0};
        if (pull(reader, &event) < 0)
            return -1;
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (event.type == YAML_DOCUMENT_START_EVENT && read_document(reader, documents) < 0)
            return -1;
    }
}

int yaml_parse(const char *name, const char *text, size_t size, struct json **ret_documents, struct err *err)
{
    struct reader reader = {.name = name, .text = text, .size = size, .err = err};
    if (size > LIMIT_MANIFEST_BYTES)
        return err_set(err, ERR_LIMIT, "%s%smore than %d bytes of YAML", name ? name : "", name ? ": " : "",
            LIMIT_MANIFEST_BYTES);
    if (!yaml_parser_initialize(&reader.parser))
        abort(); /* out of memory, as in base/mem */
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
    _cleanup_(json_freep) struct json *documents = json_new(JSON_ARRAY);
    int result = read_stream(&reader, documents);
    yaml_parser_delete(&reader.parser);
    if (result < 0)
        return -1;
    *ret_documents = steal_ptr(&documents);
    return 0;
}

int yaml_parse_file(const char *path, struct json **ret_documents, struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_MANIFEST_BYTES);
    if (file_read(path, LIMIT_MANIFEST_BYTES, &text, err) < 0)
        return -1;
    return yaml_parse(path, str_text(&text), text.size, ret_documents, err);
}
