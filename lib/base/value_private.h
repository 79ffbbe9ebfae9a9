/* The inside of values, for the value_*.c files only. */
#ifndef BASE_VALUE_PRIVATE_H
#define BASE_VALUE_PRIVATE_H

#include "base/value.h"

enum {
    VALUE_TIME_EXT = 1,
    VALUE_TIME_BYTES = 12,
    VALUE_NANOSECONDS_MAX = 999999999,
};

/* The first bytes of a value, decoded. */
struct value_head {
    enum value_type type;
    bool is_negative;
    size_t head_size;    /* bytes in front of the payload or of the items */
    size_t payload_size; /* of a string, bytes, or ext; lies within the view */
    size_t count;        /* items, or pairs of a map */
    uint64_t number;     /* of an integer in two's complement, or a bool */
    double real;         /* of a double */
};

/* False when the view ends too early or the first byte means nothing. */
bool value_read_head(struct value value, struct value_head *ret_head);

#endif
