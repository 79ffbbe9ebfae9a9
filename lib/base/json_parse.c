#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json_private.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

/* Our own parser, as the usual ones keep numbers in doubles and lose lines and duplicate keys. */
struct parser {
    const char *at;
    const char *end;
    const char *line_start;
    unsigned line;
    unsigned depth;
    size_t nodes;
    struct err *err;
};

enum { NUMBER_BYTES_MAX = 400 }; /* of a double; more digits than any double needs */

static int parse_value(struct parser *parser, struct json **ret_node);

__attribute__((format(printf, 3, 4))) static int fail(
    struct parser *parser, enum err_kind kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)err_vset(parser->err, kind, fmt, args);
    va_end(args);
    return err_wrap(
        parser->err, "line %u column %zu", parser->line, (size_t)(parser->at - parser->line_start) + 1);
}

static void skip_blanks(struct parser *parser)
{
    for (; parser->at < parser->end; parser->at++) {
        char character = *parser->at;
        if (character == '\n') {
            parser->line++;
            parser->line_start = parser->at + 1;
        } else if (character != ' ' && character != '\t' && character != '\r') {
            return;
        }
    }
}

static char peek(const struct parser *parser)
{
    return parser->at < parser->end ? *parser->at : '\0';
}

static int fail_unexpected(struct parser *parser, const char *wanted)
{
    if (parser->at == parser->end)
        return fail(parser, ERR_INVALID, "the text ends where %s is expected", wanted);
    unsigned char byte = (unsigned char)*parser->at;
    if (byte >= 0x20 && byte < 0x7F)
        return fail(parser, ERR_INVALID, "%s is expected, not '%c'", wanted, byte);
    return fail(parser, ERR_INVALID, "%s is expected, not byte 0x%02x", wanted, byte);
}

static int hex4(struct parser *parser, unsigned *ret_code)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++, parser->at++) {
        char digit = peek(parser);
        unsigned value;
        if (digit >= '0' && digit <= '9')
            value = (unsigned)(digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            value = (unsigned)((digit | 0x20) - 'a') + 10;
        else
            return fail_unexpected(parser, "a hexadecimal digit");
        code = code << 4 | value;
    }
    *ret_code = code;
    return 0;
}

