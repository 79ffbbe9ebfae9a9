/* How long to wait before the next try: initial, doubled each time up to max, less a random part so that many
 * do not retry at once; back to initial after things went well for a while. Pure: time comes in, nothing is
 * done. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct rng;

struct backoff {
    int64_t initial_ms;
    int64_t max_ms;
    int64_t reset_after_ms; /* this long without a failure: start at initial again; 0 for never */
    int64_t last_ms;        /* when backoff_next was last called */
    unsigned failures;      /* in this series */
};

/* initial_ms is at least 1, max_ms at least initial_ms. */
void backoff_init(struct backoff *backoff, int64_t initial_ms, int64_t max_ms, int64_t reset_after_ms);
/* Something failed at now_ms: the wait until the next try, between three quarters of the doubled time and all
 * of it. rng may be NULL: then there is no random part. */
int64_t backoff_next(struct backoff *backoff, int64_t now_ms, struct rng *rng);
/* It worked: the next failure starts at initial. */
void backoff_reset(struct backoff *backoff);

#endif
