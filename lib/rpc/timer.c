#include "rpc/timer.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "rpc/loop.h"
#include "rpc/loop_private.h"

/* A binary heap in rpc_timers.items: each timer knows its place, so that it can be taken out from the middle.
 */
struct rpc_timer {
    struct rpc_timers *timers;
    void (*run)(void *ctx);
    void *ctx;
    int64_t due_ns;
    size_t place; /* SIZE_MAX: not armed */
};

static void put(struct rpc_timers *timers, size_t place, struct rpc_timer *timer)
{
    timers->items[place] = timer;
    timer->place = place;
}

static void sift_up(struct rpc_timers *timers, size_t place, struct rpc_timer *timer)
{
    while (place > 0 && timers->items[(place - 1) / 2]->due_ns > timer->due_ns) {
        put(timers, place, timers->items[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(timers, place, timer);
}

static void sift_down(struct rpc_timers *timers, size_t place, struct rpc_timer *timer)
{
    for (size_t child = 2 * place + 1; child < timers->count; child = 2 * place + 1) {
        if (child + 1 < timers->count && timers->items[child + 1]->due_ns < timers->items[child]->due_ns)
            child++;
        if (timers->items[child]->due_ns >= timer->due_ns)
            break;
        put(timers, place, timers->items[child]);
        place = child;
    }
    put(timers, place, timer);
}

struct rpc_timer *rpc_timer_new(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx)
{
    struct rpc_timer *timer = xmalloc(sizeof(*timer));
    *timer = (struct rpc_timer){.timers = rpc_loop_timers(loop), .run = run, .ctx = ctx, .place = SIZE_MAX};
    return timer;
}

void rpc_timer_cancel(struct rpc_timer *timer)
{
    struct rpc_timers *timers = timer->timers;
    size_t place = timer->place;
    if (place == SIZE_MAX)
        return;
    timer->place = SIZE_MAX;
    struct rpc_timer *last = timers->items[--timers->count];
    if (last == timer)
        return;
    if (place > 0 && timers->items[(place - 1) / 2]->due_ns > last->due_ns)
        sift_up(timers, place, last);
    else
        sift_down(timers, place, last);
}

void rpc_timer_set(struct rpc_timer *timer, uint64_t delay_ms)
{
    struct rpc_timers *timers = timer->timers;
    const uint64_t delay_max_ms = 1000ULL * 60 * 60 * 24 * 365; /* keeps the sum in range */
    rpc_timer_cancel(timer);
    if (delay_ms > delay_max_ms)
        delay_ms = delay_max_ms;
    timer->due_ns = clock_now_ns(clock_system()) + (int64_t)delay_ms * NS_PER_MS;
    vec_reserve(timers, timers->count + 1);
    timers->count++;
    sift_up(timers, timers->count - 1, timer);
}

void rpc_timer_free(struct rpc_timer *timer)
{
    if (!timer)
        return;
    rpc_timer_cancel(timer);
    free(timer);
}

void rpc_timers_run(struct rpc_timers *timers, int64_t now_ns)
{
    /* A timer that arms itself again is due after now_ns (or, with no delay, in the next round): each runs
     * once. */
    for (size_t left = timers->count; left > 0 && timers->count > 0; left--) {
        struct rpc_timer *timer = timers->items[0];
        if (timer->due_ns > now_ns)
            break;
        rpc_timer_cancel(timer);
        timer->run(timer->ctx);
    }
}

int64_t rpc_timers_due_ns(const struct rpc_timers *timers)
{
    return timers->count > 0 ? timers->items[0]->due_ns : INT64_MAX;
}

void rpc_timers_done(struct rpc_timers *timers)
{
    assert(timers->count == 0); /* each armed timer belongs to somebody who should be gone */
    free(timers->items);
    *timers = (struct rpc_timers){0};
}
