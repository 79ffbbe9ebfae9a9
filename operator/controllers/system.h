/* controllers/system.h: one ActorSystem as its worker sees it: the shell around core/core.h for Kubernetes.
 * A reconcile reads the caches and the inbox, tells the core, performs its plan (shell/shell.h), works on
 * Pods, and writes status; it may run at any time and any number of times.
 *
 * Life: the first reconcile as leader raises the term in the fence record and builds the core; losing the
 * leadership, or the fence record to somebody else, drops the core and hangs up, and leaves everything else
 * alone.
 *
 * Thread: whoever has its key from the work queue; system_event and system_lost_pod: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "operator_control/control.h"

struct caches;
struct clock;
struct err;
struct kube_client;
struct kube_recorder;
struct kube_workqueue;
struct pod;
struct rpc_loop;
struct status_pool;
struct system;

/* How long units were without a place, by the rule that brought them back. */
enum failover_rule { FAILOVER_PROOF, FAILOVER_ASSERTION, FAILOVER_RULES };
extern const char *const failover_rule_names[FAILOVER_RULES];

/* What all systems share; lives longer than each. */
struct system_context {
    struct kube_client *client;
    struct clock *clock;
    struct caches *caches;
    struct kube_workqueue *queue;
    struct status_pool *statuses;
    struct rpc_loop *loop;          /* "control": Control streams of all systems */
    struct control_gate *gate;      /* until when this process leads (R9) */
    struct kube_recorder *recorder; /* may be NULL */
    const char *software;           /* "histrio/0.1.0" */
    /* A number that is another one with each time that this process becomes leader; 0: it is not. */
    uint64_t (*leadership)(void *ctx);
    uint64_t (*required)(void *ctx); /* a leader acts on nothing that is older than this version */
    void (*failover)(void *ctx, enum failover_rule rule, int64_t duration_ms);
    void *ctx;
};

/* For metrics. */
struct system_numbers {
    uint32_t units_desired, units_running;
    uint32_t nodes_desired, nodes_ready;
    uint64_t actors, restarts, mailbox_depth, quarantined;
    bool is_ready;
    bool is_active; /* this process leads and has taken it over */
};

struct system *system_new(const struct system_context *context, const char *key);
/* Drops everything; no event comes afterwards. NULL is fine. */
void system_free(struct system *system);
const char *system_key(const struct system *system);

enum system_outcome {
    SYSTEM_DONE,
    SYSTEM_GONE, /* there is no such object any more: free it */
};

/* *ret_wake_ms: reconcile again after so long, even without news; -1: not needed. -1 with *err: something did
 * not work, and is to be tried again. */
int system_reconcile(
    struct system *system, enum system_outcome *ret_outcome, int64_t *ret_wake_ms, struct err *err);

/* Of the last reconcile. The worker's thread. */
void system_numbers(const struct system *system, struct system_numbers *ret_numbers);

/* Any thread; the caller adds the key. */
void system_lost_pod(struct system *system, struct pod *pod);
