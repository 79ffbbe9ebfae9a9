#include "gateway/http.h"

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/httpd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/value.h"
#include "gateway/gateway_private.h"
#include "rpc/loop.h"

#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_BYTES_MAX = 6 * LIMIT_VALUE_BYTES, /* JSON of the largest value, most of it escaped */
    METRICS_BYTES_MAX = 1024 * 1024,
    ASK_TIMEOUT_MAX_MS = 3600 * 1000,
};

static const char ask_prefix[] = "/v1/ask/";
static const char tell_prefix[] = "/v1/tell/";

struct gateway_http {
    struct gateway_http_config config;
    struct httpd *httpd;
    struct metrics *metrics;
    struct metric *counters[6]; /* in the order of counter_names */
    struct metric *actors, *mailbox_depth, *snapshot_bytes, *ready;
};

/* A request on its way through the gateway's loop. */
struct http_ask {
    struct list_node node; /* in gateway.http_asks, while it waits */
    struct asker asker;
    struct gateway *gateway;
    struct httpd_call *call;
    bool is_tell;
    bool is_enveloped;
    char *actor, *method, *trace; /* trace: the header traceparent; NULL: none */
    struct str arguments;         /* msgpack */
    uint32_t timeout_ms;
};

/* ---- answers ---- */

static unsigned status_of(enum histrio_error error)
{
    switch (error) {
    case HISTRIO_OK: return 200;
    case HISTRIO_NOT_FOUND: return 404;
    case HISTRIO_BAD_ARGUMENT: return 400;
    case HISTRIO_DENIED: return 403;
    case HISTRIO_MAILBOX_FULL: return 429;
    case HISTRIO_APPLICATION: return 422;
    case HISTRIO_UNCERTAIN: return 502; /* it may have happened: not to be repeated blindly */
    case HISTRIO_UNAVAILABLE:
    case HISTRIO_FENCED: return 503;
    case HISTRIO_TIMEOUT: return 504;
    case HISTRIO_CRASHED: break;
    }
    return 500;
}

static void answer_error(struct httpd_call *call, bool is_enveloped, const struct ask_outcome *outcome)
{
    _cleanup_(str_done) struct str body = STR_INIT(ANSWER_BYTES_MAX);
    str_append(&body, "{\"error\": {\"code\": ");
    str_append_json_string(&body, histrio_error_name(outcome->error));
    str_append(&body, ", \"text\": ");
    str_append_json_string(&body, outcome->text);
    str_append(&body, ", \"node\": ");
    str_append_json_string(&body, outcome->node_name);
    str_append(&body, "}}\n");
    httpd_call_answer(
        call, is_enveloped ? 200 : status_of(outcome->error), "application/json", body.data, body.size);
}

static void answer_value(struct httpd_call *call, bool is_enveloped, const struct ask_outcome *outcome)
{
    _cleanup_(str_done) struct str body = STR_INIT(ANSWER_BYTES_MAX);
    struct err err = {0};
    if (is_enveloped)
        str_append(&body, "{\"value\": ");
    if (value_to_text(outcome->value, outcome->value_size, &body, &err) < 0 ||
        str_check(&body, "reply", &err) < 0) {
        (void)err_wrap(&err, "the reply cannot be shown as JSON");
        answer_error(call, is_enveloped,
            &(struct ask_outcome){
                .error = HISTRIO_APPLICATION, .text = err.text, .node_name = outcome->node_name});
        return;
    }
    if (is_enveloped) {
        str_append(&body, ", \"node\": ");
        str_append_json_string(&body, outcome->node_name);
        str_append_char(&body, '}');
    }
    str_append_char(&body, '\n');
    httpd_call_answer(call, 200, "application/json", body.data, body.size);
}

/* ---- asks and tells ---- */

static void free_ask(struct http_ask *ask)
{
    list_remove(&ask->node);
    free(ask->actor);
    free(ask->method);
    free(ask->trace);
    str_done(&ask->arguments);
    free(ask);
}

static void refuse_ask(struct http_ask *ask, enum histrio_error error, const char *text)
{
    answer_error(
        ask->call, ask->is_enveloped, &(struct ask_outcome){.error = error, .text = text, .node_name = ""});
    free_ask(ask);
}

static void ask_done(struct asker *asker, const struct ask_outcome *outcome)
{
    struct http_ask *ask = list_entry(asker, struct http_ask, asker);
    if (outcome->error == HISTRIO_OK)
        answer_value(ask->call, ask->is_enveloped, outcome);
    else
        answer_error(ask->call, ask->is_enveloped, outcome);
    free_ask(ask);
}

static void tell_now(struct http_ask *ask, const struct ask_request *request)
{
    const char *text;
    enum histrio_error error = gateway_tell(ask->gateway, request, &text);
    if (error != HISTRIO_OK) {
        refuse_ask(ask, error, text);
        return;
    }
    httpd_call_answer(ask->call, ask->is_enveloped ? 200 : 202, "application/json", "{}\n", 3);
    free_ask(ask);
}

