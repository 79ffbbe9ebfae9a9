#include "controllers/owned.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/names.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/owned_object.h"
#include "drivers/pod_build.h"
#include "kube/client.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "kube/verbs.h"

/* What of an object was written by us last: while it is the same, nothing is. */
#define ANNOTATION_CONTENT_HASH "histrio.dev/content-hash"

static void add_port(struct json *ports, const char *name, int port, const char *protocol)
{
    struct json *row = json_add_object(ports);
    (void)json_set_string(row, "name", name);
    (void)json_set_int(row, "port", port);
    (void)json_set_string(row, "targetPort", name);
    (void)json_set_string(row, "protocol", "TCP");
    (void)json_set_string(row, "appProtocol", protocol);
}

static struct json *new_service(const struct object_owner *owner)
{
    struct json *service = owned_object_new(owner, &KUBE_SERVICES, owner->name, API_NODE_APP);
    struct json *spec = json_set_object(service, "spec");
    struct json *selector = json_set_object(spec, "selector");
    (void)json_set_string(selector, API_LABEL_NAME, API_NODE_APP);
    (void)json_set_string(selector, API_LABEL_SYSTEM, owner->name);
    struct json *ports = json_set_array(spec, "ports");
    add_port(ports, "grpc", POD_GATEWAY_PORT, "kubernetes.io/h2c");
    add_port(ports, "http", POD_HTTP_PORT, "http");
    return service;
}

/* One node at a time: each has its units moved away before it goes. */
static struct json *new_disruption_budget(const struct object_owner *owner)
{
    _cleanup_(cleanup_free) char *name = xasprintf("%s-nodes", owner->name);
    struct json *budget = owned_object_new(owner, &KUBE_POD_DISRUPTION_BUDGETS, name, API_NODE_APP);
    struct json *spec = json_set_object(budget, "spec");
    (void)json_set_int(spec, "maxUnavailable", 1);
    (void)json_set_string(spec, "unhealthyPodEvictionPolicy", "AlwaysAllow");
    struct json *labels = json_set_object(json_set_object(spec, "selector"), "matchLabels");
    (void)json_set_string(labels, API_LABEL_SYSTEM, owner->name);
    return budget;
}

int owned_object_check(struct kube_client *client, const struct object_owner *owner,
    const struct kube_resource *resource, const struct json *object, bool *ret_is_ours, struct err *err)
{
    const char *name = kube_meta_name(object);
    _cleanup_(kube_status_done) struct kube_status status = {0};
    *ret_is_ours = text_equal(kube_meta_controller_uid(object), owner->uid);
    if (*ret_is_ours)
        return 0;
    if (!text_equal(kube_meta_label(object, API_LABEL_MANAGED_BY), API_MANAGER))
        return err_set(err, ERR_CONFLICT,
            "%s \"%s\" exists and is not the operator's: rename or delete it, or rename the system",
            resource->kind, name);
    /* Of a system of this name that is gone, not yet collected. */
    struct kube_target target = {resource, owner->namespace, name, NULL};
    struct kube_delete_options options = {
        .uid = kube_meta_uid(object), .propagation = KUBE_PROPAGATION_BACKGROUND};
    if (kube_delete(client, &target, &options, &status, err) < 0 && status.reason != KUBE_REASON_NOT_FOUND)
        return -1;
    return 0;
}

/* Takes object. */
static int ensure_take(struct kube_client *client, const struct object_owner *owner,
    const struct kube_resource *resource, struct json *object_take, struct err *err)
{
    _cleanup_(json_freep) struct json *wanted = object_take;
    _cleanup_(json_freep) struct json *present = NULL;
    _cleanup_(cleanup_free) char *content = json_to_text(wanted, JSON_COMPACT);
    _cleanup_(cleanup_free) char *hash = xasprintf("%016" PRIx64, hash_string(content));
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct kube_target target = {resource, owner->namespace, kube_meta_name(wanted), NULL};
    struct kube_options options = {.field_manager = API_MANAGER, .is_forced = true};
    bool is_ours = false;
    if (kube_get(client, &target, NULL, &present, &status, err) < 0 && status.reason != KUBE_REASON_NOT_FOUND)
        return -1;
    if (present && owned_object_check(client, owner, resource, present, &is_ours, err) < 0)
        return -1;
    if (is_ours && text_equal(kube_meta_annotation(present, ANNOTATION_CONTENT_HASH), hash))
        return 0;
    struct json *annotations = json_set_object(json_get(wanted, "metadata"), "annotations");
    (void)json_set_string(annotations, ANNOTATION_CONTENT_HASH, hash);
    _cleanup_(cleanup_free) char *body = json_to_text(wanted, JSON_COMPACT);
    return kube_apply(client, &target, body, &options, NULL, NULL, err);
}

int owned_ensure(struct kube_client *client, const struct object_owner *owner, struct err *err)
{
    if (ensure_take(client, owner, &KUBE_SERVICES, new_service(owner), err) < 0)
        return err_wrap(err, "service");
    if (ensure_take(client, owner, &KUBE_POD_DISRUPTION_BUDGETS, new_disruption_budget(owner), err) < 0)
        return err_wrap(err, "pod disruption budget");
    return 0;
}
