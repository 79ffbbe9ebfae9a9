/* A client of a cluster: ActorSystem and ActorPlacement objects are what it reads, annotations what it writes
 * (operator and API server then decide), and the JSON gateway behind the system's Service whom it asks. */
#include "api/names.h"
#include "api/resources.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/str.h"
#include "base/value.h"
#include "cli/client_private.h"
#include "cli/cluster_status.h"
#include "cli/exit_code.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/http.h"
#include "kube/meta.h"
#include "kube/path.h"
#include "kube/status.h"
#include "kube/verbs.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLUSTER_RANK = 90,        /* docs/locks.md */
    ASK_MARGIN_MS = 5 * 1000, /* for the way through the API server */
    TELL_TIMEOUT_MS = 10 * 1000,
    ENDPOINTS_POLL_MS = 100,
    CONFLICTS_MAX = 10,
    ANNOTATION_BYTES_MAX = 64 * 1024,
};

struct cluster_client {
    struct client head;
    struct kube_config *config;
    struct kube_client *kube;
    const char *namespace; /* of the place, or of the configuration */
    char *system;
};

static struct cluster_client *cluster_client_of(struct client *client)
{
    return (struct cluster_client *)client; /* head comes first */
}

/* ---- reading ---- */

static int cluster_status(struct client *head, struct json **ret_status, struct err *err)
{
    struct cluster_client *client = cluster_client_of(head);
    return cluster_status_read(client->kube, client->namespace, client->system, ret_status, err);
}

int client_cluster_list(const struct client_place *place, struct json **ret_statuses, struct err *err)
{
    struct client *head = NULL;
    if (client_cluster_new(place, "", &head, err) < 0)
        return -1;
    struct cluster_client *client = cluster_client_of(head);
    int failed = cluster_status_list(
        client->kube, place->is_in_all_namespaces ? NULL : client->namespace, ret_statuses, err);
    client_free(head);
    return failed;
}

/* ---- requests ---- */

static const char *annotation_of(enum client_verb verb)
{
    switch (verb) {
    case CLIENT_RESUME: return API_ANNOTATION_RESUME;
    case CLIENT_MOVE: return API_ANNOTATION_MOVE;
    case CLIENT_FORGET: return API_ANNOTATION_FORGET;
    case CLIENT_CORDON:
    case CLIENT_UNCORDON: return API_ANNOTATION_CORDON;
    case CLIENT_DRAIN: return API_ANNOTATION_DRAIN;
    }
    return "";
}

/* One attempt. What others asked for and is not done yet stays; the version keeps them and us apart. */
static int add_annotation(struct cluster_client *client, const struct kube_target *target, const char *key,
    const char *value, struct kube_status *ret_status, struct err *err)
{
    _cleanup_(json_freep) struct json *object = NULL;
    _cleanup_(json_freep) struct json *patch = json_object_new();
    _cleanup_(str_done) struct str list = STR_INIT(ANNOTATION_BYTES_MAX);
    if (kube_get(client->kube, target, NULL, &object, ret_status, err) < 0)
        return -1;
    const char *before = kube_meta_annotation(object, key);
    bool is_list = target->resource == &API_ACTOR_SYSTEMS;
    if (is_list && before && *before)
        str_appendf(&list, "%s,", before);
    if (value)
        str_append(&list, value);
    if (str_check(&list, key, err) < 0)
        return -1;
    struct json *metadata = json_set_object(patch, "metadata");
    json_set_string(metadata, "resourceVersion", kube_meta_resource_version(object));
    struct json *annotations = json_set_object(metadata, "annotations");
    if (value)
        json_set_string(annotations, key, str_text(&list));
    else
        json_set_null(annotations, key);
    _cleanup_(cleanup_free) char *body = json_to_text(patch, JSON_COMPACT);
    return kube_merge_patch(client->kube, target, body, NULL, NULL, ret_status, err);
}

