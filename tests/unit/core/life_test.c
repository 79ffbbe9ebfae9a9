#include "unit/core/suites.h"

#include <signal.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "types/system.h"
#include "unit/core/stage.h"

static const struct core_node_exit killed = {.signal = SIGKILL};

static void expect_text(char *text_take, const char *expected)
{
    assert_string_equal(text_take, expected);
    free(text_take);
}

static void a_system_starts(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "ledger tellers*4", ""), NULL, "u");
    stage_settle(&stage, 0);
    assert_int_equal(stage.nodes.count, 3);
    assert_int_equal(stage.disk.term, 1);
    assert_int_equal(stage.disk.current.members.count, 3);
    assert_int_equal(stage_log_count(&stage, "assign "), 5);
    assert_int_equal(stage_log_find(&stage, "write"), 0); /* the term is durable before anything else */
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    expect_text(stage_condition(&stage, "Reconciling"), "False Settled");
    expect_text(stage_condition(&stage, "Stalled"), "False NotStalled");
    stage_done(&stage);
}

/* Clients are let in by Pods that are Ready: without one, nobody could ask yet. */
static void ready_means_that_clients_are_served(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct core_node_facts facts = {.index = -1, .is_unready = true};
    stage_start(&stage, stage_spec(2, "ledger tellers*4", ""), NULL, "u");
    stage_settle(&stage, 0);
    vec_for_each (node, &stage.nodes) {
        facts.node = node->name;
        core_node_found(stage.core, &facts);
    }
    stage_settle(&stage, 1000);
    expect_text(stage_condition(&stage, "Ready"), "False NotServing");
    facts.is_unready = false;
    core_node_found(stage.core, &facts);
    stage_settle(&stage, 1000);
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    stage_done(&stage);
}

static void nothing_is_done_when_nothing_changes(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "ledger tellers*4", ""), NULL, "u");
    stage_settle(&stage, 5000);
    stage_forget(&stage);
    for (size_t i = 0; i < stage.nodes.count; i++)
        stage_inventory(&stage, &stage.nodes.items[i]);
    stage_settle(&stage, 100000);
    assert_string_equal(str_text(&stage.log), "");
    stage_done(&stage);
}

static void the_first_placement_waits_for_all_nodes(void **state)
{
    (void)state;
    struct stage stage = {.creates_no_nodes = true};
    stage_start(&stage, stage_spec(2, "a*4", ""), NULL, "u");
    stage_settle(&stage, 100);
    struct stage_node *node = vec_push_new(&stage.nodes);
    (void)snprintf(node->name, sizeof(node->name), "bank-nodes-0");
    node->uid = 5;
    core_node_started(stage.core, node->name, 5, 1);
    stage_connect(&stage, node);
    stage_settle(&stage, CORE_INITIAL_WAIT_MS - 200);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_settle(&stage, 200);
    assert_int_equal(stage_log_count(&stage, "assign"), 4);
    stage_done(&stage);
}

static void a_killed_nodes_units_go_elsewhere(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "a b c d e f", ""), NULL, "u");
    stage_settle(&stage, 20000);
    struct stage_node *victim = stage_holder(&stage, "a");
    struct stage_node *other = &stage.nodes.items[victim == &stage.nodes.items[0] ? 1 : 0];
    char name[STAGE_NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s", other->units.items[0].name);
    uint64_t epoch = stage_unit(victim, "a")->epoch;
    uint64_t other_epoch = other->units.items[0].epoch;
    stage_forget(&stage);
    stage_kill(&stage, victim, &killed, true);
    stage_settle(&stage, 0);
    struct stage_node *holder = stage_holder(&stage, "a");
    assert_non_null(holder);
    assert_ptr_not_equal(holder, victim);
    assert_true(stage_unit(holder, "a")->epoch > epoch);
    assert_int_equal(stage_unit(other, name)->epoch, other_epoch);
    assert_true(stage_log_find(&stage, "write") < stage_log_find(&stage, "dead"));
    assert_true(stage_log_find(&stage, "write") < stage_log_find(&stage, "assign a"));
    assert_int_equal(stage_log_count(&stage, "dead"), 2);
    stage_done(&stage);
}

static void an_only_node_takes_its_units_again(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(1, "a b", ""), NULL, "u");
    stage_settle(&stage, 20000);
    uint64_t epoch = stage_unit(stage_holder(&stage, "a"), "a")->epoch;
    stage_kill(&stage, &stage.nodes.items[0], &killed, false);
    stage_settle(&stage, 0);
    assert_non_null(stage_holder(&stage, "a"));
    assert_true(stage_unit(stage_holder(&stage, "a"), "a")->epoch > epoch);
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    stage_done(&stage);
}

