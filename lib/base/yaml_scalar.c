#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json_private.h"
#include "base/yaml_private.h"

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
        return (digit | 0x20) - 'a' + 10;
    return 16;
}

enum integer_result { NOT_INTEGER, IS_INTEGER, TOO_LARGE };

static enum integer_result read_integer(const char *text, bool *ret_negative, uint64_t *ret_magnitude)
{
    unsigned base = 10;
    bool is_negative = text[0] == '-';
    if (text[0] == '-' || text[0] == '+') {
        text++;
    } else if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
        base = text[1] == 'x' ? 16 : 8;
        text += 2;
    }
    if (*text == '\0')
        return NOT_INTEGER;
    uint64_t magnitude = 0;
    bool is_over = false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)digit_value(*text);
        if (digit >= base)
            return NOT_INTEGER;
        is_over |= __builtin_mul_overflow(magnitude, base, &magnitude);
        is_over |= __builtin_add_overflow(magnitude, digit, &magnitude);
    }
    *ret_negative = is_negative;
    *ret_magnitude = magnitude;
    return is_over ? TOO_LARGE : IS_INTEGER;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
    static const char digits[] = "0123456789";
    text += *text == '-' || *text == '+';
    size_t whole = strspn(text, digits);
    text += whole;
    size_t part = 0;
    if (*text == '.') {
        part = strspn(text + 1, digits);
        text += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        if (strspn(text, digits) == 0)
            return false;
        text += strspn(text, digits);
    }
    return *text == '\0';
}

static bool is_not_finite(const char *text)
{
    static const char *const words[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nan_words[] = {".nan", ".NaN", ".NAN", NULL};
    return is_one_of(text, nan_words) || is_one_of(text + (*text == '-' || *text == '+'), words);
}

static int read_number(const char *text, struct json **ret_node, struct err *err)
{
    bool is_negative = false;
    uint64_t magnitude = 0;
    enum integer_result integer = read_integer(text, &is_negative, &magnitude);
    if (integer == TOO_LARGE || (integer == IS_INTEGER && !json_integer_of(is_negative, magnitude, ret_node)))
        return err_set(err, ERR_INVALID, "integer %.40s does not fit 64 bits", text);
    if (integer == IS_INTEGER)
        return 0;
    if (is_not_finite(text) || (is_float(text) && !isfinite(strtod(text, NULL))))
        return err_set(err, ERR_INVALID, "%.40s is not a finite number; quote it if it is a text", text);
    *ret_node = is_float(text) ? json_double_new(strtod(text, NULL)) : NULL;
    return 0;
}

int yaml_scalar(const char *text, size_t size, struct json **ret_node, struct err *err)
{
    static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const true_words[] = {"true", "True", "TRUE", NULL};
    static const char *const false_words[] = {"false", "False", "FALSE", NULL};
    struct json *node = NULL;
    if (strlen(text) != size) /* a NUL inside: only a text can have one */
        node = NULL;
    else if (is_one_of(text, null_words))
        node = json_null_new();
    else if (is_one_of(text, true_words))
        node = json_bool_new(true);
    else if (is_one_of(text, false_words))
        node = json_bool_new(false);
    else if (read_number(text, &node, err) < 0)
        return -1;
    *ret_node = node ? node : json_bytes_new(text, size);
    return 0;
}
