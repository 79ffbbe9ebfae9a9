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
        status.conditions[kind] = (struct status_condition){true, xstrdup("R"), xstrdup("m"), 1000};
    for (size_t i = 0; i < nodes; i++) {
        struct status_node *node = vec_push_new(&status.nodes);
        *node = (struct status_node){.node = xasprintf("bank-nodes-%zu", i),
            .pod = xstrdup(""),
            .kube_node = xstrdup(""),
            .zone = xstrdup(""),
            .state = xstrdup("Connected"),
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

static void the_form_for_the_api_is_bounded(void **state)
{
    (void)state;
    struct status status = a_status(150, 30);
    struct json *json = status_to_json(&status, STATUS_FOR_API);
    assert_int_equal(json_count(json_get(json, "nodeStatuses")), 100);
    assert_true(json_bool(json_get(json, "truncated")));
    const struct json *exits = json_get(json, "recentExits");
    assert_int_equal(json_count(exits), 10);
    assert_string_equal(json_string(json_get(json_at(exits, 9), "actor")), "a/29"); /* the newest */
    assert_null(json_get(json, "actorStatuses"));
    json_free(json);
    status_done(&status);
}

const struct CMUnitTest status_json_tests[2] = {
    cmocka_unit_test(the_long_form_has_everything),
    cmocka_unit_test(the_form_for_the_api_is_bounded),
};
