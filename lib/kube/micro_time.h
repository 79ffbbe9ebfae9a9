/* MicroTime of the API: RFC 3339 in UTC with exactly six digits of a second. Pure. */
#ifndef KUBE_MICRO_TIME_H
#define KUBE_MICRO_TIME_H

#include <stdint.h>

enum { KUBE_MICRO_TIME_BYTES = 96 };

/* "2026-11-23T12:00:00.123000Z" into buffer, which holds at least KUBE_MICRO_TIME_BYTES. Returns buffer. */
char *kube_micro_time(int64_t wall_ms, char *buffer);

#endif
