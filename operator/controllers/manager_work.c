#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/str.h"
#include "controllers/manager_private.h"
#include "kube/client.h"
#include "kube/list.h"
#include "kube/meta.h"
#include "kube/path.h"
#include "kube/resource.h"
#include "kube/verbs.h"
#include "kube/workqueue.h"

enum { WAIT_MS = 50 };

uint64_t manager_leadership(void *ctx)
{
    struct manager *manager = ctx;
    return atomic_load_explicit(&manager->leadership, memory_order_acquire); /* pairs with promote() */
}

uint64_t manager_required(void *ctx)
{
    struct manager *manager = ctx;
    return atomic_load(&manager->required);
}

bool manager_is_synced(const struct manager *manager)
{
    struct caches *caches = atomic_load(&manager->caches);
    return caches && caches_has_synced(caches);
}

struct add_all {
    struct kube_workqueue *queue;
    int priority;
};

static void add_one(void *ctx, const char *key)
{
    struct add_all *all = ctx;
    kube_workqueue_add(all->queue, key, all->priority);
}

void manager_add_all(struct manager *manager, int priority)
{
    struct add_all all = {manager->queue, priority};
    struct caches *caches = atomic_load(&manager->caches);
    if (caches)
        caches_each_system(caches, add_one, &all);
}

/* ---- promotion ---- */

/* The version of the present moment, from a read that cannot be stale. */
static int newest_version(struct manager *manager, uint64_t *ret_version, struct err *err)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    _cleanup_(json_freep) struct json *list = NULL;
    struct kube_list_request request = {
        .resource = &KUBE_PODS, .namespace = manager->namespace, .page_count_max = 1};
    if (kube_list_path(&request, NULL, &path, err) < 0 ||
        kube_get_path(manager->client, str_text(&path), &list, NULL, err) < 0)
        return -1;
    *ret_version = kube_meta_resource_version_number(list);
    return 0;
}

/* A leader acts on nothing that is older than its own election: what the former one did until then is seen by
 * every read after it. Systems are asked for once more, Pods by each system as it begins: all of them at once
 * would hold up the first. False: not yet. */
static bool promote(struct manager *manager)
{
    uint64_t version = 0;
    struct err err = {0};
    unsigned long long acquisition = atomic_load(&manager->acquisitions);
    if (!acquisition || !manager_is_synced(manager) || !control_gate_is_open(&manager->gate))
        return !acquisition;
    if (newest_version(manager, &version, &err) < 0) {
        log_event(LOG_WARNING, "leadership waits", "error", err.text, NULL);
        return false;
    }
    uint64_t known = atomic_load(&manager->known);
    version = version > known ? version : known;
    caches_require_systems(atomic_load(&manager->caches), version);
    atomic_store(&manager->required, version);
    atomic_store_explicit(&manager->leadership, acquisition, memory_order_release);
    if (atomic_load(&manager->acquisitions) != acquisition) /* lost meanwhile */
        atomic_store(&manager->leadership, 0);
    log_event(LOG_INFO, "leading", NULL);
    manager_add_all(manager, KUBE_PRIORITY_LOW);
    return true;
}

/* ---- systems ---- */

static struct system_entry *find_or_add(struct manager *manager, const char *key)
{
    mutex_lock(&manager->lock);
    struct system_entry *entry = map_get(&manager->systems, key);
    mutex_unlock(&manager->lock);
    if (entry)
        return entry;
    entry = xcalloc(1, sizeof(*entry)); /* nobody else adds it: the key is ours */
    entry->system = system_new(&manager->context, key);
    mutex_lock(&manager->lock);
    (void)map_put(&manager->systems, key, entry);
    mutex_unlock(&manager->lock);
    return entry;
}

static void remove_entry(struct manager *manager, struct system_entry *entry)
{
    mutex_lock(&manager->lock);
    (void)map_remove(&manager->systems, system_key(entry->system)); /* it is entry */
    mutex_unlock(&manager->lock);
    system_free(entry->system);
    free(entry);
}

static void note_numbers(struct manager *manager, struct system_entry *entry)
{
    struct system_numbers numbers;
    system_numbers(entry->system, &numbers);
    mutex_lock(&manager->lock);
    entry->numbers = numbers;
    mutex_unlock(&manager->lock);
}

static bool is_fresh(const struct manager *manager)
{
    return caches_systems_version(atomic_load(&manager->caches)) >= atomic_load(&manager->required);
}

static void reconcile(struct manager *manager, const char *key)
{
    enum system_outcome outcome = SYSTEM_DONE;
    int64_t wake_ms = -1;
    struct err err = {0};
    if (!manager_is_synced(manager))
        return; /* promote() adds all */
    if (manager_leadership(manager) && !is_fresh(manager)) {
        kube_workqueue_add_after(manager->queue, key, WAIT_MS, KUBE_PRIORITY_NORMAL);
        return;
    }
    int64_t began_ns = clock_now_ns(manager->clock);
    struct system_entry *entry = find_or_add(manager, key);
    int failed = system_reconcile(entry->system, &outcome, &wake_ms, &err);
    metric_observe(manager->metrics.reconcile_seconds,
        (double)(clock_now_ns(manager->clock) - began_ns) / (double)NS_PER_S);
    metric_add(manager->metrics.reconciles, 1, failed ? "error" : "success");
    if (outcome == SYSTEM_GONE)
        remove_entry(manager, entry);
    else
        note_numbers(manager, entry);
    if (failed) {
        log_event(LOG_WARNING, "reconcile failed", "system", key, "error", err.text, NULL);
        kube_workqueue_retry(manager->queue, key, KUBE_PRIORITY_NORMAL);
    } else {
        kube_workqueue_forget(manager->queue, key);
    }
    if (wake_ms >= 0) /* also after a failure: what is due does not wait for its retry */
        kube_workqueue_add_after(manager->queue, key, wake_ms, KUBE_PRIORITY_NORMAL);
}

void manager_work(void *ctx)
{
    struct manager *manager = ctx;
    char *key;
    /* Ends when the queue is shut down. */
    while (kube_workqueue_get(manager->queue, &key, NULL)) {
        if (!text_equal(key, MANAGER_PROMOTE_KEY))
            reconcile(manager, key);
        else if (!promote(manager))
            kube_workqueue_add_after(manager->queue, key, WAIT_MS, KUBE_PRIORITY_NORMAL);
        kube_workqueue_done(manager->queue, key);
        free(key);
    }
}