static void scaling_moves_units(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(1, "a b c d e f", ""), NULL, "u");
    stage_settle(&stage, 1000);
    struct system_spec *more = stage_spec(3, "a b c d e f", "");
    more->generation = 2;
    core_spec_changed(stage.core, more);
    system_spec_unref(more);
    stage_forget(&stage);
    stage_settle(&stage, 1000);
    assert_int_equal(stage.nodes.count, 3);
    vec_for_each (node, &stage.nodes) {
        size_t running = 0;
        vec_for_each (unit, &node->units)
            running += unit->state == CORE_UNIT_RUNNING;
        assert_int_equal(running, 2);
    }
    assert_int_equal(stage_log_count(&stage, "revoke"), 4);
    struct system_spec *fewer = stage_spec(1, "a b c d e f", "");
    fewer->generation = 3;
    core_spec_changed(stage.core, fewer);
    system_spec_unref(fewer);
    stage_forget(&stage);
    stage_settle(&stage, 1000);
    assert_int_equal(stage.nodes.count, 1);
    assert_int_equal(stage.disk.current.members.count, 1);
    assert_int_equal(stage_log_count(&stage, "assign"), 4);
    assert_true(stage_log_find(&stage, "revoke") < stage_log_find(&stage, "assign"));
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    struct system_spec *none = stage_spec(0, "a b c d e f", "");
    none->generation = 4;
    core_spec_changed(stage.core, none);
    system_spec_unref(none);
    stage_settle(&stage, 1000);
    assert_int_equal(stage.nodes.count, 0);
    expect_text(stage_condition(&stage, "Ready"), "False ScaledToZero");
    stage_done(&stage);
}

static void a_changed_unit_is_restarted_where_it_is(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "a b", ""), NULL, "u");
    stage_settle(&stage, 1000);
    char before[STAGE_NAME_BYTES];
    (void)snprintf(before, sizeof(before), "%s", stage_holder(&stage, "a")->name);
    struct system_spec *changed = stage_spec(3, "a b", "");
    changed->generation = 2;
    changed->entries.items[0].root.restart = RESTART_TRANSIENT;
    core_spec_changed(stage.core, changed);
    system_spec_unref(changed);
    stage_forget(&stage);
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    assert_string_equal(stage_holder(&stage, "a")->name, before);
    assert_int_equal(stage_log_count(&stage, "configure"), 3);
    stage_done(&stage);
}

static void stopping_drains_and_ends(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage_forget(&stage);
    core_stop(stage.core, 500);
    stage_settle(&stage, 100);
    assert_true(stage.is_stopped);
    assert_int_equal(stage.nodes.count, 0);
    assert_int_equal(stage_log_count(&stage, "drain"), 2);
    assert_int_equal(stage_log_count(&stage, "delete"), 2);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    stage_forget(&stage);
    stage_settle(&stage, 10000);
    assert_int_equal(stage_log_count(&stage, "stopped"), 0); /* said once */
    stage_done(&stage);
}

static void a_second_stop_and_a_late_one_kill(void **state)
{
    (void)state;
    for (int is_twice = 0; is_twice < 2; is_twice++) {
        struct stage stage = {.keeps_drains = true};
        stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
        stage_settle(&stage, 1000);
        stage_forget(&stage);
        core_stop(stage.core, 5000);
        stage_settle(&stage, 4000);
        assert_int_equal(stage.nodes.count, 2);
        assert_int_equal(stage_log_count(&stage, "drain"), 2);
        if (is_twice)
            core_stop(stage.core, 5000);
        stage_settle(&stage, is_twice ? 0 : 4000);
        assert_true(stage.is_stopped);
        assert_int_equal(stage_log_count(&stage, "delete"), 2);
        stage_done(&stage);
    }
}

static void an_impossible_unit_is_explained(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct err err = {0};
    struct system_spec *spec = stage_spec(2, "a b", "");
    label_list_add(&spec->entries.items[1].placement.pin, "index", "7");
    stage_start(&stage, spec, NULL, "u");
    stage_settle(&stage, 1000);
    expect_text(stage_unit_state(&stage, "b"), "Pending");
    expect_text(stage_condition(&stage, "Stalled"), "True Unplaceable");
    struct json *json = core_explain(stage.core, "b", &err);
    assert_string_equal(json_string(json_get(json_get(json, "placement"), "reason")),
        "no node passed the filters (of 2: 2 by Pin)");
    json_free(json);
    json = core_explain(stage.core, "a", &err);
    assert_string_equal(json_string(json_get(json, "rule")), "Initial");
    assert_string_equal(json_string(json_get(json, "node")), stage_holder(&stage, "a")->name);
    json_free(json);
    assert_null(core_explain(stage.core, "z", &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    stage_done(&stage);
}

const struct CMUnitTest life_tests[11] = {
    cmocka_unit_test(a_system_starts),
    cmocka_unit_test(ready_means_that_clients_are_served),
    cmocka_unit_test(nothing_is_done_when_nothing_changes),
    cmocka_unit_test(the_first_placement_waits_for_all_nodes),
    cmocka_unit_test(a_killed_nodes_units_go_elsewhere),
    cmocka_unit_test(an_only_node_takes_its_units_again),
    cmocka_unit_test(scaling_moves_units),
    cmocka_unit_test(a_changed_unit_is_restarted_where_it_is),
    cmocka_unit_test(stopping_drains_and_ends),
    cmocka_unit_test(a_second_stop_and_a_late_one_kill),
    cmocka_unit_test(an_impossible_unit_is_explained),
};
