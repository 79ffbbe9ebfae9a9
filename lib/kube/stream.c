/* One attempt at a request. Everything here runs on the client's thread. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "kube/client_private.h"
#include "kube/config.h"
#include "kube/secret.h"
#include "kube/status.h"

enum { PATH_BYTES_SHOWN = 100 };

struct kube_stream {
    struct kube_client *client;
    const struct kube_stream_events *events;
    void *ctx;
    struct kube_http_call *call; /* NULL: none was begun, a failure is on its way */
    struct kube_credential credential;
    char *what; /* "GET /api/v1/pods": for errors */
    char *method;
    struct kube_outcome outcome;
    int64_t retry_after_ms;
    int64_t begun_ms;
    bool is_told;     /* to on_attempt */
    bool is_canceled; /* before its failure was told */
};

void kube_answer_done(struct kube_answer *answer)
{
    free(answer->content_type);
    str_done(&answer->body);
    *answer = (struct kube_answer){0};
}

void kube_outcome_done(struct kube_outcome *outcome)
{
    kube_status_done(&outcome->status);
    kube_answer_done(&outcome->answer);
}

static void stream_free(struct kube_stream *stream)
{
    kube_outcome_done(&stream->outcome);
    kube_credential_done(&stream->credential);
    free(stream->what);
    free(stream->method);
    free(stream);
}

struct kube_outcome kube_stream_take_outcome(struct kube_stream *stream)
{
    struct kube_outcome outcome = stream->outcome;
    stream->outcome = (struct kube_outcome){0};
    return outcome;
}

static bool is_success(int code)
{
    return code >= 200 && code <= 299;
}

/* ---- events of the call ---- */

static int64_t age_ms(const struct kube_stream *stream)
{
    return clock_now_ms(clock_system()) - stream->begun_ms;
}

static void on_head(const struct kube_http_head *head, void *ctx)
{
    struct kube_stream *stream = ctx;
    struct kube_answer *answer = &stream->outcome.answer;
    answer->code = head->code;
    answer->content_type = xstrdup(head->content_type);
    stream->retry_after_ms = head->retry_after_ms;
    stream->outcome.duration_ms = age_ms(stream);
    kube_client_warn(stream->client, head->warnings);
    if (is_success(head->code) && stream->events->opened)
        stream->events->opened(stream->ctx);
}

/* Of a refusal, what is more than the body takes is cut off, and cannot be read as a Status then. */
static void on_data(const char *data, size_t size, void *ctx)
{
    struct kube_stream *stream = ctx;
    if (is_success(stream->outcome.answer.code) && stream->events->data)
        stream->events->data(data, size, stream->ctx);
    else
        str_append_bytes(&stream->outcome.answer.body, data, size);
}

/* What the end says about the credentials. */
static void look_at_credential(struct kube_stream *stream, const struct err *err)
{
    struct kube_auth *auth = stream->client->auth;
    if (!err && stream->outcome.answer.code == 401)
        stream->outcome.was_rejected = kube_auth_reject(auth, stream->credential.number);
    if (err && err->kind == ERR_DENIED)
        kube_auth_doubt(auth, stream->credential.number);
}

static void fill_outcome(struct kube_stream *stream, const struct err *err)
{
    struct kube_outcome *outcome = &stream->outcome;
    struct kube_answer *answer = &outcome->answer;
    /* A refusal stands, also when its text breaks off: so do those of bodies that are too large, as the
     * server does not wait for their end. */
    bool is_cut = err && err->kind == ERR_UNAVAILABLE && answer->code >= 400;
    if (err && !is_cut) {
        (void)err_set(&outcome->err, err->kind, "%s: %s", stream->what, err->text);
    } else if (!is_success(answer->code)) {
        kube_status_from_answer(answer->code, str_text(&answer->body), answer->body.size,
            stream->retry_after_ms, &outcome->status);
        (void)kube_status_error(&outcome->status, &outcome->err);
        (void)err_wrap(&outcome->err, "%s", stream->what);
    }
    if (answer->code == 0)
        outcome->duration_ms = age_ms(stream);
}

static void tell_end(struct kube_stream *stream)
{
    const struct kube_outcome *outcome = &stream->outcome;
    bool has_failed = outcome->err.kind != ERR_NONE;
    bool has_body = !has_failed && !stream->events->data;
    struct kube_stream_end end = {.err = has_failed ? &outcome->err : NULL,
        .status = outcome->status.reason != KUBE_REASON_NONE ? &outcome->status : NULL,
        .code = outcome->answer.code,
        .body = has_body ? str_text(&outcome->answer.body) : NULL,
        .body_size = has_body ? outcome->answer.body.size : 0,
        .duration_ms = age_ms(stream)};
    stream->events->ended(&end, stream->ctx);
}

