#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/httpd.h"
#include "base/metrics.h"
#include "base/str.h"
#include "controllers/manager_private.h"
#include "kube/client.h"
#include "kube/event.h"
#include "kube/lease.h"
#include "kube/workqueue.h"

enum { METRICS_BYTES_MAX = 16 * 1024 * 1024 };

static const double request_bounds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30};
static const double reconcile_bounds[] = {0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30};
static const double failover_bounds[] = {0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120};

#define BOUNDS(array) (array), sizeof(array) / sizeof((array)[0])

/* Sums over all systems. */
struct totals {
    size_t systems, ready, active;
    uint64_t units_desired, units_running, nodes_desired, nodes_ready;
    uint64_t actors, restarts, mailbox, quarantined;
};

static struct totals count_systems(struct manager *manager)
{
    struct totals totals = {0};
    mutex_lock(&manager->lock);
    map_for_each (item, &manager->systems) {
        const struct system_numbers *numbers = &((struct system_entry *)item.value)->numbers;
        totals.systems++;
        totals.ready += numbers->is_ready;
        totals.active += numbers->is_active;
        totals.units_desired += numbers->units_desired;
        totals.units_running += numbers->units_running;
        totals.nodes_desired += numbers->nodes_desired;
        totals.nodes_ready += numbers->nodes_ready;
        totals.actors += numbers->actors;
        totals.restarts += numbers->restarts;
        totals.mailbox += numbers->mailbox_depth;
        totals.quarantined += numbers->quarantined;
    }
    mutex_unlock(&manager->lock);
    return totals;
}

