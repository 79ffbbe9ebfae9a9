#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void str_init(struct str *str, size_t limit)
{
    *str = (struct str)STR_INIT(limit);
}

void str_done(struct str *str)
{
    free(str->data);
    str->data = NULL;
    str_clear(str);
    str->capacity = 0;
}

void str_clear(struct str *str)
{
    str->size = 0;
    str->overflowed = false;
    if (str->data)
        str->data[0] = '\0';
}

const char *str_text(const struct str *str)
{
    return str->data ? str->data : "";
}

char *str_steal(struct str *str)
{
    char *data = str->data ? str->data : xstrdup("");
    str->data = NULL;
    str->capacity = 0;
    str_clear(str);
    return data;
}

int str_check(const struct str *str, const char *what, struct err *err)
{
    if (str->overflowed)
        return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", what, str->limit);
    return 0;
}

void *str_extend(struct str *str, size_t size)
{
    assert(str->size <= str->limit);
    if (str->overflowed || size > str->limit - str->size) {
        str->overflowed = true;
        return NULL;
    }
    size_t wanted = str->size + size + 1;
    if (wanted > str->capacity) {
        size_t capacity = str->capacity < 32 ? 64 : str->capacity * 2;
        if (capacity < wanted)
            capacity = wanted;
        str->data = xrealloc(str->data, capacity);
        str->capacity = capacity;
    }
    void *place = str->data + str->size;
    str->size += size;
    str->data[str->size] = '\0';
    return place;
}

void str_truncate(struct str *str, size_t size)
{
    if (size >= str->size)
        return;
    str->size = size;
    str->data[size] = '\0';
}

void str_append_bytes(struct str *str, const void *data, size_t size)
{
    if (size == 0)
        return;
    void *place = str_extend(str, size);
    if (place)
        memcpy(place, data, size);
}

void str_append(struct str *str, const char *text)
{
    str_append_bytes(str, text, strlen(text));
}

void str_append_char(struct str *str, char character)
{
    str_append_bytes(str, &character, 1);
}

void str_vappendf(struct str *str, const char *fmt, va_list args)
{
    char buffer[256];
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(buffer, sizeof(buffer), fmt, args);
    assert(size >= 0);
    if ((size_t)size < sizeof(buffer)) {
        str_append_bytes(str, buffer, (size_t)size);
    } else {
        char *place = str_extend(str, (size_t)size);
        if (place)
            (void)vsnprintf(place, (size_t)size + 1, fmt, again); /* the size is known from the first pass */
    }
    va_end(again);
}

void str_appendf(struct str *str, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vappendf(str, fmt, args);
    va_end(args);
}

void str_append_json_string(struct str *str, const char *text)
{
    str_append_json_bytes(str, text, strlen(text));
}

/* Characters that YAML or JavaScript take for line ends or refuse, or that a terminal obeys: C1 controls,
 * U+2028, U+2029, U+FEFF, U+FFFE, U+FFFF. The code point, or 0 for all others. */
static unsigned risky_character(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (length == 2 && byte[0] == 0xC2 && byte[1] < 0xA0)
        return byte[1];
    if (length != 3)
        return 0;
    unsigned code = (byte[0] & 0x0FU) << 12 | (byte[1] & 0x3FU) << 6 | (byte[2] & 0x3FU);
    return code == 0x2028 || code == 0x2029 || code == 0xFEFF || code >= 0xFFFE ? code : 0;
}

static void append_escaped(struct str *str, unsigned code)
{
    switch (code) {
    case '"': str_append(str, "\\\""); return;
    case '\\': str_append(str, "\\\\"); return;
    case '\n': str_append(str, "\\n"); return;
    case '\r': str_append(str, "\\r"); return;
    case '\t': str_append(str, "\\t"); return;
    case '\b': str_append(str, "\\b"); return;
    case '\f': str_append(str, "\\f"); return;
    default: str_appendf(str, "\\u%04x", code); return;
    }
}

void str_append_json_bytes(struct str *str, const char *text, size_t size)
{
    size_t start = 0; /* of what needs no escape and is appended in one go */
    size_t at = 0;
    str_append_char(str, '"');
    while (at < size) {
        unsigned char byte = (unsigned char)text[at];
        bool is_plain_ascii = byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
        size_t length = is_plain_ascii ? 1 : text_utf8_size(text + at, size - at);
        unsigned risky = length > 1 ? risky_character(text + at, length) : 0;
        if (is_plain_ascii || (length > 1 && !risky)) {
            at += length;
            continue;
        }
        str_append_bytes(str, text + start, at - start);
        if (length == 0)
            str_append(str, "\xEF\xBF\xBD");
        else
            append_escaped(str, risky ? risky : byte);
        at += length ? length : 1;
        start = at;
    }
    str_append_bytes(str, text + start, size - start);
    str_append_char(str, '"');
}
