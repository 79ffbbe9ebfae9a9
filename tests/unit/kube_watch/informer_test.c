#include "unit/kube_watch/suites.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/informer.h"
#include "kube/resource.h"
#include "unit/kube_watch/notes.h"
#include "unit/kube_watch/thing.h"

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
        .on_problem = note_problem_text,
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

int informer_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_informer_follows_streams, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(
            an_informer_lists_where_streams_are_unknown, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(an_informer_asks_for_metadata_alone, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(an_informer_tells_its_problems, notes_setup, notes_teardown),
    };
    return cmocka_run_group_tests_name("informer", tests, NULL, NULL);
}
