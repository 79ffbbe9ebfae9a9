#include "base/backoff.h"

#include <assert.h>

#include "base/rng.h"

void backoff_init(struct backoff *backoff, int64_t initial_ms, int64_t max_ms, int64_t reset_after_ms)
{
    assert(initial_ms >= 1);
    assert(max_ms >= initial_ms);
    *backoff = (struct backoff){.initial_ms = initial_ms, .max_ms = max_ms, .reset_after_ms = reset_after_ms};
}

int64_t backoff_next(struct backoff *backoff, int64_t now_ms, struct rng *rng)
{
    if (backoff->failures > 0 && backoff->reset_after_ms > 0 &&
        now_ms - backoff->last_ms >= backoff->reset_after_ms)
        backoff->failures = 0;
    int64_t delay_ms = backoff->initial_ms;
    for (unsigned i = 0; i < backoff->failures && delay_ms < backoff->max_ms; i++)
        delay_ms = delay_ms > backoff->max_ms / 2 ? backoff->max_ms : delay_ms * 2;
    if (backoff->failures < 64) /* any initial has reached max by then */
        backoff->failures++;
    backoff->last_ms = now_ms;
    if (rng)
        delay_ms -= rng_between(rng, 0, delay_ms / 4);
    return delay_ms;
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}
