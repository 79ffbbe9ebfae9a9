/* Events (events.k8s.io/v1) that people see with kubectl describe: written in the background, never waited
 * for.
 *
 * Equal events become one with a series; more than 10 that differ only in their note within 10 minutes become
 * one combined event; an object gets a burst of 25 writes and then one in 5 minutes. What does not fit into
 * the queue of 1,000 is dropped and counted. (event_series.h decides.) It has a thread, `kube events`. */
#ifndef KUBE_EVENT_H
#define KUBE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct err;
struct kube_client;
struct kube_recorder;

struct kube_event {
    /* The object that it is about. */
    const char *api_version;
    const char *kind;
    const char *namespace; /* "" or NULL: the event goes to namespace default */
    const char *name;
    const char *uid;    /* may be NULL */
    bool is_warning;    /* type Warning instead of Normal */
    const char *reason; /* one PascalCase word: NodeLost */
    const char *action; /* what was done or tried, one PascalCase word; NULL: the reason */
    const char *note;   /* for people; cut at 1,024 bytes */
};

struct kube_recorder_config {
    const char *controller; /* reportingController: histrio.dev/operator */
    const char *instance;   /* reportingInstance: the pod's name */
    void (*on_problem)(
        void *ctx, const struct err *problem); /* thread kube events, once for each new text; may be NULL */
    void *ctx;
};

struct kube_recorder_stats {
    uint64_t emitted;
    uint64_t written;    /* requests that worked */
    uint64_t suppressed; /* kept back by the rules above, to be written later */
    uint64_t dropped;    /* the queue was full */
    uint64_t failed;     /* requests that did not work: tried again with the next event of the series */
};

/* Texts are copied. client and clock live longer. */
int kube_recorder_start(struct kube_client *client, struct clock *clock,
    const struct kube_recorder_config *config, struct kube_recorder **ret_recorder, struct err *err);
/* Writes what is queued for at most 2 s, then ends; a request under way may add 2 s. Accepts NULL. */
void kube_recorder_free(struct kube_recorder *recorder);
/* Copies the event; never blocks. Any thread. NULL recorder: does nothing. */
void kube_recorder_emit(struct kube_recorder *recorder, const struct kube_event *event);
void kube_recorder_stats(struct kube_recorder *recorder, struct kube_recorder_stats *ret_stats);

#endif
