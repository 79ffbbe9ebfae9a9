#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static int64_t system_monotonic_ns(struct clock *clock)
{
    (void)clock; /* the machine has one */
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t system_wall_ms(struct clock *clock)
{
    (void)clock; /* the machine has one */
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

struct clock *clock_system(void)
{
    static struct clock clock = {system_monotonic_ns, system_wall_ms};
    return &clock;
}

/* Relaxed is enough: a time says nothing about other memory. */
static int64_t virtual_monotonic_ns(struct clock *clock)
{
    struct clock_virtual *self = (struct clock_virtual *)clock;
    return __atomic_load_n(&self->now_ns, __ATOMIC_RELAXED);
}

static int64_t virtual_wall_ms(struct clock *clock)
{
    struct clock_virtual *self = (struct clock_virtual *)clock;
    return __atomic_load_n(&self->now_ns, __ATOMIC_RELAXED) / NS_PER_MS +
           __atomic_load_n(&self->wall_offset_ms, __ATOMIC_RELAXED);
}

void clock_virtual_init(struct clock_virtual *clock, int64_t start_ns, int64_t start_wall_ms)
{
    *clock = (struct clock_virtual){
        .clock = {virtual_monotonic_ns, virtual_wall_ms},
        .now_ns = start_ns,
        .wall_offset_ms = start_wall_ms - start_ns / NS_PER_MS,
    };
}

void clock_virtual_advance(struct clock_virtual *clock, int64_t delta_ns)
{
    assert(delta_ns >= 0);
    (void)__atomic_add_fetch(&clock->now_ns, delta_ns, __ATOMIC_RELAXED);
}

void clock_virtual_jump_wall(struct clock_virtual *clock, int64_t delta_ms)
{
    (void)__atomic_add_fetch(&clock->wall_offset_ms, delta_ms, __ATOMIC_RELAXED);
}

char *clock_format_wall(int64_t wall_ms, char *buffer)
{
    int64_t milliseconds = ((wall_ms % MS_PER_S) + MS_PER_S) % MS_PER_S;
    time_t seconds = (time_t)((wall_ms - milliseconds) / MS_PER_S);
    struct tm parts = {0};
    if (!gmtime_r(&seconds, &parts)) /* a year beyond int: shown as the beginning of time */
        (void)gmtime_r(&(time_t){0}, &parts);
    (void)snprintf(buffer, CLOCK_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)milliseconds);
    return buffer;
}
