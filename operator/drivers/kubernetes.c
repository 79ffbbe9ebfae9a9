#include "drivers/kubernetes.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/core.h"
#include "drivers/pod_build.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/verbs.h"

enum { RETRY_INITIAL_MS = 200, RETRY_MAX_MS = 30000 };

/* What is to be done about a Pod. */
enum task {
    TASK_NONE,   /* it exists, and that is fine */
    TASK_CREATE, /* until the API server said that it exists */
    TASK_DELETE, /* until the API server took the deletion */
};

struct kubernetes_node {
    char *name;
    char *pod_uid; /* NULL: not known */
    uint32_t index;
    enum task task;
    bool was_sent;    /* a POST went out, so the Pod may exist */
    bool was_refused; /* the last POST was refused for good reasons */
    bool is_forced;   /* delete without waiting for the kubelet */
    int64_t due_ms;
    struct backoff backoff;
};

struct kubernetes_driver {
    struct kubernetes_driver_config config; /* its strings are ours */
    struct map nodes;                       /* name -> struct kubernetes_node * */
};

struct kubernetes_driver *kubernetes_driver_new(const struct kubernetes_driver_config *config)
{
    struct kubernetes_driver *driver = xcalloc(1, sizeof(*driver));
    driver->config = *config;
    driver->config.owner.namespace = xstrdup(config->owner.namespace);
    driver->config.owner.name = xstrdup(config->owner.name);
    driver->config.owner.uid = xstrdup(config->owner.uid);
    return driver;
}

static void node_free(void *value)
{
    struct kubernetes_node *node = value;
    if (!node)
        return;
    free(node->name);
    free(node->pod_uid);
    free(node);
}

void kubernetes_driver_free(struct kubernetes_driver *driver)
{
    if (!driver)
        return;
    map_done(&driver->nodes, node_free);
    free((char *)driver->config.owner.namespace);
    free((char *)driver->config.owner.name);
    free((char *)driver->config.owner.uid);
    free(driver);
}

static struct kubernetes_node *find_or_add(struct kubernetes_driver *driver, const char *name)
{
    struct kubernetes_node *node = map_get(&driver->nodes, name);
    if (node)
        return node;
    node = xcalloc(1, sizeof(*node));
    node->name = xstrdup(name);
    backoff_init(&node->backoff, RETRY_INITIAL_MS, RETRY_MAX_MS, 0);
    (void)map_put(&driver->nodes, name, node); /* it was not there */
    return node;
}

static void set_task(struct kubernetes_node *node, enum task task)
{
    node->task = task;
    node->due_ms = 0;
    node->was_refused = false;
    backoff_reset(&node->backoff);
}

void kubernetes_create(struct kubernetes_driver *driver, const struct core_action *action)
{
    struct kubernetes_node *node = find_or_add(driver, action->node);
    node->index = action->index;
    set_task(node, TASK_CREATE);
}

void kubernetes_delete(struct kubernetes_driver *driver, const struct core_action *action)
{
    struct kubernetes_node *node = find_or_add(driver, action->node);
    node->is_forced = action->is_forced;
    set_task(node, TASK_DELETE);
}

static void set_uid(struct kubernetes_node *node, const char *pod_uid)
{
    if (text_equal(node->pod_uid, pod_uid))
        return;
    free(node->pod_uid);
    node->pod_uid = xstrdup(pod_uid);
}

void kubernetes_saw(struct kubernetes_driver *driver, const char *name, const char *pod_uid)
{
    struct kubernetes_node *node = find_or_add(driver, name);
    set_uid(node, pod_uid);
    if (node->task == TASK_CREATE)
        set_task(node, TASK_NONE);
}

void kubernetes_lost(struct kubernetes_driver *driver, const char *name)
{
    node_free(map_remove(&driver->nodes, name));
}

static void tell(struct kubernetes_driver *driver, const struct kubernetes_news *news)
{
    driver->config.listener(news, driver->config.ctx);
}

/* Tells that there is no Pod, after forgetting it. */
static void tell_absent(struct kubernetes_driver *driver, struct kubernetes_node *node, const char *text)
{
    struct kubernetes_news news = {.kind = KUBERNETES_ABSENT, .text = text};
    _cleanup_(cleanup_free) char *name = xstrdup(node->name);
    kubernetes_lost(driver, name);
    news.node = name;
    tell(driver, &news);
}

static void tell_made(struct kubernetes_driver *driver, struct kubernetes_node *node, const struct json *pod)
{
    struct kubernetes_news news = {.kind = KUBERNETES_MADE,
        .node = node->name,
        .pod_uid = kube_meta_uid(pod),
        .version = kube_meta_resource_version_number(pod)};
    set_uid(node, news.pod_uid);
    set_task(node, TASK_NONE);
    tell(driver, &news);
}

static struct kube_target pod_target(const struct kubernetes_driver *driver, const char *name)
{
    return (struct kube_target){&KUBE_PODS, driver->config.owner.namespace, name, NULL};
}

/* The answer to "exists already": ours from an earlier try, or somebody else's. 0 when that was found out. */
static int look(struct kubernetes_driver *driver, struct kubernetes_node *node, struct kube_status *status,
    struct err *err)
{
    _cleanup_(json_freep) struct json *pod = NULL;
    struct kube_target target = pod_target(driver, node->name);
    if (kube_get(driver->config.client, &target, NULL, &pod, status, err) < 0)
        return -1;
    if (text_equal(kube_meta_controller_uid(pod), driver->config.owner.uid))
        tell_made(driver, node, pod);
    else
        tell_absent(driver, node, "a Pod of that name belongs to somebody else");
    return 0;
}

