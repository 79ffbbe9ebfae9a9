/* One leader among the replicas of a program, by a coordination.k8s.io/v1 Lease (election.h decides, this
 * file does).
 *
 * A Lease is no fence: a leader that was stopped for a while may act after another one took over, for as long
 * as a request of its is under way. So every destructive write carries a term or a resourceVersion besides,
 * and whoever acts asks kube_lease_is_held right before. What this promises: with clocks that differ in rate
 * by less than 3 %, no two replicas find kube_lease_is_held at one moment.
 *
 * It has a thread (`lease`) and should have a client of its own, so that a slow list does not cost the Lease.
 * Losing it demotes in place: on_stopped, and the election goes on. */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct err;
struct kube_client;
struct kube_lease;

struct kube_lease_config {
    const char *namespace;
    const char *name;
    const char *identity;      /* pod UID: a restarted container has its Lease back at once */
    int64_t duration_ms;       /* 0 for 6,000: others wait this long after the last renewal that they saw */
    int64_t renew_deadline_ms; /* 0 for 4,000: the leader acts this long after it sent its last renewal */
    int64_t retry_ms; /* 0 for 1,000: between renewals, and, up to 400, between looks of the others */
    /* NULL, or the annotation of the Lease that keeps the highest resourceVersion that a leader saw, and the
     * function that says it (any thread, returns at once). */
    const char *version_annotation;
    uint64_t (*version)(void *ctx);
    /* On the thread `lease`; they return at once. known_version: from the annotation, 0 without one. */
    void (*on_started)(void *ctx, uint64_t known_version);
    void (*on_stopped)(void *ctx, const char *why);
    void (*on_leader)(
        void *ctx, const char *identity); /* somebody else, or we, or "" for nobody; may be NULL */
    void (*on_problem)(
        void *ctx, const struct err *problem); /* once for each new text; NULL: over; may be NULL */
    void *ctx;
};

/* Texts are copied. client and clock live longer. ERR_INVALID unless retry < renew deadline < duration. */
int kube_lease_start(struct kube_client *client, struct clock *clock, const struct kube_lease_config *config,
    struct kube_lease **ret_lease, struct err *err);
/* Stops leading (on_stopped), gives the Lease back so that another replica need not wait, and ends the
 * thread; waits for a few requests, at most for the renew deadline and half of it. Accepts NULL. */
void kube_lease_free(struct kube_lease *lease);

/* Until when this replica may act, on the clock's monotonic milliseconds; 0 when it does not lead. It is
 * renew_deadline after the last renewal was sent, so it is over before another replica may begin. Any thread,
 * without a lock. */
int64_t kube_lease_held_until_ms(const struct kube_lease *lease);
/* It is before that. */
bool kube_lease_is_held(const struct kube_lease *lease);

#endif