static void begin_on_loop(void *ctx)
{
    struct http_ask *ask = ctx;
    struct gateway *gateway = ask->gateway;
    struct ask_request request = {.actor = ask->actor,
        .method = ask->method,
        .arguments = (const uint8_t *)ask->arguments.data,
        .arguments_size = ask->arguments.size,
        .timeout_ms = ask->timeout_ms,
        .trace = ask->trace};
    if (gateway->is_closed) {
        refuse_ask(ask, HISTRIO_UNAVAILABLE, "the node stops");
        return;
    }
    if (ask->is_tell) {
        tell_now(ask, &request);
        return;
    }
    ask->asker.done = ask_done;
    list_push_back(&gateway->http_asks, &ask->node);
    if (!asker_begin(gateway, &ask->asker, &request))
        refuse_ask(ask, HISTRIO_UNAVAILABLE, "too many asks are under way");
}

void http_close_all(struct gateway *gateway)
{
    list_for_each_safe (ask, &gateway->http_asks, struct http_ask, node) {
        asker_forget(&ask->asker);
        refuse_ask(ask, HISTRIO_UNAVAILABLE, "the node stops");
    }
}

/* The arguments as one msgpack value; an empty body is none. */
static int read_arguments(const struct httpd_call *call, struct str *arguments, struct err *err)
{
    size_t size;
    const char *body = httpd_call_body(call, &size);
    str_init(arguments, LIMIT_VALUE_BYTES);
    if (size == 0) {
        value_put_nil(arguments);
        return 0;
    }
    if (value_from_text(body, size, arguments, err) < 0)
        return err_wrap(err, "the body is the arguments as JSON");
    return str_check(arguments, "arguments", err);
}

static int read_timeout(const struct httpd_call *call, uint32_t *ret_timeout_ms, struct err *err)
{
    const char *text = httpd_call_query(call, "timeout");
    int64_t timeout_ms = 0;
    if (text && duration_parse(text, &timeout_ms, err) < 0)
        return err_wrap(err, "timeout");
    if (text && (timeout_ms < 1 || timeout_ms > ASK_TIMEOUT_MAX_MS))
        return err_set(err, ERR_INVALID, "timeout must be 1ms to 1h");
    *ret_timeout_ms = (uint32_t)timeout_ms;
    return 0;
}

/* rest: "tellers.0/counter/deposit". */
static void serve_message(struct gateway_http *http, struct httpd_call *call, const char *rest, bool is_tell)
{
    struct err err = {0};
    const char *slash = strrchr(rest, '/');
    if (!text_equal(httpd_call_method(call), "POST")) {
        httpd_call_refuse(call, 405, "use POST: asking may change an actor");
        return;
    }
    struct http_ask *ask = xcalloc(1, sizeof(*ask));
    ask->gateway = http->config.gateway;
    ask->call = call;
    ask->is_tell = is_tell;
    ask->is_enveloped = text_equal(httpd_call_query(call, "envelope"), "true");
    if (!slash || slash == rest || !slash[1]) {
        refuse_ask(ask, HISTRIO_BAD_ARGUMENT, "the path ends with <actor>/<method>");
        return;
    }
    if (read_arguments(call, &ask->arguments, &err) < 0 || read_timeout(call, &ask->timeout_ms, &err) < 0) {
        refuse_ask(ask, HISTRIO_BAD_ARGUMENT, err.text);
        return;
    }
    ask->actor = xstrndup(rest, (size_t)(slash - rest));
    ask->method = xstrdup(slash + 1);
    const char *trace = httpd_call_header(call, "traceparent");
    ask->trace = trace ? xstrdup(trace) : NULL;
    rpc_loop_post(ask->gateway->config.loop, begin_on_loop, ask);
}

/* ---- looking ---- */

static void add_actor(void *ctx, const struct actor_info *info)
{
    char epoch[EPOCH_TEXT_BYTES];
    struct json *row = json_object_new();
    json_set_string(row, "actor", info->path);
    json_set_string(row, "unit", info->unit);
    json_set_string(row, "behavior", info->behavior);
    json_set_string(row, "state", info->state);
    json_set_string(row, "epoch", epoch_format(info->epoch, epoch));
    json_set_int(row, "incarnation", (int64_t)info->incarnation);
    json_set_int(row, "mailboxDepth", info->mailbox_depth);
    json_set_string(row, "lastExit", info->last_exit_reason);
    json_add_take(ctx, row);
}

static void serve_actors(struct gateway_http *http, struct httpd_call *call)
{
    const char *below = httpd_call_query(call, "below");
    _cleanup_(json_freep) struct json *answer = json_object_new();
    struct json *items = json_array_new();
    actor_system_list(http->config.gateway->actors, below ? below : "", add_actor, items);
    json_set_string(answer, "node", http->config.gateway->config.node_name);
    json_set_take(answer, "items", items);
    _cleanup_(cleanup_free) char *text = json_to_text(answer, JSON_COMPACT);
    httpd_call_answer(call, 200, "application/json", text, strlen(text));
}

