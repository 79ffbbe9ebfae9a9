#include "unit/kube_watch/suites.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "kube/event.h"
#include "unit/kube_watch/notes.h"

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
        .on_problem = note_problem_text,
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

int recorder_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_recorder_writes_events_and_series, notes_setup, notes_teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_drops_and_counts, notes_setup, notes_teardown),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
