#include "controllers/caches.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/kube_node.h"
#include "api/names.h"
#include "api/pod.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"
#include "kube/list.h"
#include "kube/resource.h"

#define OUR_PODS API_LABEL_MANAGED_BY "=" API_MANAGER
#define PODS_BY_SYSTEM "system"
#define PODS_BY_KUBE_NODE "kubeNode"

struct caches {
    struct kube_client *client;
    struct caches_listener listener;
    char *namespace;
    struct kube_informer *systems;
    struct kube_informer *pods;
    struct kube_informer *kube_nodes; /* NULL: one namespace only */
};

/* ---- projections ---- */

static void system_release(struct kube_object *object)
{
    struct cached_system *system = (struct cached_system *)object;
    if (system->object)
        actor_system_object_release(&system->object->head);
    json_free(system->conditions);
    free(system);
}

static struct kube_object *system_decode(const struct json *json, void *ctx, struct err *err)
{
    struct kube_object *object = actor_system_object_decode(json, ctx, err);
    if (!object)
        return NULL;
    struct cached_system *system = xcalloc(1, sizeof(*system));
    const struct json *conditions = json_get(json_get(json, "status"), "conditions");
    system->object = (struct actor_system_object *)object;
    system->conditions = json_type(conditions) == JSON_ARRAY ? json_dup(conditions) : NULL;
    return &system->head;
}

static void pod_key(const struct pod *pod, char *buffer)
{
    (void)kube_key_format(pod->head.namespace, pod->system, buffer); /* returns buffer */
}

static void pod_system_keys(
    const struct kube_object *object, void (*add)(void *add_ctx, const char *key), void *add_ctx)
{
    char key[CACHES_KEY_BYTES];
    pod_key((const struct pod *)object, key);
    add(add_ctx, key);
}

static void pod_kube_node_keys(
    const struct kube_object *object, void (*add)(void *add_ctx, const char *key), void *add_ctx)
{
    const struct pod *pod = (const struct pod *)object;
    if (pod->kube_node[0])
        add(add_ctx, pod->kube_node);
}

static const struct kube_index pod_indexes[] = {
    {PODS_BY_SYSTEM, pod_system_keys},
    {PODS_BY_KUBE_NODE, pod_kube_node_keys},
};

/* ---- changes, on the client's thread ---- */

static void on_system(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct caches *caches = ctx;
    char key[CACHES_KEY_BYTES];
    (void)kube_object_key(new_object ? new_object : old_object, key); /* returns key */
    caches->listener.system_changed(caches->listener.ctx, key, is_initial);
}

static void on_pod(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct caches *caches = ctx;
    char key[CACHES_KEY_BYTES];
    const struct pod *pod = (const struct pod *)(new_object ? new_object : old_object);
    bool is_lost = !new_object || (old_object && !text_equal(old_object->uid, new_object->uid));
    (void)is_initial; /* the system's own first look comes anyway */
    pod_key(pod, key);
    /* The cast drops const for the sake of counting references only. */
    caches->listener.pod_changed(
        caches->listener.ctx, key, is_lost ? (struct pod *)(uintptr_t)old_object : NULL);
}

/* What of a KubeNode a system acts on. */
static bool kube_nodes_differ(const struct kube_node *left, const struct kube_node *right)
{
    return !left || !right || !text_equal(left->head.uid, right->head.uid) ||
           !text_equal(left->zone, right->zone) || left->is_out_of_service != right->is_out_of_service ||
           left->is_ready != right->is_ready || left->labels.count != right->labels.count ||
           !label_list_covers(&left->labels, &right->labels);
}

static void on_kube_node(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    struct caches *caches = ctx;
    struct kube_objects pods = {0};
    if (is_initial ||
        !kube_nodes_differ((const struct kube_node *)old_object, (const struct kube_node *)new_object))
        return;
    kube_store_find(kube_informer_store(caches->pods), PODS_BY_KUBE_NODE,
        (new_object ? new_object : old_object)->name, &pods);
    vec_for_each (item, &pods.list) {
        char key[CACHES_KEY_BYTES];
        pod_key((const struct pod *)*item, key);
        caches->listener.pod_changed(caches->listener.ctx, key, NULL);
    }
    kube_objects_done(&pods);
}

static void on_systems_problem(void *ctx, const struct err *problem)
{
    struct caches *caches = ctx;
    caches->listener.problem(caches->listener.ctx, "actorsystems", problem);
}

static void on_pods_problem(void *ctx, const struct err *problem)
{
    struct caches *caches = ctx;
    caches->listener.problem(caches->listener.ctx, "pods", problem);
}

static void on_kube_nodes_problem(void *ctx, const struct err *problem)
{
    struct caches *caches = ctx;
    caches->listener.problem(caches->listener.ctx, "nodes", problem);
}

/* ---- life ---- */

