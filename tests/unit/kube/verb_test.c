/* Verbs as they are on the wire. */
#include "kube/verbs.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "unit/kube/stage.h"
#include "unit/kube/suites.h"

static const struct kube_target POD = {&KUBE_PODS, "n", "p", NULL};

/* Answers with what came, as an object. */
static void echo(struct stage *stage, struct http_exchange *exchange)
{
    _cleanup_(cleanup_free) char *type = http_exchange_header(exchange, "Content-Type");
    _cleanup_(cleanup_free) char *accept = http_exchange_header(exchange, "Accept");
    _cleanup_(str_done) struct str text = STR_INIT(64 * 1024);
    (void)stage;
    str_appendf(&text, "{\"line\":\"%s %s\",\"type\":\"%s\",\"accept\":\"%s\",\"body\":", exchange->method,
        exchange->target, type, accept);
    str_append_json_string(&text, exchange->body);
    str_append(&text, "}");
    http_exchange_answer(exchange, 200, "", str_text(&text));
}

static void assert_said(const struct json *object, const char *line, const char *type, const char *body)
{
    assert_string_equal(json_string(json_get(object, "line")), line);
    assert_string_equal(json_string(json_get(object, "type")), type);
    assert_string_equal(json_string(json_get(object, "body")), body);
}

static void reading_is_a_get(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = echo;
    _cleanup_(json_freep) struct json *plain = NULL, *partial = NULL;
    struct kube_options options = {.timeout_ms = 1500, .is_metadata_only = true};
    assert_int_equal(kube_get(stage->client, &POD, NULL, &plain, NULL, &err), 0);
    assert_said(plain, "GET /api/v1/namespaces/n/pods/p?timeout=30s", "", "");
    assert_string_equal(json_string(json_get(plain, "accept")), "application/json");
    assert_int_equal(kube_get(stage->client, &POD, &options, &partial, NULL, &err), 0);
    assert_said(partial, "GET /api/v1/namespaces/n/pods/p?timeout=2s", "", "");
    assert_string_equal(json_string(json_get(partial, "accept")), KUBE_ACCEPT_METADATA);
    assert_int_equal(kube_get(stage->client, &POD, NULL, NULL, NULL, &err), 0);
}

static void writing_has_four_ways(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = echo;
    _cleanup_(json_freep) struct json *created = NULL, *replaced = NULL, *applied = NULL, *patched = NULL,
                                      *evicted = NULL;
    struct kube_target pods = {&KUBE_PODS, "n", NULL, NULL};
    struct kube_target status = {&KUBE_PODS, "n", "p", "status"};
    struct kube_target eviction = {&KUBE_PODS, "n", "p", "eviction"};
    struct kube_options options = {
        .field_manager = "me", .is_forced = true, .is_strict = true, .is_dry_run = true};
    assert_int_equal(kube_create(stage->client, &pods, "{1}", NULL, &created, NULL, &err), 0);
    assert_said(created, "POST /api/v1/namespaces/n/pods?timeout=30s", "application/json", "{1}");
    assert_int_equal(kube_create(stage->client, &eviction, "{}", NULL, &evicted, NULL, &err), 0);
    assert_said(evicted, "POST /api/v1/namespaces/n/pods/p/eviction?timeout=30s", "application/json", "{}");
    assert_int_equal(kube_replace(stage->client, &status, "{2}", NULL, &replaced, NULL, &err), 0);
    assert_said(replaced, "PUT /api/v1/namespaces/n/pods/p/status?timeout=30s", "application/json", "{2}");
    assert_int_equal(kube_apply(stage->client, &POD, "{3}", &options, &applied, NULL, &err), 0);
    assert_said(applied,
        "PATCH /api/v1/namespaces/n/pods/"
        "p?timeout=30s&fieldManager=me&fieldValidation=Strict&dryRun=All&force=true",
        "application/apply-patch+yaml", "{3}");
    assert_int_equal(kube_merge_patch(stage->client, &POD, "{4}", NULL, &patched, NULL, &err), 0);
    assert_said(
        patched, "PATCH /api/v1/namespaces/n/pods/p?timeout=30s", "application/merge-patch+json", "{4}");
}

static void keep_body(struct stage *stage, struct http_exchange *exchange)
{
    mutex_lock(&stage->lock);
    free(stage->last_warning);
    stage->last_warning = xasprintf("%s %s %s", exchange->method, exchange->target, exchange->body);
    mutex_unlock(&stage->lock);
    http_exchange_answer(exchange, 200, "", "{\"kind\":\"Status\",\"status\":\"Success\"}");
}

static void deleting_has_preconditions(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    struct kube_delete_options options = {.uid = "u",
        .resource_version = "7",
        .has_grace_period = true,
        .propagation = KUBE_PROPAGATION_FOREGROUND};
    stage->handler = keep_body;
    assert_int_equal(kube_delete(stage->client, &POD, NULL, NULL, &err), 0);
    assert_string_equal(stage->last_warning,
        "DELETE /api/v1/namespaces/n/pods/p?timeout=30s {\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}");
    assert_int_equal(kube_delete(stage->client, &POD, &options, NULL, &err), 0);
    assert_string_equal(stage->last_warning,
        "DELETE /api/v1/namespaces/n/pods/p?timeout=30s {\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\","
        "\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"7\"},\"gracePeriodSeconds\":0,"
        "\"propagationPolicy\":\"Foreground\"}");
}

static void nonsense(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_answer(exchange, 200, "", "{\"a\":}");
}

static void answers_must_be_json(void **state)
{
    struct stage *stage = *state;
    struct json *object = NULL;
    struct err err = {0};
    stage->handler = nonsense;
    assert_int_equal(kube_get(stage->client, &POD, NULL, &object, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(object);
    assert_int_equal(kube_get(stage->client, &POD, NULL, NULL, NULL, &err), 0); /* nobody looks at it */
}

static void names_are_checked(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    struct kube_target wrong = {&KUBE_PODS, "n", "a/b", NULL};
    stage->handler = echo;
    assert_int_equal(kube_get(stage->client, &wrong, NULL, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(http_server_requests(stage->server), 0);
}

static void services_are_reached_through_the_proxy(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    _cleanup_(str_done) struct str path = STR_INIT(1024);
    _cleanup_(json_freep) struct json *said = NULL, *version = NULL;
    stage->handler = echo;
    assert_int_equal(kube_service_path("n", "s", "http", "/v1/ask?a=b", &path, &err), 0);
    assert_int_equal(kube_get_path(stage->client, str_text(&path), &said, NULL, &err), 0);
    assert_said(said, "GET /api/v1/namespaces/n/services/s:http/proxy/v1/ask?a=b", "", "");
    assert_int_equal(kube_get_path(stage->client, "/version", &version, NULL, &err), 0);
    assert_said(version, "GET /version", "", "");
}

const struct CMUnitTest verb_tests[6] = {
    cmocka_unit_test_setup_teardown(reading_is_a_get, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(writing_has_four_ways, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(deleting_has_preconditions, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(answers_must_be_json, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(names_are_checked, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(services_are_reached_through_the_proxy, stage_setup, stage_teardown),
};