static int cluster_request(struct client *head, const struct client_request *request, struct err *err)
{
    struct cluster_client *client = cluster_client_of(head);
    bool is_of_pod =
        request->verb == CLIENT_CORDON || request->verb == CLIENT_UNCORDON || request->verb == CLIENT_DRAIN;
    struct kube_target target = {.resource = is_of_pod ? &KUBE_PODS : &API_ACTOR_SYSTEMS,
        .namespace = client->namespace,
        .name = is_of_pod ? request->subject : client->system};
    _cleanup_(cleanup_free) char *move =
        request->verb == CLIENT_MOVE ? xasprintf("%s=%s", request->subject, request->target) : NULL;
    const char *value = move                               ? move
                        : request->verb == CLIENT_UNCORDON ? NULL
                        : is_of_pod                        ? "true"
                                                           : request->subject;
    for (unsigned i = 0; i < CONFLICTS_MAX; i++) {
        _cleanup_(kube_status_done) struct kube_status status = {0};
        if (add_annotation(client, &target, annotation_of(request->verb), value, &status, err) == 0)
            return 0;
        if (status.reason != KUBE_REASON_CONFLICT)
            break;
    }
    return err_wrap(err, "%s \"%s\" of namespace \"%s\"", is_of_pod ? "pod" : "actorsystem", target.name,
        client->namespace);
}

/* ---- messages ---- */

/* "/v1/ask/tellers.0/counter/deposit?envelope=true&timeout=5s", escaped but for the slashes of the name. */
static void message_path(const struct client_message *message, bool is_ask, struct str *path)
{
    char timeout[DURATION_TEXT_BYTES];
    str_append(path, is_ask ? "/v1/ask/" : "/v1/tell/");
    const char *at = message->actor;
    for (;;) {
        size_t size = strcspn(at, "/");
        _cleanup_(cleanup_free) char *part = xstrndup(at, size);
        kube_path_escape(path, part);
        str_append_char(path, '/');
        at += size;
        if (!*at)
            break;
        at++;
    }
    kube_path_escape(path, message->method);
    kube_path_query(path, "envelope", "true");
    if (is_ask)
        kube_path_query(path, "timeout", duration_format(message->timeout_ms, timeout));
}

static int read_answer(const struct str *body, struct client_answer *ret_answer, struct err *err)
{
    _cleanup_(json_freep) struct json *tree = NULL;
    _cleanup_(str_done) struct str value = STR_INIT(LIMIT_VALUE_BYTES);
    if (json_parse(str_text(body), body->size, &tree, err) < 0)
        return err_wrap(err, "answer of the gateway");
    const struct json *error = json_get(tree, "error");
    if (error) {
        *ret_answer =
            (struct client_answer){.error = exit_code_answer_number(json_string(json_get(error, "code"))),
                .text = xstrdup(json_string(json_get(error, "text"))),
                .node = xstrdup(json_string(json_get(error, "node")))};
        return 0;
    }
    if (json_get(tree, "value") && value_from_json(json_get(tree, "value"), &value, err) < 0)
        return err_wrap(err, "answer of the gateway");
    *ret_answer =
        (struct client_answer){.text = xstrdup(""), .node = xstrdup(json_string(json_get(tree, "node")))};
    ret_answer->size = value.size;
    ret_answer->value = (uint8_t *)str_steal(&value);
    return 0;
}

/* The API server had nobody to hand the message to: it was delivered to no node. Only its text tells that
 * from a connection that broke later. */
static bool is_undelivered(const struct kube_status *status, const struct err *err)
{
    return status->reason == KUBE_REASON_SERVICE_UNAVAILABLE && strstr(err->text, "no endpoints available");
}

/* A system that became Ready a moment ago has its endpoints a moment later. */
static int call_service(struct kube_client *kube, const struct kube_request *request, int64_t patience_ms,
    struct kube_answer *answer, struct err *err)
{
    int64_t until_ms = clock_now_ms(clock_system()) + patience_ms;
    for (;;) { /* ends in time */
        _cleanup_(kube_status_done) struct kube_status status = {0};
        if (kube_client_call(kube, request, answer, &status, err) == 0)
            return 0;
        if (!is_undelivered(&status, err) || clock_now_ms(clock_system()) >= until_ms)
            return -1;
        *err = (struct err){0};
        (void)poll(NULL, 0, ENDPOINTS_POLL_MS);
    }
}

