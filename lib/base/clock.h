/* Time comes from a clock that somebody hands in, never straight from the system, so that tests and the
 * simulator own it. Times are nanoseconds or milliseconds in signed 64 bits: differences need no care. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000LL
#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL
#define MS_PER_S 1000LL

/* A vtable; the first member of the clock that implements it. Thread: any, for both kinds below. */
struct clock {
    int64_t (*monotonic_ns)(struct clock *clock); /* never goes back, unrelated to any calendar */
    int64_t (*wall_ms)(struct clock *clock);      /* since 1970-01-01 UTC; may jump */
};

static inline int64_t clock_now_ns(struct clock *clock)
{
    return clock->monotonic_ns(clock);
}

static inline int64_t clock_now_ms(struct clock *clock)
{
    return clock->monotonic_ns(clock) / NS_PER_MS;
}

static inline int64_t clock_wall_ms(struct clock *clock)
{
    return clock->wall_ms(clock);
}

/* The clock of the machine: CLOCK_MONOTONIC and CLOCK_REALTIME. Lives for ever. */
struct clock *clock_system(void);

/* A clock that moves only when told. Its wall clock follows, and can be set apart to play a jump. */
struct clock_virtual {
    struct clock clock;
    int64_t now_ns;         /* atomic: advanced by one thread, read by any */
    int64_t wall_offset_ms; /* wall_ms = now + this; atomic as well */
};

void clock_virtual_init(struct clock_virtual *clock, int64_t start_ns, int64_t start_wall_ms);
/* delta_ns is not negative. */
void clock_virtual_advance(struct clock_virtual *clock, int64_t delta_ns);
void clock_virtual_jump_wall(struct clock_virtual *clock, int64_t delta_ms);

/* "2026-11-23T12:00:00.123Z" for wall_ms; buffer holds at least CLOCK_TEXT_BYTES. Returns buffer. */
enum { CLOCK_TEXT_BYTES = 80 };
char *clock_format_wall(int64_t wall_ms, char *buffer);

#endif