/* Bytes of memory that are in use; 0: the system does not say. */
static double resident_bytes(void)
{
    _cleanup_(str_done) struct str text = STR_INIT(4096);
    char *rest = NULL;
    if (file_read("/proc/self/statm", 4096, &text, NULL) < 0)
        return 0;
    (void)strtoull(str_text(&text), &rest, 10); /* the first number is the size of the address space */
    return (double)strtoull(rest, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static void collect_queue(struct manager *manager)
{
    struct manager_metrics *metrics = &manager->metrics;
    struct kube_workqueue_stats stats;
    kube_workqueue_stats(manager->queue, &stats);
    metric_set(metrics->queue_depth, (double)stats.ready, "ready");
    metric_set(metrics->queue_depth, (double)stats.delayed, "delayed");
    metric_set(metrics->queue_depth, (double)stats.working, "working");
    metric_set(metrics->queue_adds, (double)stats.adds);
    metric_set(metrics->queue_retries, (double)stats.retries);
    metric_set(metrics->queue_wait_seconds, (double)stats.latency_ms_sum / MS_PER_S);
    metric_set(metrics->queue_work_seconds, (double)stats.work_ms_sum / MS_PER_S);
    metric_set(metrics->queue_longest_seconds, (double)stats.oldest_work_ms / MS_PER_S);
}

static void collect_cached(struct manager *manager)
{
    struct caches *caches = atomic_load(&manager->caches);
    size_t systems = 0, pods = 0, kube_nodes = 0;
    if (caches)
        caches_count(caches, &systems, &pods, &kube_nodes);
    metric_set(manager->metrics.cached, (double)systems, "actorsystems");
    metric_set(manager->metrics.cached, (double)pods, "pods");
    metric_set(manager->metrics.cached, (double)kube_nodes, "nodes");
}

static void collect(void *ctx)
{
    struct manager *manager = ctx;
    struct manager_metrics *metrics = &manager->metrics;
    struct totals totals = count_systems(manager);
    metric_set(metrics->leader, manager_leadership(manager) != 0);
    metric_set(metrics->systems, (double)totals.systems, "known");
    metric_set(metrics->systems, (double)totals.ready, "ready");
    metric_set(metrics->systems, (double)totals.active, "active");
    metric_set(metrics->units, (double)totals.units_desired, "desired");
    metric_set(metrics->units, (double)totals.units_running, "running");
    metric_set(metrics->nodes, (double)totals.nodes_desired, "desired");
    metric_set(metrics->nodes, (double)totals.nodes_ready, "ready");
    metric_set(metrics->actors, (double)totals.actors);
    metric_set(metrics->restarts, (double)totals.restarts);
    metric_set(metrics->mailbox, (double)totals.mailbox);
    metric_set(metrics->quarantined, (double)totals.quarantined);
    metric_set(metrics->memory, resident_bytes());
    collect_queue(manager);
    collect_cached(manager);
    if (manager->recorder) {
        struct kube_recorder_stats stats;
        kube_recorder_stats(manager->recorder, &stats);
        metric_set(metrics->events, (double)stats.written, "written");
        metric_set(metrics->events, (double)stats.suppressed, "suppressed");
        metric_set(metrics->events, (double)stats.dropped, "dropped");
    }
}

static void make_client_metrics(struct manager_metrics *metrics, struct metrics *registry)
{
    metrics->requests = metrics_counter(registry, "rest_client_requests_total",
        "Requests to the API server by method and code (0: no answer).", "method", "code", NULL);
    metrics->request_seconds = metrics_histogram(registry, "rest_client_request_duration_seconds",
        "How long requests to the API server took.", BOUNDS(request_bounds), "method", NULL);
    metrics->request_retries = metrics_counter(
        registry, "rest_client_request_retries_total", "Requests that were tried again.", "method", NULL);
    metrics->queue_depth = metrics_gauge(registry, "workqueue_depth",
        "Systems that wait for a worker, for their time, or are worked on.", "state", NULL);
    metrics->queue_adds = metrics_counter(registry, "workqueue_adds_total", "Additions to the queue.", NULL);
    metrics->queue_retries =
        metrics_counter(registry, "workqueue_retries_total", "Additions after a failure.", NULL);
    metrics->queue_wait_seconds = metrics_counter(
        registry, "workqueue_queue_duration_seconds_sum", "How long systems waited for a worker.", NULL);
    metrics->queue_work_seconds =
        metrics_counter(registry, "workqueue_work_duration_seconds_sum", "How long work took.", NULL);
    metrics->queue_longest_seconds = metrics_gauge(registry, "workqueue_longest_running_processor_seconds",
        "How long the longest work has been going on.", NULL);
    metrics->reconciles = metrics_counter(
        registry, "histrio_reconcile_total", "Reconciles of systems by result.", "result", NULL);
    metrics->reconcile_seconds = metrics_histogram(registry, "histrio_reconcile_duration_seconds",
        "How long a reconcile took.", BOUNDS(reconcile_bounds), NULL);
}

void manager_metrics_init(struct manager *manager)
{
    struct manager_metrics *metrics = &manager->metrics;
    struct metrics *registry = metrics->registry = metrics_new();
    make_client_metrics(metrics, registry);
    metrics->failover_seconds = metrics_histogram(registry, "histrio_failover_duration_seconds",
        "From the loss of a node to all units running again, by the rule that applied.",
        BOUNDS(failover_bounds), "rule", NULL);
    metrics->leader = metrics_gauge(registry, "histrio_operator_leader", "1 when this replica leads.", NULL);
    metrics->cached =
        metrics_gauge(registry, "histrio_cached_objects", "Objects in memory by resource.", "resource", NULL);
    metrics->systems =
        metrics_gauge(registry, "histrio_systems", "Systems: known, taken over, ready.", "state", NULL);
    metrics->units = metrics_gauge(registry, "histrio_units", "Units of all systems.", "state", NULL);
    metrics->nodes = metrics_gauge(registry, "histrio_nodes", "Nodes of all systems.", "state", NULL);
    metrics->actors = metrics_gauge(registry, "histrio_actors", "Running actors of all systems.", NULL);
    metrics->restarts = metrics_gauge(registry, "histrio_restarts",
        "Restarts of actors, units and runtimes since this replica took their system over.", NULL);
    metrics->mailbox = metrics_gauge(registry, "histrio_mailbox_depth", "Messages that wait.", NULL);
    metrics->quarantined =
        metrics_gauge(registry, "histrio_quarantined_units", "Units that are in quarantine.", NULL);
    metrics->events =
        metrics_counter(registry, "histrio_events_total", "Kubernetes Events by outcome.", "outcome", NULL);
    metrics->memory =
        metrics_gauge(registry, "process_resident_memory_bytes", "Memory that is in use.", NULL);
    metrics_on_write(registry, collect, manager);
}

void manager_on_attempt(const struct kube_attempt *attempt, void *ctx)
{
    struct manager *manager = ctx;
    char code[16];
    (void)snprintf(code, sizeof(code), "%d", attempt->code); /* fits */
    metric_add(manager->metrics.requests, 1, attempt->method, code);
    metric_observe(
        manager->metrics.request_seconds, (double)attempt->duration_ms / MS_PER_S, attempt->method);
    if (attempt->will_retry)
        metric_add(manager->metrics.request_retries, 1, attempt->method);
}

void manager_on_failover(void *ctx, enum failover_rule rule, int64_t duration_ms)
{
    struct manager *manager = ctx;
    metric_observe(
        manager->metrics.failover_seconds, (double)duration_ms / MS_PER_S, failover_rule_names[rule]);
}

static void answer_text(struct httpd_call *call, unsigned code, const char *text)
{
    httpd_call_answer(call, code, "text/plain; charset=utf-8", text, strlen(text));
}

void manager_on_http(struct httpd_call *call, void *ctx)
{
    struct manager *manager = ctx;
    const char *path = httpd_call_path(call);
    if (!text_equal(httpd_call_method(call), "GET")) {
        httpd_call_refuse(call, 405, "only GET is answered here");
    } else if (text_equal(path, "/healthz")) {
        answer_text(call, 200, "ok\n");
    } else if (text_equal(path, "/readyz")) {
        bool is_ready = manager_is_synced(manager);
        answer_text(call, is_ready ? 200 : 503, is_ready ? "ok\n" : "the caches are not filled yet\n");
    } else if (text_equal(path, "/metrics")) {
        _cleanup_(str_done) struct str text = STR_INIT(METRICS_BYTES_MAX);
        metrics_write(manager->metrics.registry, &text);
        httpd_call_answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", str_text(&text), text.size);
    } else {
        httpd_call_refuse(call, 404, "no \"%s\" here: /healthz, /readyz, /metrics", path);
    }
}
