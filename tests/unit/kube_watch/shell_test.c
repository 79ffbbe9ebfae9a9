/* Informer, lease and recorder against a server whose answers a test decides. */
#include "unit/kube_watch/suites.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/event.h"
#include "kube/informer.h"
#include "kube/lease.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "unit/kube/stage.h"
#include "unit/kube_watch/thing.h"

enum { PATIENCE_MS = 20 * 1000 };

/* What happened, as words; guarded by the stage's lock. */
struct notes {
    struct stage *stage;
    struct str text;
    int syncs;
    /* The server's Lease. */
    struct json *lease;
    uint64_t lease_version;
    bool refuses;
};

static int setup(void **state)
{
    if (stage_setup(state) < 0)
        return -1;
    struct stage *stage = *state;
    struct notes *notes = xcalloc(1, sizeof(*notes));
    str_init(&notes->text, 100000);
    notes->stage = stage;
    stage->ctx = notes;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    int result = stage_teardown(state);
    str_done(&notes->text);
    json_free(notes->lease);
    free(notes);
    return result;
}

__attribute__((format(printf, 2, 3))) static void note(struct notes *notes, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    mutex_lock(&notes->stage->lock);
    str_vappendf(&notes->text, fmt, args);
    condition_broadcast(&notes->stage->changed);
    mutex_unlock(&notes->stage->lock);
    va_end(args);
}

/* Waits until the words are in the notes; they are taken out up to there. */
static void expect_noted(struct notes *notes, const char *words)
{
    int64_t deadline_ns = clock_now_ns(clock_system()) + PATIENCE_MS * NS_PER_MS;
    mutex_lock(&notes->stage->lock);
    bool is_late = false;
    const char *found = NULL;
    while (!(found = strstr(str_text(&notes->text), words)) && !is_late)
        is_late = !condition_wait_until(&notes->stage->changed, &notes->stage->lock, deadline_ns);
    if (!found)
        print_error("\"%s\" is not in: %s\n", words, str_text(&notes->text));
    _cleanup_(cleanup_free) char *rest = xstrdup(found ? found + strlen(words) : "");
    str_clear(&notes->text);
    str_append(&notes->text, rest);
    mutex_unlock(&notes->stage->lock);
    assert_non_null(found);
}

/* ---- the informer ---- */

static const struct kube_resource things = {"example.dev", "v1", "things", "Thing", true};

