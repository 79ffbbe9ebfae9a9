/* controllers/manager_private.h: what the files of manager*.c share. */
#pragma once

#include <stdatomic.h>

#include "base/map.h"
#include "base/mutex.h"
#include "base/vec.h"
#include "controllers/caches.h"
#include "controllers/manager.h"
#include "controllers/system.h"
#include "operator_control/control.h"

struct httpd;
struct kube_lease;
struct kube_recorder;
struct metric;
struct metrics;
struct rpc_timer;
struct status_pool;
struct thread;

/* One system in the table. system belongs to whoever works on its key; the rest is guarded. */
struct system_entry {
    struct system *system;
    struct system_numbers numbers;
};

struct manager_metrics {
    struct metrics *registry;
    struct metric *requests, *request_seconds, *request_retries;
    struct metric *reconciles, *reconcile_seconds;
    struct metric *failover_seconds;
    struct metric *queue_depth, *queue_adds, *queue_retries, *queue_wait_seconds, *queue_work_seconds,
        *queue_longest_seconds;
    struct metric *leader, *cached, *systems, *units, *nodes, *actors, *restarts, *mailbox, *quarantined;
    struct metric *events, *memory;
};

struct manager {
    struct clock *clock;
    char *namespace;
    char *software;
    char *user_agent;
    struct kube_client *client;
    struct kube_client *lease_client; /* its own: a slow list must not cost the Lease */
    struct kube_workqueue *queue;
    struct caches *_Atomic caches; /* set once, after its callbacks may have come */
    struct rpc_loop *loop;
    struct rpc_timer *gate_timer; /* of the loop's thread */
    struct control_gate gate;
    struct kube_lease *_Atomic lease; /* the same as caches */
    struct kube_recorder *recorder;
    struct status_pool *statuses;
    struct httpd *httpd;
    struct system_context context;
    VEC(struct thread *) workers;

    /* Relaxed, but for leadership: it is set (release) after required, and read (acquire) before. */
    atomic_ullong acquisitions; /* counts how often we were elected */
    atomic_ullong leadership;   /* the last one, when the work may begin; 0: not leader */
    atomic_ullong known;        /* resourceVersion that the former leader had seen */
    atomic_ullong required;     /* nothing older than that may be acted on */

    struct mutex lock;                    /* "systems" */
    struct map systems GUARDED_BY(&lock); /* key -> struct system_entry * */

    struct manager_metrics metrics;
};

/* ---- manager_work.c ---- */

/* The key whose work is to begin a leadership. No system has it. */
#define MANAGER_PROMOTE_KEY "/"

void manager_work(void *ctx); /* a worker's thread */
uint64_t manager_leadership(void *ctx);
uint64_t manager_required(void *ctx);
void manager_add_all(struct manager *manager, int priority);
bool manager_is_synced(const struct manager *manager);

/* ---- manager_metrics.c ---- */

struct kube_attempt;
void manager_metrics_init(struct manager *manager);
void manager_on_attempt(const struct kube_attempt *attempt, void *ctx);
void manager_on_failover(void *ctx, enum failover_rule rule, int64_t duration_ms);
struct httpd_call;
void manager_on_http(struct httpd_call *call, void *ctx);
