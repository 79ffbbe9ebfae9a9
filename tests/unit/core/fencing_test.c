#include "unit/core/suites.h"

#include <signal.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"
#include "types/system.h"
#include "unit/core/stage.h"

static const struct core_node_exit killed = {.signal = SIGKILL};

static void expect_text(char *text_take, const char *expected)
{
    assert_string_equal(text_take, expected);
    free(text_take);
}

static void nothing_is_commanded_before_the_record_is_durable(void **state)
{
    (void)state;
    struct stage stage = {.keeps_fence = true};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 10000);
    assert_string_equal(str_text(&stage.log), "write\n");
    stage.keeps_fence = false;
    core_fence_written(stage.core, stage.last_write);
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    stage_done(&stage);
}

static void a_full_disk_stalls_and_is_tried_again(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage.fails_fence = true;
    stage_forget(&stage);
    stage_kill(&stage, stage_holder(&stage, "a"), &killed, false);
    stage_settle(&stage, 3500);
    assert_int_equal(stage_log_count(&stage, "write"), 4);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    assert_int_equal(stage_log_count(&stage, "event FenceWriteFailed"), 1);
    expect_text(stage_condition(&stage, "Stalled"), "True FenceWriteFailed");
    stage.fails_fence = false;
    stage_settle(&stage, 1000);
    assert_non_null(stage_holder(&stage, "a"));
    expect_text(stage_condition(&stage, "Stalled"), "False NotStalled");
    stage_done(&stage);
}

static void a_conflict_ends_the_leader(void **state)
{
    (void)state;
    struct stage stage = {.keeps_fence = true};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 0);
    core_fence_conflict(stage.core, stage.last_write);
    stage_forget(&stage);
    stage_settle(&stage, 10000);
    assert_true(stage.is_lost);
    assert_string_equal(str_text(&stage.log), "lost\n");
    stage_done(&stage);
}

static void terms_rise_above_what_nodes_know(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 1000);
    core_node_refused(stage.core, stage.nodes.items[0].uid, CORE_REFUSAL_OLD_TERM, 41, "old term");
    stage_forget(&stage);
    stage_settle(&stage, 1000);
    assert_int_equal(core_term(stage.core), 42);
    assert_int_equal(stage.disk.term, 42);
    assert_int_equal(stage_log_count(&stage, "ask"), 2); /* inventories of its own for the new term */
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    core_node_refused(stage.core, stage.nodes.items[0].uid, CORE_REFUSAL_OLD_TERM, 5000, "strange");
    stage_settle(&stage, 1000);
    assert_int_equal(core_term(stage.core), 42);
    assert_int_equal(stage_log_count(&stage, "event StrangeTerm"), 1);
    stage_kill(&stage, stage_holder(&stage, "a"), &killed, false);
    stage_settle(&stage, 0);
    assert_int_equal(epoch_term(stage_unit(stage_holder(&stage, "a"), "a")->epoch), 42);
    stage_done(&stage);
}

/* R8: the connection breaks with an assignment on its way. */
static void an_assignment_in_flight_holds_the_unit(void **state)
{
    (void)state;
    struct stage stage = {.keeps_assignments = true};
    stage_start(&stage, stage_spec(2, "a", ""), NULL, "u");
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, "assign a"), 1);
    bool is_first = stage_log_find(&stage, "assign a bank-nodes-0") >= 0;
    struct stage_node *target = &stage.nodes.items[is_first ? 0 : 1];
    core_node_disconnected(stage.core, target->uid);
    stage_settle(&stage, 60000);
    assert_int_equal(stage_log_count(&stage, "assign a"), 1); /* nowhere else */
    stage_connect(&stage, target);
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "assign a"), 2); /* it did not see the epoch: the same again */
    assert_int_equal(
        stage_log_count(&stage, is_first ? "assign a bank-nodes-0" : "assign a bank-nodes-1"), 2);
    stage_done(&stage);
}

