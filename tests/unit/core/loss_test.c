/* Nodes that are found, silent, asserted to be gone, or ended. */
#include "unit/core/suites.h"

#include <signal.h>

#include "base/err.h"
#include "base/mem.h"
#include "types/status.h"
#include "types/system.h"
#include "unit/core/stage.h"

enum { LONG_MS = 60 * 1000, TTL_MS = 3000, PERMISSION_MS = TTL_MS + TTL_MS / 10 };

static void start(struct stage *stage, uint32_t nodes, const char *entries)
{
    stage->is_cluster = true;
    stage->template_hash = "one";
    stage_start(stage, stage_spec(nodes, entries, ""), NULL, "u");
    stage_settle(stage, 1000);
    stage_forget(stage);
}

static void expect_node_state(struct stage *stage, const char *name, const char *expected)
{
    struct status status;
    bool is_found = false;
    core_status(stage->core, &status);
    vec_for_each (node, &status.nodes)
        if (text_equal(node->node, name)) {
            is_found = true;
            assert_string_equal(node->state, expected);
        }
    assert_true(is_found);
    status_done(&status);
}

static void expect_last_exit(struct stage *stage, const char *rule, const char *reason)
{
    struct status status;
    core_status(stage->core, &status);
    assert_true(status.exits.count > 0);
    assert_string_equal(status.exits.items[status.exits.count - 1].rule, rule);
    assert_string_equal(status.exits.items[status.exits.count - 1].reason, reason);
    status_done(&status);
}

static void a_silent_node_waits_for_an_assertion(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 3, "a*6");
    struct stage_node *node = stage_holder(&stage, "a.0");
    stage_cut(&stage, node);
    stage_settle(&stage, PERMISSION_MS - 1);
    expect_node_state(&stage, node->name, "Disconnected");
    stage_settle(&stage, 100 * LONG_MS);
    expect_node_state(&stage, node->name, "Lost");
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    assert_int_equal(stage_log_count(&stage, "create"), 0);
    stage_expect(&stage, "Degraded", "True NodeLost");
    stage_expect(&stage, "Ready", "False UnitsNotRunning");
    stage_expect_message(&stage, "Ready", "4 of 6 units run; 2 are on a node that is silent");
    char *unit_state = stage_unit_state(&stage, "a.0");
    assert_string_equal(unit_state, "Lost");
    free(unit_state);
    char *step = xasprintf("histrio.dev/forget=%s", node->name);
    stage_expect_message(&stage, "Degraded", step);
    stage_expect_message(&stage, "Degraded", "its 2 units wait for an assertion");
    free(step);
    node->is_cut = false; /* and there it is again */
    stage_connect(&stage, node);
    stage_settle(&stage, 1000);
    stage_expect(&stage, "Degraded", "False AsDesired");
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_done(&stage);
}

static void an_assertion_waits_out_what_was_permitted(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 3, "a*6");
    struct stage_node *node = stage_holder(&stage, "a.0");
    char *name = xstrdup(node->name);
    core_node_asserted(stage.core, name, "its KubeNode was deleted", false);
    stage_settle(&stage, LONG_MS);
    assert_string_equal(str_text(&stage.log), ""); /* its echoes are fresh */
    stage_cut(&stage, node);
    stage_settle(&stage, PERMISSION_MS - 1);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage.keeps_fence = true;
    stage_settle(&stage, 10);
    assert_int_equal(stage_log_count(&stage, "assign"), 0); /* it is not written down yet */
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    stage.keeps_fence = false;
    core_fence_written(stage.core, stage.last_write);
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    char *forced = xasprintf("delete %s forced", name);
    assert_int_equal(stage_log_count(&stage, forced), 1);
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    stage_expect_rule(&stage, "a.0", "Assertion");
    expect_last_exit(&stage, "Assertion", "lost: its KubeNode was deleted");
    assert_int_equal(stage_log_count(&stage, "event NodeFenced"), 1);
    assert_int_equal(stage_log_count(&stage, "event Assertion"), 1);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_expect(&stage, "Degraded", "False AsDesired");
    free(forced);
    free(name);
    stage_done(&stage);
}

static void the_last_echo_counts_and_not_the_end_of_the_stream(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 3, "a*3");
    struct stage_node *node = stage_holder(&stage, "a.0");
    core_node_echoed(stage.core, node->uid, stage.now_ms);
    stage_settle(&stage, 2000); /* silent in an open stream */
    stage_cut(&stage, node);
    core_node_asserted(stage.core, node->name, "out of service", false);
    stage_settle(&stage, PERMISSION_MS - 2000 - 1);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "assign"), 1);
    stage_done(&stage);
}