#define OBJECT(name, version, color)                                                                         \
    "{\"metadata\":{\"namespace\":\"x\",\"name\":\"" name "\",\"uid\":\"u-" name                             \
    "\",\"resourceVersion\":\"" version "\"},\"color\":\"" color "\"}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define PAGE(version, items)                                                                                 \
    "{\"kind\":\"ThingList\",\"items\":[" items "],\"metadata\":{\"resourceVersion\":\"" version "\"}}"
#define INITIAL_END(version)                                                                                 \
    EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version                                        \
                      "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

static void on_change(
    void *ctx, const struct kube_object *old_object, const struct kube_object *new_object, bool is_initial)
{
    note(ctx, "%s%s %s>%s|", is_initial ? "initial " : "", (new_object ? new_object : old_object)->name,
        old_object ? thing_color(old_object) : "", new_object ? thing_color(new_object) : "");
}

static void on_problem(void *ctx, const struct err *problem)
{
    note(ctx, "problem %s|", problem ? problem->text : "over");
}

static void on_synced(void *ctx)
{
    struct notes *notes = ctx;
    notes->syncs++;
    note(notes, "%s", "");
}

static struct kube_informer *begin(struct stage *stage, stage_handler *handler, bool lists)
{
    const struct kube_informer_config config = {.resource = &things,
        .namespace = "x",
        .label_selector = "app=a b",
        .lists = lists,
        .decode = thing_decode,
        .release = thing_release,
        .indexes = thing_indexes,
        .index_count = 2,
        .on_change = on_change,
        .on_problem = on_problem,
        .on_synced = on_synced,
        .ctx = stage->ctx};
    struct kube_informer *informer = NULL;
    atomic_store(&stage->handler, handler);
    assert_int_equal(kube_informer_start(stage->client, clock_system(), &config, &informer, NULL), 0);
    return informer;
}

static void serve_stream(struct stage *stage, struct http_exchange *exchange)
{
    note(stage->ctx, "%s|", exchange->target);
    http_exchange_send(exchange, STREAM_HEAD);
    if (exchange->number == 0) {
        http_exchange_send(
            exchange, EVENT("ADDED", OBJECT("a", "3", "red")) EVENT("ADDED", OBJECT("b", "2", "blue")));
        http_exchange_send(exchange, INITIAL_END("5") "{\"type\":\"MODIFIED\",");
        http_exchange_send(exchange,
            "\"object\":" OBJECT("a", "6", "green") "}\n" EVENT("DELETED", OBJECT("b", "7", "blue")));
        http_exchange_send(exchange, EVENT("ERROR", "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                                                    "\"Failure\",\"reason\":\"Expired\",\"code\":410}"));
    } else {
        http_exchange_send(exchange, EVENT("ADDED", OBJECT("c", "8", "white")) INITIAL_END("9"));
    }
    http_exchange_hang(exchange);
}

static void an_informer_follows_streams(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_informer *informer = begin(stage, serve_stream, false);
    expect_noted(notes,
        "/apis/example.dev/v1/namespaces/x/things?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&"
        "resourceVersionMatch=NotOlderThan&timeoutSeconds=");
    expect_noted(notes, "&labelSelector=app%3Da%20b|");
    expect_noted(notes, "initial a >red|initial b >blue|a red>green|b blue>|");
    expect_noted(notes, "resourceVersion=7&");
    expect_noted(notes, "a green>|c >white|"); /* a went while nobody watched */
    assert_true(kube_informer_has_synced(informer));
    assert_int_equal(kube_informer_version(informer), 9);
    assert_int_equal(kube_store_count(kube_informer_store(informer)), 1);

    kube_informer_require(informer, 9); /* is there */
    kube_informer_require(informer, 20);
    expect_noted(notes, "resourceVersion=20&");
    expect_noted(notes, "problem the API server is at version 9 and 20 is known to exist");
    struct kube_informer_stats stats;
    kube_informer_stats(informer, &stats);
    assert_true(stats.watches >= 2);
    assert_int_equal(stats.lists, 0);
    assert_int_equal(stats.events, 2);
    kube_informer_free(informer);
    assert_int_equal(thing_count(), 0);
    assert_int_equal(notes->syncs, 1);
}

static void serve_old(struct stage *stage, struct http_exchange *exchange)
{
    note(stage->ctx, "%s|", exchange->target);
    if (strstr(exchange->target, "sendInitialEvents")) {
        http_exchange_refuse(exchange, 422, "Invalid", "", "sendInitialEvents is forbidden");
    } else if (!strstr(exchange->target, "watch=true")) {
        http_exchange_answer(
            exchange, 200, "", PAGE("5", OBJECT("a", "3", "red") "," OBJECT("b", "4", "bad")));
    } else {
        http_exchange_send(exchange, STREAM_HEAD);
        http_exchange_send(exchange, EVENT("ADDED", OBJECT("c", "6", "white")));
        http_exchange_hang(exchange);
    }
}

static void an_informer_lists_where_streams_are_unknown(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_informer *informer = begin(stage, serve_old, false);
    expect_noted(notes, "sendInitialEvents=true");
    expect_noted(
        notes, "/apis/example.dev/v1/namespaces/x/things?labelSelector=app%3Da%20b&resourceVersion=0|");
    expect_noted(notes, "problem \"b\": color \"bad\" is no color|initial a >red|");
    expect_noted(notes, "resourceVersion=5&");
    expect_noted(notes, "c >white|");
    kube_informer_free(informer);
}

static void serve_accept(struct stage *stage, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *accept = http_exchange_header(exchange, "Accept");
    note(stage->ctx, "%s|", accept);
    if (strstr(exchange->target, "watch=true"))
        http_exchange_hang(exchange);
    else
        http_exchange_answer(exchange, 200, "", PAGE("5", ""));
}

static void an_informer_asks_for_metadata_alone(void **state)
{
    struct stage *stage = *state;
    const struct kube_informer_config config = {.resource = &things,
        .metadata_only = true,
        .lists = true,
        .decode = thing_decode,
        .release = thing_release};
    struct kube_informer *informer = NULL;
    atomic_store(&stage->handler, serve_accept);
    assert_int_equal(kube_informer_start(stage->client, clock_system(), &config, &informer, NULL), 0);
    expect_noted(stage->ctx, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1|");
    expect_noted(stage->ctx, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1|");
    kube_informer_free(informer);
}

static void serve_busy(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    if (exchange->number == 0)
        http_exchange_refuse(exchange, 403, "Forbidden", "", "things is forbidden");
    else
        http_exchange_answer(exchange, 200, "", PAGE("5", ""));
}

static void an_informer_tells_its_problems(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_informer *informer = begin(stage, serve_busy, true);
    expect_noted(notes, "problem GET /apis/example.dev/v1/namespaces/x/things: Forbidden: things is "
                        "forbidden|problem over|");
    kube_informer_free(informer);

    struct err err = {0};
    const struct kube_informer_config config = {.resource = &things, .namespace = "a/b"};
    assert_int_equal(kube_informer_start(stage->client, clock_system(), &config, &informer, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
}

/* ---- the lease ---- */

static void answer_lease(struct notes *notes, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *text = json_to_text(notes->lease, JSON_COMPACT);
    http_exchange_answer(exchange, 200, "", text);
}

static void put_lease(struct notes *notes, struct json *lease_take)
{
    json_free(notes->lease);
    notes->lease = lease_take;
    json_set_stringf(json_get(notes->lease, "metadata"), "resourceVersion", "%llu",
        (unsigned long long)++notes->lease_version);
}

static void serve_lease_locked(struct notes *notes, struct http_exchange *exchange)
{
    struct json *body = NULL;
    if (exchange->body_size > 0)
        assert_int_equal(json_parse(exchange->body, exchange->body_size, &body, NULL), 0);
    bool is_put = strcmp(exchange->method, "PUT") == 0;
    bool is_same = body && notes->lease &&
                   strcmp(kube_meta_resource_version(body), kube_meta_resource_version(notes->lease)) == 0;
    if (notes->refuses)
        http_exchange_refuse(exchange, 500, "InternalError", "", "no");
    else if (!notes->lease && strcmp(exchange->method, "POST") != 0)
        http_exchange_refuse(exchange, 404, "NotFound", "", "no such lease");
    else if (is_put && !is_same)
        http_exchange_refuse(exchange, 409, "Conflict", "", "changed");
    else if (body)
        put_lease(notes, steal_ptr(&body));
    if (notes->lease && !notes->refuses && (!is_put || is_same))
        answer_lease(notes, exchange);
    json_free(body);
}

static void serve_lease(struct stage *stage, struct http_exchange *exchange)
{
    struct notes *notes = stage->ctx;
    mutex_lock(&stage->lock);
    serve_lease_locked(notes, exchange);
    mutex_unlock(&stage->lock);
    note(notes, "%s %.*s|", exchange->method, (int)strcspn(exchange->target, "?"), exchange->target);
}

static void on_started(void *ctx, uint64_t known_version)
{
    note(ctx, "started %d|", (int)known_version);
}

static void on_stopped(void *ctx, const char *why)
{
    note(ctx, "stopped: %s|", why);
}

static void on_leader(void *ctx, const char *identity)
{
    note(ctx, "leader %s|", identity);
}

static uint64_t seen_version(void *ctx)
{
    (void)ctx;
    return 77;
}

static struct kube_lease *begin_lease(struct stage *stage)
{
    const struct kube_lease_config config = {.namespace = "x",
        .name = "operator",
        .identity = "me",
        .duration_ms = 2000,
        .renew_deadline_ms = 1700,
        .retry_ms = 50,
        .version_annotation = "example.dev/version",
        .version = seen_version,
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_problem = on_problem,
        .ctx = stage->ctx};
    struct kube_lease *lease = NULL;
    atomic_store(&stage->handler, serve_lease);
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, NULL), 0);
    return lease;
}

/* What the server has at key of spec; the caller frees it. */
static char *lease_text(struct notes *notes, const char *key)
{
    mutex_lock(&notes->stage->lock);
    char *text = xstrdup(json_string(json_get(json_get(notes->lease, "spec"), key)));
    mutex_unlock(&notes->stage->lock);
    return text;
}

static void a_lease_is_made_renewed_lost_and_given_up(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_lease *lease = begin_lease(stage);
    expect_noted(notes, "GET /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    expect_noted(notes, "POST /apis/coordination.k8s.io/v1/namespaces/x/leases|");
    assert_int_equal(kube_lease_held_until_ms(lease), 0);
    expect_noted(notes, "PUT /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    expect_noted(notes, "started 77|leader me|");
    int64_t held_ms = kube_lease_held_until_ms(lease) - clock_now_ms(clock_system());
    assert_true(held_ms <= 1700);
    for (int i = 0; i < 3; i++)
        expect_noted(notes, "PUT /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    _cleanup_(cleanup_free) char *holder = lease_text(notes, "holderIdentity");
    assert_string_equal(holder, "me");
    _cleanup_(cleanup_free) char *renewed = lease_text(notes, "renewTime");
    assert_int_equal(strlen(renewed), strlen("2026-11-23T12:00:00.000000Z"));

    mutex_lock(&stage->lock);
    notes->refuses = true;
    mutex_unlock(&stage->lock);
    expect_noted(notes, "problem ");
    expect_noted(notes, "stopped: it was not renewed in time|");
    assert_false(kube_lease_is_held(lease));
    mutex_lock(&stage->lock);
    notes->refuses = false;
    mutex_unlock(&stage->lock);
    expect_noted(notes, "started 77|"); /* it is still ours */
    assert_true(kube_lease_held_until_ms(lease) > 0);
    kube_lease_free(lease);
    expect_noted(notes, "stopped: this replica ends|");
    _cleanup_(cleanup_free) char *nobody = lease_text(notes, "holderIdentity");
    assert_string_equal(nobody, "");
}

static void a_lease_of_others_is_left_alone(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    const char *text = "{\"metadata\":{\"name\":\"operator\"},\"spec\":{\"holderIdentity\":\"other\","
                       "\"leaseDurationSeconds\":60,\"leaseTransitions\":3}}";
    assert_int_equal(json_parse(text, strlen(text), &notes->lease, NULL), 0);
    put_lease(notes, steal_ptr(&notes->lease));
    struct kube_lease *lease = begin_lease(stage);
    expect_noted(notes, "leader other|");
    for (int i = 0; i < 3; i++)
        expect_noted(notes, "GET /apis/coordination.k8s.io/v1/namespaces/x/leases/operator|");
    kube_lease_free(lease);
    assert_int_equal(notes->lease_version, 1);
    assert_null(strstr(str_text(&notes->text), "started"));
}

static void leases_that_make_no_sense_are_refused(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    struct kube_lease *lease = NULL;
    struct kube_lease_config config = {.namespace = "x", .name = "operator", .identity = ""};
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_string_equal(err.text, "a lease needs an identity");
    config.identity = "me";
    config.retry_ms = 5000;
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_string_equal(err.text, "the lease's retry period must be above 0 and below its renew deadline");
    config.retry_ms = 0;
    config.renew_deadline_ms = 5900;
    assert_int_equal(kube_lease_start(stage->client, clock_system(), &config, &lease, &err), -1);
    assert_true(text_starts_with(err.text, "the lease's duration must be at least 2 s"));
    assert_null(lease);
}

/* ---- the recorder ---- */

static void serve_events(struct stage *stage, struct http_exchange *exchange)
{
    note(stage->ctx, "%s %.*s %s|", exchange->method, (int)strcspn(exchange->target, "?"), exchange->target,
        exchange->body);
    http_exchange_answer(exchange, 201, "", "{}");
}

static void a_recorder_writes_events_and_series(void **state)
{
    struct stage *stage = *state;
    struct notes *notes = stage->ctx;
    struct kube_recorder *recorder = NULL;
    const struct kube_recorder_config config = {.controller = "example.dev/operator", .instance = "pod-1"};
    const struct kube_event event = {.api_version = "example.dev/v1",
        .kind = "Thing",
        .namespace = "x",
        .name = "a",
        .uid = "u1",
        .is_warning = true,
        .reason = "NodeLost",
        .action = "Restart",
        .note = "node \"n\" is lost"};
    atomic_store(&stage->handler, serve_events);
    kube_recorder_emit(NULL, &event); /* does nothing */
    assert_int_equal(kube_recorder_start(stage->client, clock_system(), &config, &recorder, NULL), 0);
    kube_recorder_emit(recorder, &event);
    kube_recorder_emit(recorder, &event);
    expect_noted(notes, "POST /apis/events.k8s.io/v1/namespaces/x/events ");
    expect_noted(notes,
        "\"reportingController\":\"example.dev/"
        "operator\",\"reportingInstance\":\"pod-1\",\"type\":\"Warning\","
        "\"reason\":\"NodeLost\",\"action\":\"Restart\",\"note\":\"node \\\"n\\\" is lost\",\"regarding\":{"
        "\"apiVersion\":\"example.dev/"
        "v1\",\"kind\":\"Thing\",\"namespace\":\"x\",\"name\":\"a\",\"uid\":\"u1\"}}|");
    expect_noted(notes, "PATCH /apis/events.k8s.io/v1/namespaces/x/events/a.");
    expect_noted(notes, "{\"series\":{\"count\":2,\"lastObservedTime\":\"");
    const struct kube_event cluster_event = {
        .api_version = "v1", .kind = "Node", .name = "n", .reason = "Gone"};
    kube_recorder_emit(recorder, &cluster_event);
    kube_recorder_free(recorder); /* writes what is queued */
    expect_noted(notes, "POST /apis/events.k8s.io/v1/namespaces/default/events ");
}

static void serve_nothing(struct stage *stage, struct http_exchange *exchange)
{
    note(stage->ctx, "asked|");
    http_exchange_hang(exchange);
}

static void a_full_queue_drops_and_counts(void **state)
{
    struct stage *stage = *state;
    struct kube_recorder *recorder = NULL;
    const struct kube_recorder_config config = {.controller = "example.dev/operator",
        .instance = "pod-1",
        .on_problem = on_problem,
        .ctx = stage->ctx};
    const struct kube_event event = {.api_version = "v1", .kind = "Node", .name = "n", .reason = "Gone"};
    atomic_store(&stage->handler, serve_nothing);
    assert_int_equal(kube_recorder_start(stage->client, clock_system(), &config, &recorder, NULL), 0);
    kube_recorder_emit(recorder, &event);
    expect_noted(stage->ctx, "asked|"); /* the thread waits for the answer */
    for (int i = 0; i < 1005; i++)
        kube_recorder_emit(recorder, &event);
    struct kube_recorder_stats stats;
    kube_recorder_stats(recorder, &stats);
    assert_int_equal(stats.emitted, 1006);
    assert_int_equal(stats.dropped, 5);
    kube_client_stop(stage->client); /* requests fail at once from now on */
    kube_recorder_free(recorder);
    expect_noted(stage->ctx, "problem ");
}

int shell_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_informer_follows_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(an_informer_lists_where_streams_are_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(an_informer_asks_for_metadata_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(an_informer_tells_its_problems, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lease_is_made_renewed_lost_and_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lease_of_others_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(leases_that_make_no_sense_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_recorder_writes_events_and_series, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_and_counts, setup, teardown),
    };
    return cmocka_run_group_tests_name("shell", tests, NULL, NULL);
}
