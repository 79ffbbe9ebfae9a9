#include "unit/api/suites.h"

#include "api/status_json.h"
#include "base/epoch.h"
#include "base/json.h"
#include "base/mem.h"
#include "types/status.h"

static struct status_exit an_exit(int number)
{
    return (struct status_exit){.actor = xasprintf("a/%d", number),
        .unit = xstrdup("a"),
        .node = xstrdup("n"),
        .reason = xstrdup("normal"),
        .decision = xstrdup("Restart"),
        .cause = xstrdup(""),
        .rule = xstrdup(""),
        .backtrace = xstrdup(""),
        .epoch = epoch_make(1, 7),
        .incarnation = 3,
        .at_wall_ms = 1};
}

static struct status a_status(size_t nodes, int exits)
{
    struct status status = {.system = xstrdup("bank"), .system_uid = xstrdup("u"), .units_desired = 2};
    for (size_t kind = 0; kind < CONDITION_COUNT; kind++)
        status.conditions[kind] = (struct status_condition){
            .is_true = true, .reason = xstrdup("R"), .message = xstrdup("m"), .since_wall_ms = 1000};
    for (size_t i = 0; i < nodes; i++) {
        struct status_node *node = vec_push_new(&status.nodes);
        *node = (struct status_node){.node = xasprintf("bank-nodes-%zu", i),
            .pod = xstrdup(""),
            .kube_node = xstrdup(""),
            .zone = xstrdup(""),
            .state = xstrdup("Connected"),
            .reason = xstrdup(""),
            .message = xstrdup(""),
            .template_hash = xstrdup(""),
            .uid = 0xc0ffee,
            .link_address = xstrdup(""),
            .gateway_address = xstrdup("unix:/x")};
    }
    for (int i = 0; i < exits; i++)
        vec_push(&status.exits, an_exit(i));
    return status;
}

static void the_long_form_has_everything(void **state)
{
    (void)state;
    struct status status = a_status(150, 30);
    struct json *json = status_to_json(&status, STATUS_FOR_RUN);
    assert_int_equal(json_count(json_get(json, "nodeStatuses")), 150);
    assert_int_equal(json_count(json_get(json, "exits")), 30);
    assert_null(json_get(json, "recentExits"));
    const struct json *node = json_at(json_get(json, "nodeStatuses"), 0);
    assert_string_equal(json_string(json_get(node, "uid")), "0000000000c0ffee");
    assert_string_equal(json_string(json_get(node, "gatewayAddress")), "unix:/x");
    const struct json *exit = json_at(json_get(json, "exits"), 0);
    assert_string_equal(json_string(json_get(exit, "epoch")), "1.7");
    assert_int_equal(json_int(json_get(exit, "incarnation")), 3);
    const struct json *condition = json_at(json_get(json, "conditions"), 0);
    assert_string_equal(json_string(json_get(condition, "type")), "Ready");
    assert_string_equal(json_string(json_get(condition, "status")), "True");
    assert_string_equal(json_string(json_get(condition, "lastTransitionTime")), "1970-01-01T00:00:01.000Z");
    assert_int_equal(json_int(json_get(json_get(json, "units"), "desired")), 2);
    json_free(json);
    status_done(&status);
}

static void columns_and_scale_read_one_field_each(void **state)
{
    (void)state;
    struct status status = a_status(1, 0);
    status.units_running = 1;
    status.nodes_desired = 3;
    status.nodes_ready = 2;
    status.replicas = 4;
    status.observed_generation = 7;
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    assert_string_equal(json_string(json_get(json_get(json, "units"), "text")), "1/2");
    assert_string_equal(json_string(json_get(json_get(json, "nodes"), "text")), "2/3");
    assert_string_equal(json_string(json_get(json, "selector")), "histrio.dev/system=bank");
    assert_int_equal(json_int(json_get(json, "replicas")), 4);
    const struct json *ready = json_at(json_get(json, "conditions"), 0);
    assert_int_equal(json_int(json_get(ready, "observedGeneration")), 7);
    assert_string_equal(json_string(json_get(json, "reason")), ""); /* it is ready */
    json_free(json);
    status_done(&status);
}

static void reason_is_of_the_condition_that_says_most(void **state)
{
    (void)state;
    struct status status = a_status(1, 0);
    status.conditions[CONDITION_READY].is_true = false;
    status.conditions[CONDITION_READY].is_unknown = true;
    status.conditions[CONDITION_STALLED].is_true = false;
    free(status.conditions[CONDITION_DEGRADED].reason);
    status.conditions[CONDITION_DEGRADED].reason = xstrdup("NodesMissing");
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    assert_string_equal(json_string(json_get(json, "reason")), "NodesMissing");
    const struct json *ready = json_at(json_get(json, "conditions"), 0);
    assert_string_equal(json_string(json_get(ready, "status")), "Unknown");
    json_free(json);
    status_done(&status);
}

static void the_form_for_the_api_is_bounded(void **state)
{
    (void)state;
    struct status status = a_status(150, 30);
    char *trace = xmalloc(100 * 1000 + 1);
    memset(trace, 'x', 100 * 1000);
    trace[100 * 1000] = '\0';
    free(status.exits.items[29].backtrace);
    status.exits.items[29].backtrace = trace;
    for (int i = 0; i < 150; i++) {
        struct status_quarantine *row = vec_push_new(&status.quarantined);
        *row = (struct status_quarantine){xasprintf("u.%d", i), xstrdup("r"), 1};
    }
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    assert_int_equal(json_count(json_get(json, "quarantined")), 100);
    assert_int_equal(json_count(json_get(json, "nodeStatuses")), 100);
    assert_true(json_bool(json_get(json, "truncated")));
    const struct json *exits = json_get(json, "recentExits");
    assert_int_equal(json_count(exits), 10);
    assert_string_equal(json_string(json_get(json_at(exits, 9), "actor")), "a/29"); /* the newest */
    assert_int_equal(json_string_size(json_get(json_at(exits, 9), "backtrace")), 1024);
    assert_null(json_get(json, "actorStatuses"));
    json_free(json);
    status_done(&status);
}

const struct CMUnitTest status_json_tests[4] = {
    cmocka_unit_test(columns_and_scale_read_one_field_each),
    cmocka_unit_test(reason_is_of_the_condition_that_says_most),
    cmocka_unit_test(the_long_form_has_everything),
    cmocka_unit_test(the_form_for_the_api_is_bounded),
};