static void who_comes_back_from_the_dead_is_told(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 3, "a*3");
    struct stage_node *node = stage_holder(&stage, "a.0");
    stage_cut(&stage, node);
    core_node_asserted(stage.core, node->name, "out of service", false);
    stage.keeps_fence = true;
    stage_settle(&stage, PERMISSION_MS + 1);
    node->is_cut = false;
    stage_connect(&stage, node);
    stage_forget(&stage);
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, "dead"), 0); /* that is not durable yet */
    stage.keeps_fence = false;
    core_fence_written(stage.core, stage.last_write);
    char *line = xasprintf("dead %s", node->name);
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, line), 1);
    free(line);
    line = xasprintf("configure %s", node->name);
    assert_int_equal(stage_log_count(&stage, line), 0); /* nothing else is for it */
    free(line);
    stage_done(&stage);
}

static void an_assertion_is_withdrawn(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*2");
    struct stage_node *node = stage_holder(&stage, "a.0");
    stage_cut(&stage, node);
    core_node_asserted(stage.core, node->name, "out of service", false);
    stage_settle(&stage, 1000);
    core_node_asserted(stage.core, node->name, NULL, false);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    struct err err = {0};
    assert_int_equal(core_forget(stage.core, node->name, &err), 0);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "assign"), 1);
    assert_int_equal(core_forget(stage.core, stage.nodes.items[1].name, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(core_forget(stage.core, "nobody", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    stage_done(&stage);
}

static void a_removed_node_is_replaced_while_its_units_wait(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*4");
    struct stage_node *node = stage_holder(&stage, "a.0");
    char *name = xstrdup(node->name);
    stage_cut(&stage, node);
    core_node_asserted(stage.core, name, "its pod is gone", true);
    core_node_gone(stage.core, name, 0, NULL); /* proves nothing: the same pod is meant */
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    assert_int_equal(stage_log_count(&stage, "delete"), 0); /* there is nothing */
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    struct status status;
    core_status(stage.core, &status);
    assert_int_equal(status.nodes.count, 2);
    status_done(&status);
    free(name);
    stage_done(&stage);
}

static void the_longest_ttl_counts(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 3, "a*3");
    struct stage_node *node = stage_holder(&stage, "a.0");
    stage_cut(&stage, node);
    struct system_spec *spec = stage_spec_again(&stage, 3, "a*3");
    spec->failure.node_lease_ms = 1000;
    stage_change(&stage, spec);
    core_node_asserted(stage.core, node->name, "out of service", false);
    stage_settle(&stage, PERMISSION_MS - 1);
    assert_int_equal(stage.disk.lease_ms, TTL_MS); /* one node may not have heard of the shorter one */
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_settle(&stage, 10);
    assert_int_equal(stage_log_count(&stage, "assign"), 1);
    stage_settle(&stage, 2 * PERMISSION_MS);
    assert_int_equal(stage.disk.lease_ms, 1000);
    spec = stage_spec_again(&stage, 3, "a*3");
    spec->failure.node_lease_ms = 5000;
    stage_change(&stage, spec);
    stage_settle(&stage, 0);
    assert_int_equal(stage.disk.lease_ms, 5000);
    stage_done(&stage);
}

static void an_ended_pod_is_deleted_when_that_is_written(void **state)
{
    (void)state;
    struct stage stage = {.keeps_fence = false};
    start(&stage, 2, "a*4");
    struct stage_node *node = stage_holder(&stage, "a.0");
    struct core_node_exit how = {
        .signal = SIGSEGV, .unit = "a.0", .actor = "a.0/counter", .backtrace = "in add"};
    char *name = xstrdup(node->name);
    node->uid = 0;
    stage.keeps_fence = true;
    core_node_ended(stage.core, name, &how, NULL);
    stage_settle(&stage, 10);
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    stage.keeps_fence = false;
    core_fence_written(stage.core, stage.last_write);
    stage_settle(&stage, LONG_MS);
    char *line = xasprintf("delete %s", name);
    assert_int_equal(stage_log_count(&stage, line), 1);
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    stage_expect_rule(&stage, "a.1", "Initial");
    assert_int_equal(stage_log_count(&stage, "event Proof what node"), 1);
    struct status status;
    core_status(stage.core, &status);
    assert_string_equal(status.exits.items[0].rule, "Proof");
    assert_string_equal(status.exits.items[0].unit, "a.0");
    assert_string_equal(status.exits.items[0].backtrace, "in add");
    status_done(&status);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    free(line);
    free(name);
    stage_done(&stage);
}

static void a_deleted_pod_is_replaced(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*4");
    struct core_node_facts facts = {.node = "bank-nodes-0", .index = -1, .is_ending = true};
    core_node_found(stage.core, &facts); /* kubectl delete pod: its units leave in time */
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "delete"), 0); /* somebody did */
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 2);
    stage_node(&stage, "bank-nodes-0")->uid = 0;
    core_node_ended(stage.core, "bank-nodes-0", NULL, NULL);
    core_node_gone(stage.core, "bank-nodes-0", 0, NULL);
    stage_settle(&stage, LONG_MS);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_expect(&stage, "Stalled", "False NotStalled");
    stage_done(&stage);
}

