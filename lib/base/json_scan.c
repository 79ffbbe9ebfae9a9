#include "base/json_scan.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

enum { NUMBER_BYTES_MAX = 63 }; /* what cJSON takes; no number of 64 bits needs more */

struct scanner {
    const char *text;
    const char *at;
    const char *end;
    unsigned line;
    unsigned depth;
    struct json_marks *marks;
    struct err *err;
};

int json_scan_error(const char *text, const char *place, struct err *err, const char *what)
{
    unsigned line = 1;
    const char *line_start = text;
    for (const char *at = text; at < place; at++) {
        if (*at == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    return err_set(err, ERR_INVALID, "line %u column %zu: %s", line, (size_t)(place - line_start) + 1, what);
}

static int fail(struct scanner *scanner, const char *what)
{
    return json_scan_error(scanner->text, scanner->at, scanner->err, what);
}

static char peek(const struct scanner *scanner)
{
    return scanner->at < scanner->end ? *scanner->at : '\0';
}

/* A new mark at the present place; the caller adds its size. */
static int add_mark(struct scanner *scanner, struct json_mark **ret_mark)
{
    if (scanner->marks->list.count >= LIMIT_TREE_NODES)
        return err_set(scanner->err, ERR_LIMIT, "line %u: more than %d values and keys", scanner->line,
            LIMIT_TREE_NODES);
    *ret_mark = vec_push_new(&scanner->marks->list);
    (*ret_mark)->text = scanner->at;
    (*ret_mark)->line = scanner->line;
    return 0;
}

/* Four hexadecimal digits behind "\u". */
static int scan_hex4(struct scanner *scanner, unsigned *ret_code)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++, scanner->at++) {
        char digit = peek(scanner);
        char letter = (char)(digit | 0x20);
        if (digit >= '0' && digit <= '9')
            code = code << 4 | (unsigned)(digit - '0');
        else if (letter >= 'a' && letter <= 'f')
            code = code << 4 | (unsigned)(letter - 'a' + 10);
        else
            return fail(scanner, "a hexadecimal digit is expected");
    }
    *ret_code = code;
    return 0;
}

/* Behind "\u"; adds the bytes of the character to *size. */
static int scan_unicode(struct scanner *scanner, unsigned *size)
{
    unsigned code;
    unsigned low = 0;
    if (scan_hex4(scanner, &code) < 0)
        return -1;
    if (code < 0xD800 || code > 0xDFFF) {
        *size += code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
        return 0;
    }
    if (code >= 0xDC00 || scanner->end - scanner->at < 2 || memcmp(scanner->at, "\\u", 2) != 0)
        return fail(scanner, "half of a surrogate pair");
    scanner->at += 2;
    if (scan_hex4(scanner, &low) < 0)
        return -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(scanner, "half of a surrogate pair");
    *size += 4;
    return 0;
}

/* Behind the backslash. */
static int scan_escape(struct scanner *scanner, unsigned *size)
{
    char letter = peek(scanner);
    if (letter == '\0' || !strchr("\"\\/bfnrtu", letter))
        return fail(scanner, "one of \"\\/bfnrtu is expected");
    scanner->at++;
    if (letter == 'u')
        return scan_unicode(scanner, size);
    *size += 1;
    return 0;
}

/* At the opening quote; leaves scanner behind the closing one. */
static int scan_string(struct scanner *scanner)
{
    struct json_mark *mark;
    if (add_mark(scanner, &mark) < 0)
        return -1;
    scanner->at++;
    while (peek(scanner) != '"') { /* each round takes a character or fails */
        if ((unsigned char)peek(scanner) < 0x20)
            return fail(scanner, scanner->at == scanner->end ? "the text ends inside of a string"
                                                             : "a control character inside of a string");
        if (*scanner->at == '\\') {
            scanner->at++;
            if (scan_escape(scanner, &mark->size) < 0)
                return -1;
            continue;
        }
        size_t length = text_utf8_size(scanner->at, (size_t)(scanner->end - scanner->at));
        if (length == 0)
            return fail(scanner, "the string is not UTF-8");
        scanner->at += length;
        mark->size += (unsigned)length;
    }
    scanner->at++;
    return 0;
}

static size_t skip_digits(struct scanner *scanner)
{
    const char *start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
        scanner->at++;
    return (size_t)(scanner->at - start);
}

static int scan_number(struct scanner *scanner)
{
    struct json_mark *mark;
    if (add_mark(scanner, &mark) < 0)
        return -1;
    scanner->at += peek(scanner) == '-';
    const char *digits = scanner->at;
    bool is_whole = skip_digits(scanner) > 0;
    if (is_whole && digits[0] == '0' && scanner->at - digits > 1)
        return fail(scanner, "a number must not begin with 0");
    if (is_whole && peek(scanner) == '.') {
        scanner->at++;
        is_whole = skip_digits(scanner) > 0;
    }
    if (is_whole && (peek(scanner) | 0x20) == 'e') {
        scanner->at++;
        scanner->at += peek(scanner) == '+' || peek(scanner) == '-';
        is_whole = skip_digits(scanner) > 0;
    }
    if (!is_whole)
        return fail(scanner, "a digit is expected");
    mark->size = (unsigned)(scanner->at - mark->text);
    if (mark->size > NUMBER_BYTES_MAX)
        return fail(scanner, "the number has too many digits");
    return 0;
}

static int scan_word(struct scanner *scanner)
{
    static const char *const words[] = {"null", "true", "false"};
    struct json_mark *mark;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t size = strlen(words[i]);
        if ((size_t)(scanner->end - scanner->at) < size || memcmp(scanner->at, words[i], size) != 0)
            continue;
        if (add_mark(scanner, &mark) < 0)
            return -1;
        scanner->at += size;
        return 0;
    }
    return fail(scanner, "this is no JSON value");
}

static int scan_opening(struct scanner *scanner)
{
    struct json_mark *mark;
    if (scanner->depth >= LIMIT_TREE_DEPTH)
        return err_set(
            scanner->err, ERR_LIMIT, "line %u: nested more than %d deep", scanner->line, LIMIT_TREE_DEPTH);
    if (add_mark(scanner, &mark) < 0)
        return -1;
    scanner->depth++;
    scanner->at++;
    return 0;
}

static int scan_token(struct scanner *scanner)
{
    switch (*scanner->at) {
    case '\n': scanner->line++; __attribute__((fallthrough));
    case ' ':
    case '\t':
    case '\r':
    case ',':
    case ':': scanner->at++; return 0;
    case '{':
    case '[': return scan_opening(scanner);
    case '}':
    case ']':
        if (scanner->depth == 0)
            return fail(scanner, "nothing is open here");
        scanner->depth--;
        scanner->at++;
        return 0;
    case '"': return scan_string(scanner);
    default: break;
    }
    bool is_number = *scanner->at == '-' || (*scanner->at >= '0' && *scanner->at <= '9');
    return is_number ? scan_number(scanner) : scan_word(scanner);
}

int json_scan(const char *text, size_t size, struct json_marks *marks, struct err *err)
{
    struct scanner scanner = {
        .text = text, .at = text, .end = text + size, .line = 1, .marks = marks, .err = err};
    while (scanner.at < scanner.end) { /* each token takes a character or fails */
        if (scan_token(&scanner) < 0)
            return -1;
    }
    if (scanner.depth > 0)
        return fail(&scanner, "the text ends inside of brackets");
    if (marks->list.count == 0)
        return fail(&scanner, "the text ends where a value is expected");
    return 0;
}
