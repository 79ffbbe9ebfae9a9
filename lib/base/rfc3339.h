/* Points in time as RFC 3339 texts, in UTC, from year 0 to 9999. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H

#include <stdint.h>

struct err;

enum { RFC3339_TEXT_BYTES = 80 };

/* "2026-11-23T12:00:00.5Z" into text, which holds at least RFC3339_TEXT_BYTES; the fraction is as short as it
 * can be. ERR_INVALID outside of the years. */
int rfc3339_format(int64_t seconds, uint32_t nanoseconds, char *text, struct err *err);

/* Z or an offset, at most 9 digits of fraction, no leap second. -1 for anything else. */
int rfc3339_parse(const char *text, int64_t *ret_seconds, uint32_t *ret_nanoseconds);

#endif