static void a_new_leader_finds_nodes_without_uid(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*4");
    stage.creates_no_nodes = true;
    stage_change(&stage, stage_spec_again(&stage, 3, "a*4"));
    stage_settle(&stage, 1000); /* the pod was made, and its leader ends */
    assert_int_equal(stage_log_count(&stage, "create bank-nodes-2"), 1);
    struct stage_node *made = vec_push_new(&stage.nodes);
    (void)snprintf(made->name, sizeof(made->name), "bank-nodes-2");
    (void)snprintf(made->template_hash, sizeof(made->template_hash), "one");
    made->index = 2;
    made->uid = 900;
    stage.creates_no_nodes = false;
    stage_next_leader(&stage, stage_spec(3, "a*4", ""));
    stage_settle(&stage, 0);
    stage_expect(&stage, "Ready", "Unknown Observing");
    assert_int_equal(stage_log_count(&stage, "create"), 0);
    vec_for_each (node, &stage.nodes)
        stage_connect(&stage, node);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "create"), 0);
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_change(&stage, stage_spec_again(&stage, 4, "a*4"));
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "create bank-nodes-3"), 1);
    stage_done(&stage);
}

static void a_new_leader_hears_of_pods_that_are_gone(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*4");
    vec_done(&stage.nodes.items[0].units);
    vec_remove_at(&stage.nodes, 0);
    struct core_node_facts unknown = {.node = "bank-nodes-7", .template_hash = "one", .index = 7};
    stage_next_leader(&stage, stage_spec(2, "a*4", ""));
    core_node_found(stage.core, &unknown); /* of a record that was lost: its number is not given out again */
    stage_connect(&stage, &stage.nodes.items[0]);
    stage_settle(&stage, PERMISSION_MS - 1);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    assert_int_equal(stage.disk.next_serial, 8);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    expect_last_exit(&stage, "Assertion", "lost: its pod is gone");
    stage_done(&stage);
}

static void conditions_of_nodes_are_shown(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true, .creates_no_nodes = true};
    stage_start(&stage, stage_spec(1, "a", ""), NULL, "u");
    stage_settle(&stage, 0);
    core_node_condition(stage.core, "bank-nodes-0", "Unschedulable", "0/3 nodes: insufficient cpu");
    stage_settle(&stage, 0);
    stage_expect_message(&stage, "Ready", "node bank-nodes-0: Unschedulable: 0/3 nodes: insufficient cpu");
    struct status status;
    core_status(stage.core, &status);
    assert_string_equal(status.nodes.items[0].reason, "Unschedulable");
    assert_string_equal(status.nodes.items[0].message, "0/3 nodes: insufficient cpu");
    status_done(&status);
    core_node_gone(stage.core, "bank-nodes-0", 0, "pods \"bank-nodes-0\" is forbidden: exceeded quota");
    stage_settle(&stage, 0);
    stage_expect(&stage, "Stalled", "True NodeFailed");
    stage_expect_message(&stage, "Stalled", "exceeded quota");
    stage_settle(&stage, 1000);
    assert_true(stage_log_count(&stage, "create bank-nodes-1") == 1); /* again, by another name */
    stage_done(&stage);
}

static void what_a_node_held_is_told_once(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage, 2, "a*9 b*9 c*6");
    struct stage_node *node = stage_holder(&stage, "a.0");
    node->uid = 0;
    core_node_ended(stage.core, node->name, NULL, NULL);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "event Proof"), 1);
    assert_non_null(strstr(str_text(&stage.log), " and 2 more\n"));
    stage_done(&stage);
}

const struct CMUnitTest loss_tests[13] = {
    cmocka_unit_test(a_silent_node_waits_for_an_assertion),
    cmocka_unit_test(an_assertion_waits_out_what_was_permitted),
    cmocka_unit_test(the_last_echo_counts_and_not_the_end_of_the_stream),
    cmocka_unit_test(who_comes_back_from_the_dead_is_told),
    cmocka_unit_test(an_assertion_is_withdrawn),
    cmocka_unit_test(a_removed_node_is_replaced_while_its_units_wait),
    cmocka_unit_test(the_longest_ttl_counts),
    cmocka_unit_test(an_ended_pod_is_deleted_when_that_is_written),
    cmocka_unit_test(a_deleted_pod_is_replaced),
    cmocka_unit_test(a_new_leader_finds_nodes_without_uid),
    cmocka_unit_test(a_new_leader_hears_of_pods_that_are_gone),
    cmocka_unit_test(conditions_of_nodes_are_shown),
    cmocka_unit_test(what_a_node_held_is_told_once),
};