static void an_old_epoch_is_settled_by_the_inventory(void **state)
{
    (void)state;
    struct stage stage = {.keeps_assignments = true};
    stage_start(&stage, stage_spec(1, "a", ""), NULL, "u");
    stage_settle(&stage, 0);
    struct stage_node *node = &stage.nodes.items[0];
    uint64_t epoch = epoch_make(1, 1);
    struct stage_unit *unit = vec_push_new(&node->units);
    *unit = (struct stage_unit){.name = "a", .epoch = epoch, .generation = 0, .state = CORE_UNIT_RUNNING};
    core_node_assigned(stage.core, node->uid, "a", epoch, CORE_REFUSAL_OLD_EPOCH, epoch, "seen");
    stage_forget(&stage);
    stage.keeps_assignments = false;
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "ask"), 1);
    /* It runs an unknown form of the unit (generation 0), so that is revoked before the right one starts. */
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    assert_int_equal(stage_log_count(&stage, "assign a"), 1);
    expect_text(stage_unit_state(&stage, "a"), "Running");
    stage_done(&stage);
}

static void the_next_leader_adopts_what_runs(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "a b c d", ""), NULL, "u");
    stage_settle(&stage, 1000);
    core_free(stage.core);
    struct fence_record record;
    fence_record_copy(&record, &stage.disk);
    str_done(&stage.log);
    stage_start(&stage, stage_spec(3, "a b c d", ""), &record, "u");
    assert_int_equal(core_term(stage.core), 2);
    for (size_t i = 0; i < 3; i++)
        core_node_started(stage.core, stage.nodes.items[i].name, stage.nodes.items[i].uid, 1);
    for (size_t i = 0; i < 2; i++)
        stage_connect(&stage, &stage.nodes.items[i]);
    stage_settle(&stage, 60000);
    assert_int_equal(stage_log_count(&stage, "assign"), 0); /* the third may hold the rest (R9) */
    stage_connect(&stage, &stage.nodes.items[2]);
    stage_settle(&stage, 1000);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage_log_count(&stage, "create"), 0);
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    fence_record_done(&record);
    stage_done(&stage);
}

static void another_system_takes_term_and_serial_only(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct fence_record record = {
        .system = xstrdup("bank"), .system_uid = xstrdup("old"), .term = 8, .next_serial = 12};
    struct roster_member member = {.uid = 3, .node = (char *)(uintptr_t) "bank-nodes-11"};
    record.current.version = 5;
    roster_add(&record.current, &member);
    fence_record_add_quarantine(&record, "a", "why", 1);
    stage_start(&stage, stage_spec(1, "a", ""), &record, "new");
    stage_settle(&stage, 0);
    assert_int_equal(stage.disk.term, 9);
    assert_string_equal(stage.nodes.items[0].name, "bank-nodes-12");
    assert_int_equal(stage.disk.current.members.count, 1);
    assert_int_equal(stage.disk.current.version, 1);
    expect_text(stage_unit_state(&stage, "a"), "Running");
    fence_record_done(&record);
    stage_done(&stage);
}

/* The machine that is lost had the leader too. */
static void the_next_leader_places_what_it_was_not_told_of(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    stage_start(&stage, stage_spec(3, "a*6", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage_expect_rule(&stage, "a.0", "Initial");
    struct stage_node *lost = stage_holder(&stage, "a.0");
    char *name = xstrdup(lost->name);
    lost->is_cut = true;
    stage_next_leader(&stage, stage_spec(3, "a*6", ""));
    vec_for_each (node, &stage.nodes)
        if (!node->is_cut)
            stage_connect(&stage, node);
    stage_settle(&stage, 60000);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    core_node_asserted(stage.core, name, "its KubeNode was deleted", false);
    stage_settle(&stage, 60000);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    stage_expect_rule(&stage, "a.0", "Assertion");
    assert_int_equal(stage_log_count(&stage, "event Assertion"), 1);
    free(name);
    stage_done(&stage);
}

const struct CMUnitTest fencing_tests[9] = {
    cmocka_unit_test(nothing_is_commanded_before_the_record_is_durable),
    cmocka_unit_test(a_full_disk_stalls_and_is_tried_again),
    cmocka_unit_test(a_conflict_ends_the_leader),
    cmocka_unit_test(terms_rise_above_what_nodes_know),
    cmocka_unit_test(an_assignment_in_flight_holds_the_unit),
    cmocka_unit_test(an_old_epoch_is_settled_by_the_inventory),
    cmocka_unit_test(the_next_leader_adopts_what_runs),
    cmocka_unit_test(another_system_takes_term_and_serial_only),
    cmocka_unit_test(the_next_leader_places_what_it_was_not_told_of),
};
