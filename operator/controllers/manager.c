#include "controllers/manager.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "api/pod.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/httpd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "controllers/manager_private.h"
#include "controllers/status_pool.h"
#include "kube/client.h"
#include "kube/event.h"
#include "kube/lease.h"
#include "kube/workqueue.h"
#include "rpc/loop.h"

enum {
    SYSTEMS_RANK = 110,
    GATE_INTERVAL_MS = 200,
    STATUS_THREADS = 2,
    RETRY_MAX_MS = 30000,
    REQUEST_TIMEOUT_MS = 10000, /* a worker that waits longer holds other systems up */
};

#define VERSION_ANNOTATION "histrio.dev/resource-version"
#define CONTROLLER "histrio.dev/operator"

/* ---- caches, on the thread kube ---- */

static void on_system(void *ctx, const char *key, bool is_initial)
{
    struct manager *manager = ctx;
    kube_workqueue_add(manager->queue, key, is_initial ? KUBE_PRIORITY_LOW : KUBE_PRIORITY_NORMAL);
}

static void on_pod(void *ctx, const char *key, struct pod *lost_pod)
{
    struct manager *manager = ctx;
    mutex_lock(&manager->lock);
    struct system_entry *entry = map_get(&manager->systems, key);
    if (entry && lost_pod)
        system_lost_pod(entry->system, lost_pod);
    mutex_unlock(&manager->lock);
    if (entry)
        kube_workqueue_add(manager->queue, key, KUBE_PRIORITY_NORMAL);
}

static void on_cache_problem(void *ctx, const char *resource, const struct err *problem)
{
    (void)ctx;
    if (problem)
        log_event(LOG_WARNING, "watch has a problem", "resource", resource, "error", problem->text, NULL);
    else
        log_event(LOG_INFO, "watch follows again", "resource", resource, NULL);
}

/* ---- election, on the thread lease ---- */

static void on_started(void *ctx, uint64_t known_version)
{
    struct manager *manager = ctx;
    struct kube_lease *lease = atomic_load(&manager->lease);
    if (lease) /* else its timer does it */
        control_gate_set(&manager->gate, kube_lease_held_until_ms(lease));
    atomic_store(&manager->known, known_version);
    (void)atomic_fetch_add(&manager->acquisitions, 1); /* the next one reads it */
    kube_workqueue_add(manager->queue, MANAGER_PROMOTE_KEY, KUBE_PRIORITY_NORMAL);
}

static void on_stopped(void *ctx, const char *why)
{
    struct manager *manager = ctx;
    control_gate_set(&manager->gate, 0);
    (void)atomic_fetch_add(&manager->acquisitions, 1); /* what promote() is about is over */
    atomic_store_explicit(&manager->leadership, 0, memory_order_release);
    log_event(LOG_WARNING, "not leading any more", "reason", why, NULL);
    manager_add_all(manager, KUBE_PRIORITY_NORMAL);
}

static void on_leader(void *ctx, const char *identity)
{
    (void)ctx;
    log_event(LOG_INFO, "leader is", "identity", identity, NULL);
}

static void on_lease_problem(void *ctx, const struct err *problem)
{
    (void)ctx;
    log_event(problem ? LOG_WARNING : LOG_INFO, "lease", "error", problem ? problem->text : "over", NULL);
}

static uint64_t seen_version(void *ctx)
{
    struct manager *manager = ctx;
    struct caches *caches = atomic_load(&manager->caches);
    return caches ? caches_version(caches) : 0;
}

/* On the loop's thread: R9's deadline follows the Lease, always a little behind. */
static void follow_lease(void *ctx)
{
    struct manager *manager = ctx;
    struct kube_lease *lease = atomic_load(&manager->lease);
    if (lease)
        control_gate_set(&manager->gate, kube_lease_held_until_ms(lease));
    rpc_timer_set(manager->gate_timer, GATE_INTERVAL_MS);
}

static void start_timer(void *ctx)
{
    struct manager *manager = ctx;
    manager->gate_timer = rpc_timer_new(manager->loop, follow_lease, manager);
    follow_lease(manager);
}

static void stop_timer(void *ctx)
{
    struct manager *manager = ctx;
    rpc_timer_free(manager->gate_timer);
    manager->gate_timer = NULL;
}

static void on_event_problem(void *ctx, const struct err *problem)
{
    (void)ctx;
    if (problem)
        log_event(LOG_WARNING, "events are not written", "error", problem->text, NULL);
}

static void on_warning(const char *text, void *ctx)
{
    (void)ctx;
    log_event(LOG_WARNING, "warning of the API server", "text", text, NULL);
}

/* ---- life ---- */

static char *make_user_agent(const char *version)
{
    struct utsname name = {0};
    (void)uname(&name); /* cannot fail with a valid buffer */
    return xasprintf("histrio-operator/%s (linux/%s) kubernetes/client", version, name.machine);
}

static int start_clients(struct manager *manager, const struct manager_config *config, struct err *err)
{
    struct kube_client_config client = {.config = config->kube,
        .thread_name = "kube",
        .user_agent = manager->user_agent,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .on_warning = on_warning,
        .on_attempt = manager_on_attempt,
        .ctx = manager};
    struct kube_client_config lease = client;
    lease.thread_name = "kube lease";
    if (kube_client_new(&client, &manager->client, err) < 0)
        return -1;
    return config->elects ? kube_client_new(&lease, &manager->lease_client, err) : 0;
}

