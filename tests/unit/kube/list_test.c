/* Lists of many pages. */
#include "kube/list.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/meta.h"
#include "kube/resource.h"
#include "kube/status.h"
#include "unit/kube/stage.h"
#include "unit/kube/suites.h"

enum { OBJECTS = 7 };

struct listed {
    struct str seen;
    unsigned restarts;
    bool must_fail;
};

static int on_item(const struct json *object, void *ctx, struct err *err)
{
    struct listed *listed = ctx;
    str_appendf(&listed->seen, "%s ", kube_meta_name(object));
    return listed->must_fail ? err_set(err, ERR_BUSY, "enough") : 0;
}

static void on_restart(void *ctx)
{
    struct listed *listed = ctx;
    str_clear(&listed->seen);
    listed->restarts++;
}

static const struct kube_list_events EVENTS = {on_item, on_restart};

/* The number behind "name=" in the query, -1 when it is not there. */
static int query_number(const struct http_exchange *exchange, const char *name)
{
    const char *at = strstr(exchange->target, name);
    return at ? (int)strtol(at + strlen(name), NULL, 10) : -1;
}

/* Objects o0 to o6 in pages; the continue token is the number of the next one. */
static void serve_pages(struct stage *stage, struct http_exchange *exchange)
{
    _cleanup_(str_done) struct str text = STR_INIT(1024 * 1024);
    int limit = query_number(exchange, "limit=");
    int first = query_number(exchange, "continue=");
    (void)stage;
    first = first < 0 ? 0 : first;
    int last = limit < 0 || first + limit > OBJECTS ? OBJECTS : first + limit;
    str_append(&text, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"42\"");
    if (last < OBJECTS)
        str_appendf(&text, ",\"continue\":\"%d\"", last);
    str_append(&text, "},\"items\":[");
    for (int at = first; at < last; at++)
        str_appendf(&text, "%s{\"metadata\":{\"name\":\"o%d\"}}", at > first ? "," : "", at);
    str_append(&text, "]}");
    http_exchange_answer(exchange, 200, "", str_text(&text));
}

static void listed_done(struct listed *listed)
{
    str_done(&listed->seen);
}

#define LISTED                                                                                               \
    {                                                                                                        \
        .seen = STR_INIT(64 * 1024)                                                                          \
    }

static void all_pages_come(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    stage->handler = serve_pages;
    for (int count = 1; count <= 8; count++) {
        _cleanup_(listed_done) struct listed listed = LISTED;
        _cleanup_(cleanup_free) char *version = NULL;
        struct kube_list_request request = {
            .resource = &KUBE_PODS, .namespace = "n", .page_count_max = count};
        if (kube_list(stage->client, &request, &EVENTS, &listed, &version, NULL, &err) < 0)
            fail_msg("%s", err.text);
        assert_string_equal(str_text(&listed.seen), "o0 o1 o2 o3 o4 o5 o6 ");
        assert_string_equal(version, "42");
    }
    assert_int_equal(http_server_requests(stage->server), 7 + 4 + 3 + 2 + 2 + 2 + 1 + 1);
}

static void keep_target(struct stage *stage, struct http_exchange *exchange)
{
    mutex_lock(&stage->lock);
    free(stage->last_warning);
    stage->last_warning = xstrdup(exchange->target);
    mutex_unlock(&stage->lock);
    serve_pages(stage, exchange);
}

static void the_query_is_built(void **state)
{
    struct stage *stage = *state;
    _cleanup_(listed_done) struct listed listed = LISTED;
    struct kube_list_request request = {
        .resource = &KUBE_PODS, .label_selector = "a in (b,c)", .field_selector = "spec.nodeName=x"};
    stage->handler = keep_target;
    assert_int_equal(kube_list(stage->client, &request, &EVENTS, &listed, NULL, NULL, NULL), 0);
    assert_string_equal(stage->last_warning,
        "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&fieldSelector=spec.nodeName%3Dx&limit=500");
    request.resource_version = "0"; /* from the server's memory, which has no pages */
    assert_int_equal(kube_list(stage->client, &request, &EVENTS, &listed, NULL, NULL, NULL), 0);
    assert_string_equal(stage->last_warning,
        "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29&fieldSelector=spec.nodeName%3Dx&resourceVersion=0");
}

static void expire_in_the_middle(struct stage *stage, struct http_exchange *exchange)
{
    if (query_number(exchange, "continue=") == 4)
        http_exchange_refuse(exchange, 410, "Expired", "", "the provided continue parameter is too old");
    else
        serve_pages(stage, exchange);
}

static void expired_pages_begin_anew(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    _cleanup_(listed_done) struct listed listed = LISTED;
    struct kube_list_request request = {.resource = &KUBE_PODS, .page_count_max = 2};
    stage->handler = expire_in_the_middle;
    if (kube_list(stage->client, &request, &EVENTS, &listed, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(str_text(&listed.seen), "o0 o1 o2 o3 o4 o5 o6 ");
    assert_int_equal(listed.restarts, 1);
    assert_int_equal(http_server_requests(stage->server), 4);
}

static void expire_always(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_refuse(exchange, 410, "Expired", "", "too old");
}

static void failures_come_through(void **state)
{
    struct stage *stage = *state;
    _cleanup_(kube_status_done) struct kube_status status = {0};
    struct err err = {0};
    _cleanup_(listed_done) struct listed listed = LISTED;
    struct kube_list_request request = {.resource = &KUBE_PODS};
    stage->handler = expire_always;
    assert_int_equal(kube_list(stage->client, &request, &EVENTS, &listed, NULL, &status, &err), -1);
    assert_int_equal(status.reason, KUBE_REASON_EXPIRED);
    assert_int_equal(err.kind, ERR_EXPIRED);
    assert_int_equal(listed.restarts, 0);
    assert_int_equal(http_server_requests(stage->server), 1);
}

static void an_item_can_end_it(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    _cleanup_(listed_done) struct listed listed = LISTED;
    struct kube_list_request request = {.resource = &KUBE_PODS, .page_count_max = 2};
    stage->handler = serve_pages;
    listed.must_fail = true;
    assert_int_equal(kube_list(stage->client, &request, &EVENTS, &listed, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_BUSY);
    assert_string_equal(str_text(&listed.seen), "o0 ");
    assert_int_equal(http_server_requests(stage->server), 1);
}

static void no_list(struct stage *stage, struct http_exchange *exchange)
{
    (void)stage;
    http_exchange_answer(exchange, 200, "", "{\"kind\":\"PodList\",\"items\":[]}");
}

static void what_is_no_list_is_refused(void **state)
{
    struct stage *stage = *state;
    struct err err = {0};
    _cleanup_(listed_done) struct listed listed = LISTED;
    struct kube_list_request request = {.resource = &KUBE_PODS};
    stage->handler = no_list;
    assert_int_equal(kube_list(stage->client, &request, &EVENTS, &listed, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(text_starts_with(err.text, "pods: "));
}

const struct CMUnitTest list_tests[6] = {
    cmocka_unit_test_setup_teardown(all_pages_come, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(the_query_is_built, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(expired_pages_begin_anew, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(failures_come_through, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(an_item_can_end_it, stage_setup, stage_teardown),
    cmocka_unit_test_setup_teardown(what_is_no_list_is_refused, stage_setup, stage_teardown),
};
