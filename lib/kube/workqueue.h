/* Keys that somebody has to work on, each by one worker at a time.
 *
 * Invariants:
 *  1. A key is worked on by at most one worker: between get and done it is given to nobody else.
 *  2. A key that is added while it waits is one entry; added while it is worked on, it comes again after
 * done. So no addition is lost, and a thousand additions cost one run.
 *  3. Ready keys come by priority, then in the order of their addition. A key has the highest priority that
 * it was added with since its last run.
 *  4. A key waits for at most one point in time, the earliest that was asked for.
 *
 * There are as many entries as there are different keys, so what bounds the stores bounds the queue. Time
 * comes from the clock. Lock: `kube workqueue`, held for one change. Thread: any. */
#ifndef KUBE_WORKQUEUE_H
#define KUBE_WORKQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct kube_workqueue;

/* What was there at the start and what is only looked at again waits behind what users change. */
enum { KUBE_PRIORITY_LOW = -100, KUBE_PRIORITY_NORMAL = 0 };

struct kube_workqueue_config {
    int64_t retry_initial_ms; /* first wait of a key after a failure, doubled each time; 0 for 5 */
    int64_t retry_max_ms;     /* 0 for 1,000,000 */
    double retries_per_s;     /* of all keys together; 0 for 10 */
    double retries_burst;     /* 0 for 100 */
};

struct kube_workqueue_stats {
    size_t ready;           /* keys that wait for a worker */
    size_t delayed;         /* keys that wait for their time */
    size_t working;         /* keys between get and done */
    uint64_t adds;          /* that became entries */
    uint64_t retries;       /* kube_workqueue_retry */
    uint64_t gets;          /* runs that began */
    int64_t latency_ms_sum; /* from ready to get, of all gets */
    int64_t work_ms_sum;    /* from get to done, of all runs that ended */
    int64_t oldest_work_ms; /* how long the longest run has been going on; 0 when there is none */
};

/* config may be NULL. clock lives longer. */
struct kube_workqueue *kube_workqueue_new(struct clock *clock, const struct kube_workqueue_config *config);
/* Nobody uses it any more. */
void kube_workqueue_free(struct kube_workqueue *queue);

void kube_workqueue_add(struct kube_workqueue *queue, const char *key, int priority);
/* At once when delay_ms is not above 0. */
void kube_workqueue_add_after(struct kube_workqueue *queue, const char *key, int64_t delay_ms, int priority);
/* After a failure: later each time, until kube_workqueue_forget; and all keys together at a bounded rate. */
void kube_workqueue_retry(struct kube_workqueue *queue, const char *key, int priority);
/* It went well: the next retry of key is a first one. Waits that are under way stay. */
void kube_workqueue_forget(struct kube_workqueue *queue, const char *key);
/* How often key was retried since it was last forgotten. */
unsigned kube_workqueue_failures(struct kube_workqueue *queue, const char *key);

/* A key to work on; waits for one. *ret_key is the caller's to free, after kube_workqueue_done. false when
 * the queue was shut down and nothing is ready. ret_priority may be NULL. */
bool kube_workqueue_get(struct kube_workqueue *queue, char **ret_key, int *ret_priority);
/* As above without waiting: false when nothing is ready now. */
bool kube_workqueue_try_get(struct kube_workqueue *queue, char **ret_key, int *ret_priority);
void kube_workqueue_done(struct kube_workqueue *queue, const char *key);

/* From now on nothing is added, and what waits for its time is dropped. Ready keys are still given out; then
 * each get returns false. */
void kube_workqueue_shut_down(struct kube_workqueue *queue);
/* As above, also drops what is ready; returns when no key is worked on any more. Not from a worker. */
void kube_workqueue_drain(struct kube_workqueue *queue);

void kube_workqueue_stats(struct kube_workqueue *queue, struct kube_workqueue_stats *ret_stats);

#endif
