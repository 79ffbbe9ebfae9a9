/* The epoch of a placement: the operator's term and a counter in it, as one number that only grows. Pure. */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include <stdint.h>

struct err;

/* "4294967295.4294967295" and its NUL. */
enum { EPOCH_TEXT_BYTES = 24 };

static inline uint64_t epoch_make(uint32_t term, uint32_t counter)
{
    return (uint64_t)term << 32 | counter;
}

static inline uint32_t epoch_term(uint64_t epoch)
{
    return (uint32_t)(epoch >> 32);
}

static inline uint32_t epoch_counter(uint64_t epoch)
{
    return (uint32_t)epoch;
}

/* "term.counter" into buffer, which holds at least EPOCH_TEXT_BYTES. Returns buffer. */
char *epoch_format(uint64_t epoch, char *buffer);

/* The reverse; ERR_INVALID for anything that epoch_format would not write. */
int epoch_parse(const char *text, uint64_t *ret_epoch, struct err *err);

#endif