static int cluster_send(struct client *head, const struct client_message *message, bool is_ask,
    struct client_answer *ret_answer, struct err *err)
{
    struct cluster_client *client = cluster_client_of(head);
    _cleanup_(str_done) struct str rest = STR_INIT(KUBE_PATH_BYTES_MAX);
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    _cleanup_(str_done) struct str body = STR_INIT(LIMIT_JSON_BYTES);
    _cleanup_(kube_answer_done) struct kube_answer answer = {0};
    message_path(message, is_ask, &rest);
    if (str_check(&rest, "path", err) < 0 ||
        kube_service_path(client->namespace, client->system, "http", str_text(&rest), &path, err) < 0)
        return -1;
    if (message->size > 0 && value_to_text(message->arguments, message->size, &body, err) < 0)
        return err_wrap(err, "arguments");
    struct kube_request request = {.method = "POST",
        .path = str_text(&path),
        .body = str_text(&body),
        .body_size = body.size,
        .timeout_ms = is_ask ? (int64_t)message->timeout_ms + ASK_MARGIN_MS : TELL_TIMEOUT_MS};
    int64_t patience_ms = is_ask ? message->timeout_ms : TELL_TIMEOUT_MS;
    if (call_service(client->kube, &request, patience_ms, &answer, err) < 0)
        return err_wrap(err, "service \"%s\" of namespace \"%s\"", client->system, client->namespace);
    return read_answer(&answer.body, ret_answer, err);
}

/* ---- logs ---- */

struct following {
    const struct client_log_request *request;
    struct kube_client *kube;
    const char *path;
    struct mutex lock;
    struct condition ended;
    bool is_ended GUARDED_BY(&lock);
    struct err err GUARDED_BY(&lock); /* kind ERR_NONE: the log came to its end */
};

static void got_log(const char *data, size_t size, void *ctx)
{
    struct following *following = ctx;
    following->request->data(data, size, following->request->ctx);
}

static void log_ended(const struct kube_stream_end *end, void *ctx)
{
    struct following *following = ctx;
    mutex_lock(&following->lock);
    if (end->err)
        following->err = *end->err;
    following->is_ended = true;
    condition_broadcast(&following->ended);
    mutex_unlock(&following->lock);
}

static void start_following(void *ctx)
{
    static const struct kube_stream_events events = {.data = got_log, .ended = log_ended};
    struct following *following = ctx;
    struct kube_request request = {.method = "GET", .path = following->path, .accept = "*/*"};
    (void)kube_stream_start(following->kube, &request, &events, following); /* its end comes by an event */
}

static int cluster_logs(struct client *head, const struct client_log_request *request, struct err *err)
{
    struct cluster_client *client = cluster_client_of(head);
    _cleanup_(str_done) struct str path = STR_INIT(KUBE_PATH_BYTES_MAX);
    struct following following = {.request = request, .kube = client->kube};
    if (kube_path(&KUBE_PODS, client->namespace, request->node, "log", &path, err) < 0)
        return -1;
    kube_path_query(&path, "container", API_NODE_CONTAINER);
    if (request->lines <= INT64_MAX)
        kube_path_query_number(&path, "tailLines", (int64_t)request->lines);
    if (request->follow)
        kube_path_query(&path, "follow", "true");
    following.path = str_text(&path);
    mutex_init(&following.lock, CLUSTER_RANK, "cluster log");
    condition_init(&following.ended);
    kube_http_post(kube_client_http(client->kube), start_following, &following);
    mutex_lock(&following.lock);
    while (!following.is_ended) /* as long as the node lives, when it is followed */
        condition_wait(&following.ended, &following.lock);
    struct err outcome = following.err;
    mutex_unlock(&following.lock);
    condition_done(&following.ended);
    mutex_done(&following.lock);
    if (outcome.kind == ERR_NONE)
        return 0;
    return err_set(err, outcome.kind, "logs of pod \"%s\": %s", request->node, outcome.text);
}

/* ---- life ---- */

static void cluster_client_free(struct client *head)
{
    struct cluster_client *client = cluster_client_of(head);
    kube_client_free(client->kube);
    kube_config_free(client->config);
    free(client->system);
    free(client);
}

int client_cluster_new(
    const struct client_place *place, const char *system, struct client **ret_client, struct err *err)
{
    struct cluster_client *client = xcalloc(1, sizeof(*client));
    client->head = (struct client){.free = cluster_client_free,
        .status = cluster_status,
        .request = cluster_request,
        .send = cluster_send,
        .logs = cluster_logs};
    client->system = xstrdup(system);
    struct kube_client_config settings = {.thread_name = "kube", .user_agent = "histrio/0.1.0 (linux/amd64)"};
    if (kube_config_load(place->kubeconfig, place->context, &client->config, err) < 0 ||
        (settings.config = client->config, kube_client_new(&settings, &client->kube, err)) < 0) {
        cluster_client_free(&client->head);
        return -1;
    }
    client->namespace = place->namespace ? place->namespace : kube_client_namespace(client->kube);
    *ret_client = &client->head;
    return 0;
}
