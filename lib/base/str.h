/* A growing text or byte buffer with a maximum that is given at the start. Going past the maximum is not an
 * error at each call: the append is dropped, the buffer remembers it, and str_check tells at the end. The
 * content always ends with a NUL that is not counted in size. Thread: one at a time; belongs to its creator.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct str {
    char *data;  /* NULL before the first append; read through str_text when that can be */
    size_t size; /* bytes in use, without the NUL */
    size_t capacity;
    size_t limit;    /* size never goes beyond this */
    bool overflowed; /* an append was dropped; later appends are dropped as well */
};

/* No allocation happens before the first append. */
void str_init(struct str *str, size_t limit);
#define STR_INIT(limit_bytes)                                                                                \
    {                                                                                                        \
        NULL, 0, 0, (limit_bytes), false                                                                     \
    }
/* Frees the content; accepts a zeroed struct, and may be called twice. Fits _cleanup_(str_done). */
void str_done(struct str *str);
/* Empties the buffer and forgets an overflow; keeps the memory. */
void str_clear(struct str *str);
/* The content, "" when there is none. Valid until the next change. */
const char *str_text(const struct str *str);
/* Gives the content to the caller, who frees it; str is empty afterwards. Never NULL. */
char *str_steal(struct str *str);
/* ERR_LIMIT when an append was dropped; what names the buffer in the text. */
int str_check(const struct str *str, const char *what, struct err *err);

void str_append(struct str *str, const char *text);
void str_append_bytes(struct str *str, const void *data, size_t size);
void str_append_char(struct str *str, char character);
__attribute__((format(printf, 2, 3))) void str_appendf(struct str *str, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void str_vappendf(struct str *str, const char *fmt, va_list args);
/* text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so the result is always
 * valid. */
void str_append_json_string(struct str *str, const char *text);
void str_append_json_bytes(struct str *str, const char *text, size_t size);
/* Room for size more bytes, to be filled by the caller, or NULL when that goes past the limit. size is
 * counted at once. */
void *str_extend(struct str *str, size_t size);
/* Cuts to at most size bytes. */
void str_truncate(struct str *str, size_t size);

/* Small questions about plain texts, here so that nobody writes them twice. */
bool text_equal(const char *left, const char *right); /* NULL equals only NULL */
bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
/* A whole decimal number without sign, blanks or leading zeros, at most maximum. */
int text_to_u64(const char *text, uint64_t maximum, uint64_t *ret_number, struct err *err);
/* Bytes of the UTF-8 character at text, 0 when there is none (or size is 0). */
size_t text_utf8_size(const char *text, size_t size);
/* True for well-formed UTF-8 (no surrogates, no overlong forms). */
bool text_is_utf8(const char *text, size_t size);
/* All that is no ASCII becomes '?', in place, if the text is not UTF-8. */
void text_make_utf8(char *text);
/* How much of a text to take that size_max bytes hold: no part of a character. */
size_t text_cut(const char *text, size_t size_max);
/* a-z, 0-9 and '-', begins and ends with a letter or digit, 1 to 63 bytes: a DNS label. */
bool text_is_dns_label(const char *text);

#endif