/* Pods before KubeNodes, whose changes look pods up. */
static int start(struct caches *caches, const struct caches_config *config, struct err *err)
{
    struct kube_informer_config systems = {.resource = &API_ACTOR_SYSTEMS,
        .namespace = caches->namespace,
        .decode = system_decode,
        .release = system_release,
        .on_change = on_system,
        .on_problem = on_systems_problem,
        .ctx = caches};
    struct kube_informer_config pods = {.resource = &KUBE_PODS,
        .namespace = caches->namespace,
        .label_selector = OUR_PODS,
        .decode = pod_decode,
        .release = pod_release,
        .indexes = pod_indexes,
        .index_count = sizeof(pod_indexes) / sizeof(pod_indexes[0]),
        .on_change = on_pod,
        .on_problem = on_pods_problem,
        .ctx = caches};
    struct kube_informer_config kube_nodes = {.resource = &KUBE_NODES,
        .decode = kube_node_decode,
        .release = kube_node_release,
        .on_change = on_kube_node,
        .on_problem = on_kube_nodes_problem,
        .ctx = caches};
    if (kube_informer_start(config->client, config->clock, &systems, &caches->systems, err) < 0 ||
        kube_informer_start(config->client, config->clock, &pods, &caches->pods, err) < 0)
        return -1;
    return caches->namespace
               ? 0
               : kube_informer_start(config->client, config->clock, &kube_nodes, &caches->kube_nodes, err);
}

int caches_new(const struct caches_config *config, struct caches **ret_caches, struct err *err)
{
    struct caches *caches = xcalloc(1, sizeof(*caches));
    caches->client = config->client;
    caches->listener = config->listener;
    caches->namespace = config->namespace ? xstrdup(config->namespace) : NULL;
    if (start(caches, config, err) < 0) {
        caches_free(caches);
        return -1;
    }
    *ret_caches = caches;
    return 0;
}

void caches_free(struct caches *caches)
{
    if (!caches)
        return;
    kube_informer_free(caches->kube_nodes); /* its callbacks read the pods */
    kube_informer_free(caches->pods);
    kube_informer_free(caches->systems);
    free(caches->namespace);
    free(caches);
}

/* ---- reading ---- */

bool caches_has_synced(const struct caches *caches)
{
    return kube_informer_has_synced(caches->systems) && kube_informer_has_synced(caches->pods) &&
           (!caches->kube_nodes || kube_informer_has_synced(caches->kube_nodes));
}

uint64_t caches_systems_version(const struct caches *caches)
{
    return kube_informer_version(caches->systems);
}

uint64_t caches_pods_version(const struct caches *caches)
{
    return kube_informer_version(caches->pods);
}

uint64_t caches_version(const struct caches *caches)
{
    uint64_t systems = caches_systems_version(caches);
    uint64_t pods = caches_pods_version(caches);
    return systems < pods ? systems : pods;
}

void caches_require_systems(struct caches *caches, uint64_t version)
{
    kube_informer_require(caches->systems, version);
}

struct cached_system *caches_system(struct caches *caches, const char *key)
{
    return (struct cached_system *)kube_store_get_key(kube_informer_store(caches->systems), key);
}

void caches_pods(struct caches *caches, const char *key, struct kube_objects *ret_pods)
{
    kube_store_find(kube_informer_store(caches->pods), PODS_BY_SYSTEM, key, ret_pods);
}

static int add_listed(const struct json *json, void *ctx, struct err *err)
{
    struct kube_objects *pods = ctx;
    struct kube_object *object = NULL;
    if (kube_object_read(json, pod_decode, pod_release, NULL, &object, err) < 0)
        return -1;
    vec_push(&pods->list, object);
    return 0;
}

static void forget_listed(void *ctx)
{
    kube_objects_done(ctx);
}

int caches_list_pods(struct caches *caches, const char *key, uint64_t version, struct kube_objects *ret_pods,
    uint64_t *ret_version, struct err *err)
{
    static const struct kube_list_events events = {add_listed, forget_listed};
    const char *name = kube_key_name(key);
    _cleanup_(cleanup_free) char *namespace = xstrndup(key, (size_t)(name - key) - 1);
    _cleanup_(cleanup_free) char *selector = xasprintf(OUR_PODS "," API_LABEL_SYSTEM "=%s", name);
    struct kube_list_request request = {
        .resource = &KUBE_PODS, .namespace = namespace, .label_selector = selector};
    if (kube_list_since(caches->client, &request, version, &events, ret_pods, ret_version, err) == 0)
        return 0;
    kube_objects_done(ret_pods);
    return err_wrap(err, "the Pods of %s", key);
}

bool caches_has_kube_nodes(const struct caches *caches)
{
    return caches->kube_nodes != NULL;
}

struct kube_node *caches_kube_node(struct caches *caches, const char *name)
{
    if (!caches->kube_nodes)
        return NULL;
    return (struct kube_node *)kube_store_get(kube_informer_store(caches->kube_nodes), "", name);
}

void caches_each_system(struct caches *caches, void (*each)(void *ctx, const char *key), void *ctx)
{
    struct kube_objects systems = {0};
    kube_store_list(kube_informer_store(caches->systems), &systems);
    vec_for_each (item, &systems.list) {
        char key[CACHES_KEY_BYTES];
        each(ctx, kube_object_key(*item, key));
    }
    kube_objects_done(&systems);
}

void caches_count(struct caches *caches, size_t *ret_systems, size_t *ret_pods, size_t *ret_kube_nodes)
{
    *ret_systems = kube_store_count(kube_informer_store(caches->systems));
    *ret_pods = kube_store_count(kube_informer_store(caches->pods));
    *ret_kube_nodes = caches->kube_nodes ? kube_store_count(kube_informer_store(caches->kube_nodes)) : 0;
}
