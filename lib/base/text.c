#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

bool text_equal(const char *left, const char *right)
{
    if (!left || !right)
        return left == right;
    return strcmp(left, right) == 0;
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && memcmp(text + size - suffix_size, suffix, suffix_size) == 0;
}

int text_to_u64(const char *text, uint64_t maximum, uint64_t *ret_number, struct err *err)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return err_set(err, ERR_LIMIT, "number \"%.40s\" is too large", text);
    }
    if (at == text || *at != '\0' || (text[0] == '0' && at != text + 1))
        return err_set(err, ERR_INVALID, "\"%.40s\" is not a whole number", text);
    if (number > maximum)
        return err_set(err, ERR_LIMIT, "number %llu is above %llu", (unsigned long long)number,
            (unsigned long long)maximum);
    *ret_number = number;
    return 0;
}

/* Bytes of the UTF-8 character at text, 0 when there is none (Unicode 15, table 3-7). */
size_t text_utf8_size(const char *text, size_t size)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (size == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    size_t length = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
    if (byte[0] < 0xC2 || byte[0] > 0xF4 || size < length)
        return 0;
    unsigned char lowest = 0x80;
    unsigned char highest = 0xBF;
    if (byte[0] == 0xE0)
        lowest = 0xA0; /* shorter forms exist */
    else if (byte[0] == 0xED)
        highest = 0x9F; /* surrogates */
    else if (byte[0] == 0xF0)
        lowest = 0x90;
    else if (byte[0] == 0xF4)
        highest = 0x8F; /* above U+10FFFF */
    if (byte[1] < lowest || byte[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

bool text_is_utf8(const char *text, size_t size)
{
    while (size > 0) {
        size_t length = text_utf8_size(text, size);
        if (length == 0)
            return false;
        text += length;
        size -= length;
    }
    return true;
}

void text_make_utf8(char *text)
{
    if (text_is_utf8(text, strlen(text)))
        return;
    for (char *c = text; *c; c++)
        *c = *c & (char)0x80 ? '?' : *c;
}

size_t text_cut(const char *text, size_t size_max)
{
    size_t size = strnlen(text, size_max);
    if (size < size_max)
        return size;
    while (size > 0 && (text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

static bool is_label_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9');
}

bool text_is_dns_label(const char *text)
{
    size_t size = strnlen(text, LIMIT_LABEL_BYTES + 1);
    if (size == 0 || size > LIMIT_LABEL_BYTES)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!is_label_character(text[i]) && text[i] != '-')
            return false;
    }
    return text[0] != '-' && text[size - 1] != '-';
}
