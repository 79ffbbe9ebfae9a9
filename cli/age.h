/* cli/age.h: times as people read them. Pure. */
#pragma once

#include <stdint.h>

enum { AGE_TEXT_BYTES = 32 };

/* "3s", "4m12s", "12m", "5h", "3d": as kubectl shows ages. Negative ones are "0s". Returns buffer. */
char *age_format(int64_t ms, char *buffer);

/* Milliseconds since 1970 of "2026-11-23T12:00:00.123Z"; 0 when it is not such a text. */
int64_t age_parse_time(const char *text);