static void on_end(const struct err *err, bool was_sent, void *ctx)
{
    struct kube_stream *stream = ctx;
    const struct kube_client_config *settings = &stream->client->settings;
    stream->outcome.was_sent = was_sent;
    look_at_credential(stream, err);
    fill_outcome(stream, err);
    struct kube_attempt attempt = {.method = stream->method,
        .code = stream->outcome.answer.code,
        .duration_ms = stream->outcome.duration_ms};
    if (stream->is_told && settings->on_attempt)
        settings->on_attempt(&attempt, settings->ctx);
    tell_end(stream);
    stream_free(stream);
}

/* ---- starting ---- */

struct headers {
    VEC(char *) list;
};

static void headers_done(struct headers *headers)
{
    vec_for_each (line, &headers->list) {
        kube_secret_free(*line); /* one is the token */
    }
    vec_done(&headers->list);
}

static void add_impersonation(struct headers *headers, const struct kube_config *config)
{
    if (config->impersonate_user)
        vec_push(&headers->list, xasprintf("Impersonate-User: %s", config->impersonate_user));
    if (config->impersonate_uid)
        vec_push(&headers->list, xasprintf("Impersonate-Uid: %s", config->impersonate_uid));
    for (char **group = config->impersonate_groups; group && *group; group++)
        vec_push(&headers->list, xasprintf("Impersonate-Group: %s", *group));
}

static void add_headers(
    struct headers *headers, const struct kube_stream *stream, const struct kube_request *request)
{
    const char *accept = request->accept ? request->accept : KUBE_ACCEPT_JSON;
    const char *type = request->content_type ? request->content_type : KUBE_CONTENT_JSON;
    vec_push(&headers->list, xasprintf("User-Agent: %s", stream->client->settings.user_agent));
    vec_push(&headers->list, xasprintf("Accept: %s", accept));
    if (request->body)
        vec_push(&headers->list, xasprintf("Content-Type: %s", type));
    if (stream->credential.token)
        vec_push(&headers->list, xasprintf("Authorization: Bearer %s", stream->credential.token));
    add_impersonation(headers, stream->client->config);
    vec_push(&headers->list, NULL);
}

static void start_call(struct kube_stream *stream, const struct kube_request *request)
{
    static const struct kube_http_events events = {.head = on_head, .data = on_data, .end = on_end};
    struct kube_client *client = stream->client;
    _cleanup_(headers_done) struct headers headers = {0};
    _cleanup_(cleanup_free) char *url = xasprintf("%s%s", client->config->server, request->path);
    add_headers(&headers, stream, request);
    struct kube_http_request http_request = {.method = request->method,
        .url = url,
        .headers = (const char *const *)headers.list.items,
        .body = request->body,
        .body_size = request->body_size,
        .tls = stream->credential.tls,
        .proxy = client->config->proxy,
        .timeout_ms = request->timeout_ms,
        .bytes_max = stream->events->data ? 0 : stream->outcome.answer.body.limit};
    stream->call = kube_http_start(client->http, &http_request, &events, stream);
}

static struct kube_stream *stream_new(struct kube_client *client, const struct kube_request *request,
    const struct kube_stream_events *events, void *ctx)
{
    struct kube_stream *stream = xcalloc(1, sizeof(*stream));
    int shown = (int)strcspn(request->path, "?");
    stream->client = client;
    stream->events = events;
    stream->ctx = ctx;
    stream->method = xstrdup(request->method);
    stream->what = xasprintf(
        "%s %.*s", request->method, shown < PATH_BYTES_SHOWN ? shown : PATH_BYTES_SHOWN, request->path);
    stream->begun_ms = clock_now_ms(clock_system());
    str_init(&stream->outcome.answer.body,
        request->answer_bytes_max ? request->answer_bytes_max : (size_t)LIMIT_JSON_BYTES);
    return stream;
}

struct kube_stream *kube_stream_start_with(struct kube_client *client, const struct kube_request *request,
    struct kube_credential *credential, const struct kube_stream_events *events, void *ctx)
{
    struct kube_stream *stream = stream_new(client, request, events, ctx);
    stream->credential = *credential;
    *credential = (struct kube_credential){0};
    start_call(stream, request);
    return stream;
}

static void tell_failure(void *ctx)
{
    struct kube_stream *stream = ctx;
    if (!stream->is_canceled)
        tell_end(stream);
    stream_free(stream);
}

struct kube_stream *kube_stream_start(struct kube_client *client, const struct kube_request *request,
    const struct kube_stream_events *events, void *ctx)
{
    assert(kube_http_is_own_thread(client->http));
    struct kube_stream *stream = stream_new(client, request, events, ctx);
    stream->is_told = true;
    if (kube_auth_get(client->auth, &stream->credential, &stream->outcome.err) < 0)
        kube_http_post(client->http, tell_failure, stream);
    else
        start_call(stream, request);
    return stream;
}

void kube_stream_cancel(struct kube_stream *stream)
{
    if (!stream->call) { /* its failure is on its way */
        stream->is_canceled = true;
        return;
    }
    kube_http_cancel(stream->call);
    stream_free(stream);
}
