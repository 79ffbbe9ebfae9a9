#include "node/hosting.h"

#include "base/metrics.h"
#include "host/host.h"
#include "node/environment.h"
#include "node_control/loader.h"

#include <stddef.h>
#include <stdlib.h>

int hosting_start(struct hosting *hosting, const struct environment *environment, unsigned long long node_uid,
    struct err *err)
{
    struct host_config config = {
        .system = environment->system, .node = environment->node_name, .node_uid = node_uid, .script_fd = -1};
    return host_new(&config, &hosting->host, err);
}

void hosting_configure(void *ctx, const struct loader_python *python, const struct loader_workers *c_workers)
{
    const struct hosting *hosting = ctx;
    struct host_limits limits = {0};
    struct host_app app = {.interpreter = getenv("HISTRIO_PYTHON")};
    if (python) {
        app.paths = (const char *const *)python->paths.items;
        app.path_count = python->paths.count;
        app.preload = (const char *const *)python->preload.items;
        app.preload_count = python->preload.count;
        app.workers = python->workers;
        app.handler_timeout_ms = python->handler_timeout_ms;
        app.memory_bytes_max = python->memory_bytes_max;
    }
    if (c_workers) {
        limits = (struct host_limits){
            c_workers->count, c_workers->handler_timeout_ms, c_workers->memory_bytes_max};
        app.c = &limits;
    }
    host_configure(hosting->host, &app);
}

void hosting_make_metrics(void *ctx, struct metrics *metrics)
{
    static const char *const counters[][2] = {
        {"histrio_node_processes_started_total", "Worker processes that were started."},
        {"histrio_node_processes_lost_total", "Worker processes that ended without being told to."},
        {"histrio_node_deliveries_total", "Messages and signals that were handed to worker processes."},
    };
    static const char *const gauges[][2] = {
        {"histrio_node_hosted_actors", "Actors that run in worker processes."},
        {"histrio_node_processes", "Worker processes."},
        {"histrio_node_deliveries_open", "Deliveries that worker processes have not ended."},
        {"histrio_node_process_buffer_bytes", "Bytes that worker processes have not taken yet."},
        {"histrio_node_large_data_bytes", "Large data of messages that the node holds, in memory files."},
        {"histrio_node_large_data_files", "Messages with large data that the node holds."},
    };
    enum { COUNTERS = sizeof(counters) / sizeof(counters[0]), GAUGES = sizeof(gauges) / sizeof(gauges[0]) };
    _Static_assert(COUNTERS + GAUGES == HOSTING_METRICS, "one each");
    struct hosting *own = ctx;
    for (size_t i = 0; i < COUNTERS; i++)
        own->metrics[i] = metrics_counter(metrics, counters[i][0], counters[i][1], NULL);
    for (size_t i = 0; i < GAUGES; i++)
        own->metrics[COUNTERS + i] = metrics_gauge(metrics, gauges[i][0], gauges[i][1], NULL);
}

void hosting_collect(void *ctx)
{
    const struct hosting *own = ctx;
    struct host_counters now;
    host_counters(own->host, &now);
    const double values[HOSTING_METRICS] = {(double)now.processes_started, (double)now.processes_lost,
        (double)now.deliveries, now.actors, now.processes, now.deliveries_open, (double)now.buffered_bytes,
        (double)now.shared_bytes, now.shared_files};
    for (size_t i = 0; i < HOSTING_METRICS; i++)
        metric_set(own->metrics[i], values[i]);
}