static void serve_metrics(struct gateway_http *http, struct httpd_call *call)
{
    _cleanup_(str_done) struct str text = STR_INIT(METRICS_BYTES_MAX);
    metrics_write(http->metrics, &text);
    httpd_call_answer(call, 200, "text/plain; version=0.0.4", text.data, text.size);
}

static void serve_ready(struct gateway_http *http, struct httpd_call *call)
{
    const char *why = http->config.not_ready(http->config.ctx);
    if (why)
        httpd_call_refuse(call, 503, "%s", why);
    else
        httpd_call_answer(call, 200, "text/plain", "ok\n", 3);
}

static void handle(struct httpd_call *call, void *ctx)
{
    struct gateway_http *http = ctx;
    const char *path = httpd_call_path(call);
    if (text_starts_with(path, ask_prefix))
        serve_message(http, call, path + strlen(ask_prefix), false);
    else if (text_starts_with(path, tell_prefix))
        serve_message(http, call, path + strlen(tell_prefix), true);
    else if (!text_equal(httpd_call_method(call), "GET"))
        httpd_call_refuse(call, 405, "only GET \"%s\"", path);
    else if (text_equal(path, "/v1/actors"))
        serve_actors(http, call);
    else if (text_equal(path, "/healthz"))
        httpd_call_answer(call, 200, "text/plain", "ok\n", 3);
    else if (text_equal(path, "/readyz"))
        serve_ready(http, call);
    else if (text_equal(path, "/metrics"))
        serve_metrics(http, call);
    else
        httpd_call_refuse(call, 404, "no \"%s\" here", path);
}

/* ---- metrics ---- */

static const char *const counter_names[][2] = {
    {"histrio_node_messages_total", "Messages that actors of this node handled."},
    {"histrio_node_actors_spawned_total", "Actors that were started."},
    {"histrio_node_actors_exited_total", "Actors that ended, for any reason."},
    {"histrio_node_restarts_total", "Restarts by supervisors."},
    {"histrio_node_dead_letters_total", "Messages that nobody was there to take."},
    {"histrio_node_timers_fired_total", "Timers of actors that fired."},
};

static void collect(void *ctx)
{
    struct gateway_http *http = ctx;
    struct actor_counters now;
    actor_system_counters(http->config.gateway->actors, &now);
    const uint64_t counts[] = {
        now.messages, now.spawned, now.exited, now.restarts, now.dead_letters, now.timers_fired};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        metric_set(http->counters[i], (double)counts[i]);
    if (http->config.metrics.make)
        http->config.metrics.collect(http->config.metrics.ctx);
    metric_set(http->actors, now.actors);
    metric_set(http->mailbox_depth, (double)now.mailbox_depth);
    metric_set(http->snapshot_bytes, (double)now.kept_bytes);
    metric_set(http->ready, http->config.not_ready(http->config.ctx) ? 0 : 1);
}

static void make_metrics(struct gateway_http *http)
{
    http->metrics = metrics_new();
    for (size_t i = 0; i < sizeof(counter_names) / sizeof(counter_names[0]); i++)
        http->counters[i] = metrics_counter(http->metrics, counter_names[i][0], counter_names[i][1], NULL);
    http->actors = metrics_gauge(http->metrics, "histrio_node_actors", "Actors that live here.", NULL);
    http->mailbox_depth =
        metrics_gauge(http->metrics, "histrio_node_mailbox_depth", "Messages that wait in mailboxes.", NULL);
    http->snapshot_bytes = metrics_gauge(http->metrics, "histrio_node_snapshot_bytes",
        "State that actors have given for their next incarnations.", NULL);
    http->ready =
        metrics_gauge(http->metrics, "histrio_node_ready", "1 while the node serves, else 0.", NULL);
    if (http->config.metrics.make)
        http->config.metrics.make(http->config.metrics.ctx, http->metrics);
    metrics_on_write(http->metrics, collect, http);
}

/* ---- life ---- */

int gateway_http_new(
    const struct gateway_http_config *config, struct gateway_http **ret_http, struct err *err)
{
    struct gateway_http *http = xcalloc(1, sizeof(*http));
    struct httpd_config httpd = {
        .address = config->address, .handle = handle, .ctx = http, .body_bytes_max = LIMIT_VALUE_BYTES};
    http->config = *config;
    make_metrics(http);
    if (httpd_new(&httpd, &http->httpd, err) < 0) {
        gateway_http_free(http);
        return -1;
    }
    *ret_http = http;
    return 0;
}

const char *gateway_http_address(const struct gateway_http *http)
{
    return httpd_address(http->httpd);
}

void gateway_http_free(struct gateway_http *http)
{
    if (!http)
        return;
    httpd_free(http->httpd);
    metrics_free(http->metrics);
    free(http);
}
