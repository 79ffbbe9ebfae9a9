/* The tokens of a JSON text: what cJSON lets through is refused, and what it forgets is kept. For
 * json_parse.c only. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stddef.h>

#include "base/vec.h"

struct err;

/* A token that is a value, begins one, or is a key, in the order of the text. */
struct json_mark {
    const char *text; /* its first character */
    unsigned line;
    unsigned size; /* of a string: bytes when decoded; of a number: characters */
};

struct json_marks {
    VEC(struct json_mark) list;
};

/* Fills marks, which the caller empties with vec_done in any case. ERR_INVALID for what is no token of RFC
 * 8259 (numbers such as 01 or 1., control characters or bytes that are not UTF-8 in strings, half surrogate
 * pairs), and for a text that ends inside of brackets; ERR_LIMIT beyond LIMIT_TREE_DEPTH or LIMIT_TREE_NODES.
 */
int json_scan(const char *text, size_t size, struct json_marks *marks, struct err *err);

/* Fills err with "line 3 column 7: " and the text; place lies in the text. Returns -1. */
int json_scan_error(const char *text, const char *place, struct err *err, const char *what);

#endif
