#include "kube/verbs.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "kube/client_private.h"
#include "kube/path.h"
#include "kube/resource.h"

static const struct kube_options NO_OPTIONS;

/* The API server gives up when we do. */
static void add_timeout(struct kube_client *client, int64_t timeout_ms, struct str *path)
{
    char text[32];
    if (timeout_ms <= 0)
        timeout_ms = client->settings.timeout_ms;
    (void)snprintf(text, sizeof(text), "%llds", (long long)(timeout_ms + 999) / 1000); /* fits */
    kube_path_query(path, "timeout", text);
}

/* The answer's tree, when it is wanted. */
static int call(struct kube_client *client, const struct kube_request *request, struct json **ret_object,
    struct kube_status *ret_status, struct err *err)
{
    _cleanup_(kube_answer_done) struct kube_answer answer = {0};
    if (kube_client_call(client, request, &answer, ret_status, err) < 0)
        return -1;
    if (ret_object && json_parse(str_text(&answer.body), answer.body.size, ret_object, err) < 0)
        return err_wrap(err, "the answer to %s %.100s", request->method, request->path);
    return 0;
}

/* A verb: its method, and the type of its body. */
struct verb {
    const char *method;
    const char *content_type;
};

static int run(struct kube_client *client, const struct verb *verb, const struct kube_target *target,
    const char *body, const struct kube_options *options, struct json **ret_object,
    struct kube_status *ret_status, struct err *err)
{
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    if (!options)
        options = &NO_OPTIONS;
    if (kube_path(target->resource, target->namespace, target->name, target->subresource, &path, err) < 0)
        return -1;
    add_timeout(client, options->timeout_ms, &path);
    kube_path_query(&path, "fieldManager", options->field_manager);
    kube_path_query(&path, "fieldValidation", options->is_strict ? "Strict" : NULL);
    kube_path_query(&path, "dryRun", options->is_dry_run ? "All" : NULL);
    kube_path_query(&path, "force", options->is_forced ? "true" : NULL);
    if (str_check(&path, "the path", err) < 0)
        return -1;
    struct kube_request request = {.method = verb->method,
        .path = str_text(&path),
        .accept = options->is_metadata_only ? KUBE_ACCEPT_METADATA : NULL,
        .content_type = verb->content_type,
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .timeout_ms = options->timeout_ms};
    return call(client, &request, ret_object, ret_status, err);
}

int kube_get(struct kube_client *client, const struct kube_target *target, const struct kube_options *options,
    struct json **ret_object, struct kube_status *ret_status, struct err *err)
{
    static const struct verb verb = {"GET", NULL};
    assert(target->name);
    return run(client, &verb, target, NULL, options, ret_object, ret_status, err);
}

int kube_create(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err)
{
    static const struct verb verb = {"POST", KUBE_CONTENT_JSON};
    assert(!target->name == !target->subresource);
    return run(client, &verb, target, body, options, ret_object, ret_status, err);
}

int kube_replace(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err)
{
    static const struct verb verb = {"PUT", KUBE_CONTENT_JSON};
    assert(target->name);
    return run(client, &verb, target, body, options, ret_object, ret_status, err);
}

int kube_apply(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err)
{
    static const struct verb verb = {"PATCH", KUBE_CONTENT_APPLY};
    assert(target->name && options && options->field_manager);
    return run(client, &verb, target, body, options, ret_object, ret_status, err);
}

int kube_merge_patch(struct kube_client *client, const struct kube_target *target, const char *body,
    const struct kube_options *options, struct json **ret_object, struct kube_status *ret_status,
    struct err *err)
{
    static const struct verb verb = {"PATCH", KUBE_CONTENT_MERGE_PATCH};
    assert(target->name);
    return run(client, &verb, target, body, options, ret_object, ret_status, err);
}

static char *delete_body(const struct kube_delete_options *options)
{
    static const char *const PROPAGATIONS[] = {NULL, "Background", "Foreground", "Orphan"};
    _cleanup_(json_freep) struct json *body = json_object_new();
    json_set_string(body, "apiVersion", "v1");
    json_set_string(body, "kind", "DeleteOptions");
    if (options->uid || options->resource_version) {
        struct json *preconditions = json_set_object(body, "preconditions");
        if (options->uid)
            json_set_string(preconditions, "uid", options->uid);
        if (options->resource_version)
            json_set_string(preconditions, "resourceVersion", options->resource_version);
    }
    if (options->has_grace_period)
        json_set_int(body, "gracePeriodSeconds", options->grace_period_s);
    if (options->propagation != KUBE_PROPAGATION_DEFAULT)
        json_set_string(body, "propagationPolicy", PROPAGATIONS[options->propagation]);
    return json_to_text(body, JSON_COMPACT);
}

int kube_delete(struct kube_client *client, const struct kube_target *target,
    const struct kube_delete_options *options, struct kube_status *ret_status, struct err *err)
{
    static const struct kube_delete_options NOTHING;
    static const struct verb verb = {"DELETE", KUBE_CONTENT_JSON};
    assert(target->name);
    if (!options)
        options = &NOTHING;
    _cleanup_(cleanup_free) char *body = delete_body(options);
    struct kube_options run_options = {.timeout_ms = options->timeout_ms, .is_dry_run = options->is_dry_run};
    return run(client, &verb, target, body, &run_options, NULL, ret_status, err);
}

int kube_get_path(struct kube_client *client, const char *path, struct json **ret_tree,
    struct kube_status *ret_status, struct err *err)
{
    struct kube_request request = {.method = "GET", .path = path};
    return call(client, &request, ret_tree, ret_status, err);
}

int kube_service_path(const char *namespace, const char *service, const char *port, const char *rest,
    struct str *path, struct err *err)
{
    assert(*rest == '/');
    if (kube_path(&KUBE_SERVICES, namespace, service, NULL, path, err) < 0)
        return -1;
    str_append_char(path, ':');
    kube_path_escape(path, port);
    str_append(path, "/proxy");
    str_append(path, rest);
    return str_check(path, "the path of a service", err);
}