static int start_caches(struct manager *manager, struct err *err)
{
    struct caches_config config = {.client = manager->client,
        .clock = manager->clock,
        .namespace = manager->namespace,
        .listener = {
            .system_changed = on_system, .pod_changed = on_pod, .problem = on_cache_problem, .ctx = manager}};
    struct caches *caches = NULL;
    if (caches_new(&config, &caches, err) < 0)
        return -1;
    atomic_store(&manager->caches, caches);
    manager->context.caches = caches;
    return 0;
}

static int start_workers(struct manager *manager, unsigned count, struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct thread *thread = NULL;
        char name[32];
        (void)snprintf(name, sizeof(name), "reconcile-%u", i); /* cut when there are very many */
        if (thread_start(&thread, name, manager_work, manager, err) < 0)
            return -1;
        vec_push(&manager->workers, thread);
    }
    return 0;
}

static int start_election(struct manager *manager, const struct manager_config *config, struct err *err)
{
    struct kube_lease_config lease_config = {.namespace = config->lease_namespace,
        .name = config->lease_name,
        .identity = config->identity,
        .version_annotation = VERSION_ANNOTATION,
        .version = seen_version,
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_problem = on_lease_problem,
        .ctx = manager};
    struct kube_lease *lease = NULL;
    if (!config->elects) {
        control_gate_set(&manager->gate, INT64_MAX);
        on_started(manager, 0);
        return 0;
    }
    if (kube_lease_start(manager->lease_client, manager->clock, &lease_config, &lease, err) < 0)
        return -1;
    atomic_store(&manager->lease, lease);
    return 0;
}

static int start(struct manager *manager, const struct manager_config *config, struct err *err)
{
    struct kube_recorder_config recorder = {
        .controller = CONTROLLER, .instance = config->instance, .on_problem = on_event_problem};
    struct httpd_config http = {.address = config->http_address, .handle = manager_on_http, .ctx = manager};
    if (start_clients(manager, config, err) < 0 || rpc_loop_new("control", &manager->loop, err) < 0 ||
        kube_recorder_start(manager->client, manager->clock, &recorder, &manager->recorder, err) < 0 ||
        status_pool_new(STATUS_THREADS, manager->queue, &manager->statuses, err) < 0)
        return -1;
    manager->context = (struct system_context){.client = manager->client,
        .clock = manager->clock,
        .queue = manager->queue,
        .statuses = manager->statuses,
        .loop = manager->loop,
        .gate = &manager->gate,
        .recorder = manager->recorder,
        .software = manager->software,
        .leadership = manager_leadership,
        .required = manager_required,
        .failover = manager_on_failover,
        .ctx = manager};
    if ((config->http_address && httpd_new(&http, &manager->httpd, err) < 0) ||
        start_caches(manager, err) < 0 || start_workers(manager, config->workers, err) < 0 ||
        start_election(manager, config, err) < 0)
        return -1;
    rpc_loop_call(manager->loop, start_timer, manager);
    return 0;
}

int manager_new(const struct manager_config *config, struct manager **ret_manager, struct err *err)
{
    struct manager *manager = xcalloc(1, sizeof(*manager));
    struct kube_workqueue_config queue = {.retry_max_ms = RETRY_MAX_MS};
    manager->clock = clock_system();
    manager->namespace = config->namespace ? xstrdup(config->namespace) : NULL;
    manager->software = xasprintf("histrio/%s", config->version);
    manager->user_agent = make_user_agent(config->version);
    manager->queue = kube_workqueue_new(manager->clock, &queue);
    mutex_init(&manager->lock, SYSTEMS_RANK, "systems");
    manager_metrics_init(manager);
    if (start(manager, config, err) < 0) {
        manager_free(manager);
        return -1;
    }
    *ret_manager = manager;
    return 0;
}

const char *manager_http_address(const struct manager *manager)
{
    return manager->httpd ? httpd_address(manager->httpd) : NULL;
}

static NO_THREAD_SAFETY_ANALYSIS void free_systems(struct manager *manager)
{
    map_for_each (item, &manager->systems) {
        struct system_entry *entry = item.value;
        system_free(entry->system);
        free(entry);
    }
    map_done(&manager->systems, NULL);
}

/* Workers first, then what wakes them, then what they used. */
void manager_free(struct manager *manager)
{
    if (!manager)
        return;
    kube_workqueue_drain(manager->queue);
    vec_for_each (thread, &manager->workers)
        thread_join(*thread);
    vec_done(&manager->workers);
    if (manager->gate_timer)
        rpc_loop_call(manager->loop, stop_timer, manager);
    kube_lease_free(atomic_load(&manager->lease));
    httpd_free(manager->httpd);
    caches_free(atomic_load(&manager->caches));
    free_systems(manager);
    status_pool_free(manager->statuses);
    rpc_loop_free(manager->loop);
    kube_recorder_free(manager->recorder);
    kube_client_free(manager->lease_client);
    kube_client_free(manager->client);
    kube_workqueue_free(manager->queue);
    metrics_free(manager->metrics.registry);
    mutex_done(&manager->lock);
    free(manager->namespace);
    free(manager->software);
    free(manager->user_agent);
    free(manager);
}
