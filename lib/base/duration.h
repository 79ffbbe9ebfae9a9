/* Durations as manifests write them: ^([0-9]{1,5}(h|m|s|ms)){1,4}$, e.g. "90s", "1m30s", "250ms". */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdint.h>

struct err;

/* ERR_INVALID when text is not of that form. */
int duration_parse(const char *text, int64_t *ret_ms, struct err *err);

/* The shortest such text for ms, which is not negative and below 100000 hours; buffer holds at least
 * DURATION_TEXT_BYTES. Returns buffer. */
enum { DURATION_TEXT_BYTES = 32 };
char *duration_format(int64_t ms, char *buffer);

#endif