static void append_utf8(struct str *out, unsigned code)
{
    char bytes[4];
    size_t size = 0;
    if (code < 0x80) {
        bytes[size++] = (char)code;
    } else if (code < 0x800) {
        bytes[size++] = (char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        bytes[size++] = (char)(0xE0 | code >> 12);
        bytes[size++] = (char)(0x80 | (code >> 6 & 0x3F));
    } else {
        bytes[size++] = (char)(0xF0 | code >> 18);
        bytes[size++] = (char)(0x80 | (code >> 12 & 0x3F));
        bytes[size++] = (char)(0x80 | (code >> 6 & 0x3F));
    }
    if (code >= 0x80)
        bytes[size++] = (char)(0x80 | (code & 0x3F));
    str_append_bytes(out, bytes, size);
}

/* Behind "\u". */
static int parse_unicode(struct parser *parser, struct str *out)
{
    unsigned code;
    if (hex4(parser, &code) < 0)
        return -1;
    if (code >= 0xD800 && code < 0xDC00) {
        unsigned low = 0;
        if (parser->end - parser->at < 2 || parser->at[0] != '\\' || parser->at[1] != 'u')
            return fail(parser, ERR_INVALID, "half of a surrogate pair");
        parser->at += 2;
        if (hex4(parser, &low) < 0)
            return -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(parser, ERR_INVALID, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return fail(parser, ERR_INVALID, "half of a surrogate pair");
    }
    append_utf8(out, code);
    return 0;
}

/* Behind the backslash. */
static int parse_escape(struct parser *parser, struct str *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    char letter = peek(parser);
    const char *place = letter ? strchr(from, letter) : NULL;
    if (letter == 'u') {
        parser->at++;
        return parse_unicode(parser, out);
    }
    if (!place)
        return fail_unexpected(parser, "one of \"\\/bfnrtu");
    str_append_char(out, to[place - from]);
    parser->at++;
    return 0;
}

/* At the opening quote; leaves parser behind the closing one. */
static int parse_text(struct parser *parser, struct str *out)
{
    parser->at++;
    for (;;) { /* ends at the quote or at the end of the text */
        const char *start = parser->at;
        while (parser->at < parser->end && *parser->at != '"' && *parser->at != '\\' &&
               (unsigned char)*parser->at >= 0x20) {
            size_t length = text_utf8_size(parser->at, (size_t)(parser->end - parser->at));
            if (length == 0)
                return fail(parser, ERR_INVALID, "the string is not UTF-8");
            parser->at += length;
        }
        str_append_bytes(out, start, (size_t)(parser->at - start));
        char stop = peek(parser);
        if (stop == '"') {
            parser->at++;
            return 0;
        }
        if (stop != '\\')
            return fail_unexpected(parser, "a closing quote");
        parser->at++;
        if (parse_escape(parser, out) < 0)
            return -1;
    }
}

static int parse_string(struct parser *parser, struct json **ret_node)
{
    _cleanup_(str_done) struct str text = STR_INIT(LIMIT_JSON_BYTES);
    if (parse_text(parser, &text) < 0)
        return -1;
    *ret_node = json_bytes_new(str_text(&text), text.size);
    return 0;
}

static size_t skip_digits(struct parser *parser)
{
    const char *start = parser->at;
    while (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9')
        parser->at++;
    return (size_t)(parser->at - start);
}

static int finish_integer(struct parser *parser, const char *digits, bool is_negative, struct json **ret_node)
{
    uint64_t magnitude = 0;
    bool is_over = false;
    for (const char *digit = digits; digit < parser->at && !is_over; digit++)
        is_over = __builtin_mul_overflow(magnitude, 10, &magnitude) ||
                  __builtin_add_overflow(magnitude, (uint64_t)(*digit - '0'), &magnitude);
    if (is_over || !json_integer_of(is_negative, magnitude, ret_node))
        return fail(parser, ERR_INVALID, "the integer does not fit 64 bits");
    return 0;
}

static int finish_double(struct parser *parser, const char *start, struct json **ret_node)
{
    char text[NUMBER_BYTES_MAX + 1];
    size_t size = (size_t)(parser->at - start);
    if (size > NUMBER_BYTES_MAX)
        return fail(parser, ERR_INVALID, "the number has more than %d digits", NUMBER_BYTES_MAX);
    memcpy(text, start, size);
    text[size] = '\0';
    double value = strtod(text, NULL);
    if (!isfinite(value))
        return fail(parser, ERR_INVALID, "the number is too large");
    *ret_node = json_double_new(value);
    return 0;
}

static int parse_number(struct parser *parser, struct json **ret_node)
{
    const char *start = parser->at;
    bool is_negative = peek(parser) == '-';
    if (is_negative)
        parser->at++;
    const char *digits = parser->at;
    if (skip_digits(parser) == 0)
        return fail_unexpected(parser, is_negative ? "a digit" : "a value");
    if (digits[0] == '0' && parser->at - digits > 1)
        return fail(parser, ERR_INVALID, "a number must not begin with 0");
    bool is_integer = true;
    if (peek(parser) == '.') {
        is_integer = false;
        parser->at++;
        if (skip_digits(parser) == 0)
            return fail_unexpected(parser, "a digit");
    }
    if (peek(parser) == 'e' || peek(parser) == 'E') {
        is_integer = false;
        parser->at++;
        if (peek(parser) == '+' || peek(parser) == '-')
            parser->at++;
        if (skip_digits(parser) == 0)
            return fail_unexpected(parser, "a digit");
    }
    return is_integer ? finish_integer(parser, digits, is_negative, ret_node)
                      : finish_double(parser, start, ret_node);
}

static bool take_word(struct parser *parser, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(parser->end - parser->at) < size || memcmp(parser->at, word, size) != 0)
        return false;
    parser->at += size;
    return true;
}

/* The key and the colon of a member. */
static int parse_key(struct parser *parser, const struct json *object, struct str *key)
{
    if (peek(parser) != '"')
        return fail_unexpected(parser, "a key in quotes");
    if (parse_text(parser, key) < 0)
        return -1;
    if (memchr(str_text(key), '\0', key->size))
        return fail(parser, ERR_INVALID, "a key must not hold a NUL character");
    if (json_get(object, str_text(key)))
        return fail(parser, ERR_INVALID, "duplicate key \"%.100s\"", str_text(key));
    skip_blanks(parser);
    if (peek(parser) != ':')
        return fail_unexpected(parser, "':'");
    parser->at++;
    return 0;
}

/* Behind the opening bracket; leaves parser behind the closing one. */
static int parse_items(struct parser *parser, struct json *container)
{
    bool is_object = container->type == JSON_OBJECT;
    char closing = is_object ? '}' : ']';
    skip_blanks(parser);
    while (peek(parser) != closing || json_count(container) > 0) { /* each round takes an item or ends */
        _cleanup_(str_done) struct str key = STR_INIT(LIMIT_JSON_BYTES);
        skip_blanks(parser);
        unsigned line = parser->line;
        if (is_object && parse_key(parser, container, &key) < 0)
            return -1;
        struct json *item;
        if (parse_value(parser, &item) < 0)
            return -1;
        if (is_object)
            item->line = line; /* of the key, where a person looks */
        json_append_take(container, is_object ? str_steal(&key) : NULL, item);
        skip_blanks(parser);
        if (peek(parser) == closing)
            break;
        if (peek(parser) != ',')
            return fail_unexpected(parser, is_object ? "',' or '}'" : "',' or ']'");
        parser->at++;
    }
    parser->at++;
    return 0;
}

static int parse_container(struct parser *parser, enum json_type type, struct json **ret_node)
{
    if (parser->depth >= LIMIT_TREE_DEPTH)
        return fail(parser, ERR_LIMIT, "nested more than %d deep", LIMIT_TREE_DEPTH);
    _cleanup_(json_freep) struct json *container = json_new(type);
    container->line = parser->line;
    parser->at++;
    parser->depth++;
    if (parse_items(parser, container) < 0)
        return -1;
    parser->depth--;
    *ret_node = steal_ptr(&container);
    return 0;
}

static int parse_value(struct parser *parser, struct json **ret_node)
{
    skip_blanks(parser);
    if (++parser->nodes > LIMIT_TREE_NODES)
        return fail(parser, ERR_LIMIT, "more than %d values", LIMIT_TREE_NODES);
    unsigned line = parser->line;
    struct json *node = NULL;
    int result = 0;
    char first = peek(parser);
    if (first == '{')
        result = parse_container(parser, JSON_OBJECT, &node);
    else if (first == '[')
        result = parse_container(parser, JSON_ARRAY, &node);
    else if (first == '"')
        result = parse_string(parser, &node);
    else if (take_word(parser, "null"))
        node = json_null_new();
    else if (take_word(parser, "true"))
        node = json_bool_new(true);
    else if (take_word(parser, "false"))
        node = json_bool_new(false);
    else
        result = parse_number(parser, &node);
    if (result < 0)
        return -1;
    node->line = line;
    *ret_node = node;
    return 0;
}

int json_parse(const char *text, size_t size, struct json **ret_root, struct err *err)
{
    if (size > LIMIT_JSON_BYTES)
        return err_set(err, ERR_LIMIT, "more than %d bytes of JSON", LIMIT_JSON_BYTES);
    struct parser parser = {.at = text, .end = text + size, .line_start = text, .line = 1, .err = err};
    _cleanup_(json_freep) struct json *root = NULL;
    if (parse_value(&parser, &root) < 0)
        return -1;
    skip_blanks(&parser);
    if (parser.at != parser.end)
        return fail_unexpected(&parser, "the end of the text");
    *ret_root = steal_ptr(&root);
    return 0;
}