static void refuse(
    struct kubernetes_driver *driver, struct kubernetes_node *node, const char *reason, const char *text)
{
    struct kubernetes_news news = {
        .kind = KUBERNETES_REFUSED, .node = node->name, .reason = reason, .text = text};
    node->was_refused = true;
    tell(driver, &news);
}

/* It did not work: says why, and tries again later. */
static void create_failed(struct kubernetes_driver *driver, struct kubernetes_node *node,
    const struct kube_status *status, const struct err *err, int64_t now_ms)
{
    int64_t wait_ms = backoff_next(&node->backoff, now_ms, NULL);
    node->due_ms = now_ms + (err->retry_after_ms > wait_ms ? err->retry_after_ms : wait_ms);
    if (status->reason != KUBE_REASON_NONE)
        refuse(driver, node, kube_reason_name(status->reason), status->message);
    else
        refuse(driver, node, "NoAnswer", err->text);
}

static void create_pod(struct kubernetes_driver *driver, struct kubernetes_node *node,
    const struct system_spec *spec, int64_t now_ms)
{
    struct pod_build build = {spec, driver->config.owner, node->name, node->index};
    _cleanup_(json_freep) struct json *pod = pod_build(&build);
    _cleanup_(cleanup_free) char *body = json_to_text(pod, JSON_COMPACT);
    _cleanup_(json_freep) struct json *made = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = pod_target(driver, NULL);
    struct kube_options options = {.is_metadata_only = true};
    struct err err = {0};
    node->was_sent = true;
    if (kube_create(driver->config.client, &target, body, &options, &made, &status, &err) == 0) {
        tell_made(driver, node, made);
        return;
    }
    if (status.reason == KUBE_REASON_ALREADY_EXISTS) {
        kube_status_done(&status);
        status = (struct kube_status){0};
        if (look(driver, node, &status, &err) == 0)
            return;
    }
    create_failed(driver, node, &status, &err, now_ms);
}

/* A Pod whose uid is not known may still be there from a POST without an answer. -1: try again later. */
static int learn_uid(struct kubernetes_driver *driver, struct kubernetes_node *node, bool *ret_is_absent)
{
    _cleanup_(json_freep) struct json *pod = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = pod_target(driver, node->name);
    *ret_is_absent = false;
    if (!node->was_sent) {
        *ret_is_absent = true;
        return 0;
    }
    if (kube_get(driver->config.client, &target, NULL, &pod, &status, NULL) < 0) {
        *ret_is_absent = status.reason == KUBE_REASON_NOT_FOUND;
        return *ret_is_absent ? 0 : -1;
    }
    *ret_is_absent = !text_equal(kube_meta_controller_uid(pod), driver->config.owner.uid);
    if (!*ret_is_absent)
        set_uid(node, kube_meta_uid(pod));
    return 0;
}

/* The deletion met a conflict: is the Pod with our uid gone? Or did somebody write to it at that moment? */
static bool is_another(struct kubernetes_driver *driver, struct kubernetes_node *node)
{
    _cleanup_(json_freep) struct json *pod = NULL;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = pod_target(driver, node->name);
    if (kube_get(driver->config.client, &target, NULL, &pod, &status, NULL) < 0)
        return status.reason == KUBE_REASON_NOT_FOUND;
    return !text_equal(kube_meta_uid(pod), node->pod_uid);
}

static void delete_pod(struct kubernetes_driver *driver, struct kubernetes_node *node, int64_t now_ms)
{
    bool is_absent = false;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = pod_target(driver, node->name);
    if (!node->pod_uid && learn_uid(driver, node, &is_absent) < 0) {
        node->due_ms = now_ms + backoff_next(&node->backoff, now_ms, NULL);
        return;
    }
    if (is_absent) {
        tell_absent(driver, node, NULL);
        return;
    }
    struct kube_delete_options options = {
        .uid = node->pod_uid, .has_grace_period = node->is_forced, .grace_period_s = 0};
    if (kube_delete(driver->config.client, &target, &options, &status, NULL) == 0)
        set_task(node, TASK_NONE); /* kubernetes_lost follows when it is gone */
    else if (status.reason == KUBE_REASON_NOT_FOUND ||
             (status.reason == KUBE_REASON_CONFLICT && is_another(driver, node)))
        tell_absent(driver, node, NULL);
    else
        node->due_ms = now_ms + backoff_next(&node->backoff, now_ms, NULL);
}

void kubernetes_work(struct kubernetes_driver *driver, const struct system_spec *spec, int64_t now_ms,
    bool (*may_act)(void *ctx), void *may_act_ctx)
{
    map_for_each (item, &driver->nodes) {
        struct kubernetes_node *node = item.value;
        if (node->task == TASK_NONE || node->due_ms > now_ms)
            continue;
        if (!may_act(may_act_ctx))
            return;
        if (node->task == TASK_CREATE)
            create_pod(driver, node, spec, now_ms);
        else
            delete_pod(driver, node, now_ms);
    }
}

int64_t kubernetes_due_ms(const struct kubernetes_driver *driver)
{
    int64_t due_ms = INT64_MAX;
    map_for_each (item, &driver->nodes) {
        const struct kubernetes_node *node = item.value;
        if (node->task != TASK_NONE && node->due_ms < due_ms)
            due_ms = node->due_ms;
    }
    return due_ms;
}

void kubernetes_retry(struct kubernetes_driver *driver)
{
    map_for_each (item, &driver->nodes) {
        struct kubernetes_node *node = item.value;
        if (node->task == TASK_CREATE && node->was_refused)
            set_task(node, TASK_CREATE);
    }
}
