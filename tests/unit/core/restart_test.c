#include "unit/core/suites.h"

#include <signal.h>

#include "base/err.h"
#include "base/mem.h"
#include "types/status.h"
#include "types/system.h"
#include "unit/core/stage.h"

static const struct core_node_exit killed = {.signal = SIGKILL};
static const struct core_node_exit crashed = {.signal = SIGSEGV};

static void expect_text(char *text_take, const char *expected)
{
    assert_string_equal(text_take, expected);
    free(text_take);
}

static void a_unit_that_fails_backs_off_and_is_quarantined(void **state)
{
    (void)state;
    struct stage stage = {.start_fails = "bad"};
    stage_start(&stage, stage_spec(2, "good bad", "3"), NULL, "u");
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, "assign bad"), 1);
    expect_text(stage_unit_state(&stage, "bad"), "Backoff");
    stage_settle(&stage, 9000);
    assert_int_equal(stage_log_count(&stage, "assign bad"), 4); /* and three restarts */
    expect_text(stage_unit_state(&stage, "bad"), "Quarantined");
    expect_text(stage_unit_state(&stage, "good"), "Running");
    expect_text(stage_condition(&stage, "Stalled"), "True UnitQuarantined");
    assert_int_equal(stage.disk.quarantines.count, 1);
    stage_settle(&stage, 100000);
    assert_int_equal(stage_log_count(&stage, "assign bad"), 4);
    stage_done(&stage);
}

static void resume_ends_a_quarantine(void **state)
{
    (void)state;
    struct stage stage = {.start_fails = "bad"};
    struct err err = {0};
    stage_start(&stage, stage_spec(2, "good bad", "0"), NULL, "u");
    stage_settle(&stage, 1000);
    expect_text(stage_unit_state(&stage, "bad"), "Quarantined");
    assert_int_equal(core_resume(stage.core, "good", &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(core_resume(stage.core, "none", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    stage.start_fails = NULL;
    assert_int_equal(core_resume(stage.core, "bad", &err), 0);
    stage_settle(&stage, 1000);
    expect_text(stage_unit_state(&stage, "bad"), "Running");
    assert_int_equal(stage.disk.quarantines.count, 0);
    stage_done(&stage);
}

static void the_window_slides(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(1, "a", "2"), NULL, "u");
    stage_settle(&stage, 1000);
    for (int i = 0; i < 6; i++) { /* one in 6 s never makes three in 10 s */
        struct stage_node *node = stage_holder(&stage, "a");
        struct stage_unit *unit = stage_unit(node, "a");
        struct core_held_unit held = {
            .unit = "a", .epoch = unit->epoch, .state = CORE_UNIT_FAILED, .reason = "gave up"};
        struct core_inventory inventory = {.is_full = false, .units = &held, .unit_count = 1};
        unit->state = CORE_UNIT_FAILED;
        core_node_inventory(stage.core, node->uid, &inventory);
        core_node_inventory(stage.core, node->uid, &inventory); /* told twice, counted once */
        stage_settle(&stage, 6000);
        expect_text(stage_unit_state(&stage, "a"), "Running");
    }
    stage_done(&stage);
}

static void the_second_crash_quarantines(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct status status;
    stage_start(&stage, stage_spec(3, "a b c", ""), NULL, "u");
    stage_settle(&stage, 1000);
    for (int i = 0; i < 2; i++) {
        struct core_node_exit how = {
            .signal = SIGSEGV, .unit = "a", .actor = "a", .backtrace = "smash at bank.c:3"};
        stage_inventory(&stage, stage_holder(&stage, "a"));
        stage_kill(&stage, stage_holder(&stage, "a"), &how, false);
        stage_settle(&stage, 1000);
        expect_text(stage_unit_state(&stage, "a"), i == 0 ? "Running" : "Quarantined");
    }
    expect_text(stage_unit_state(&stage, "b"), "Running");
    expect_text(stage_unit_state(&stage, "c"), "Running");
    core_status(stage.core, &status);
    assert_int_equal(status.exits.count, 2);
    assert_string_equal(status.exits.items[1].actor, "a");
    assert_string_equal(status.exits.items[1].decision, "Quarantine");
    assert_string_equal(status.exits.items[1].backtrace, "smash at bank.c:3");
    assert_string_equal(status.exits.items[1].reason, "killed by SIGSEGV");
    assert_int_equal(status.exits.items[1].incarnation, 4);
    assert_int_equal(status.quarantined.count, 1);
    vec_for_each (actor, &status.actor_rows)
        if (text_equal(actor->path, "a")) {
            assert_string_equal(actor->state, "Quarantined");
            assert_string_equal(actor->last_exit, "killed by SIGSEGV");
        }
    status_done(&status);
    stage_done(&stage);
}

/* A crash record can say anything. */
static void a_crash_is_charged_only_to_who_was_there(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "a b c", ""), NULL, "u");
    stage_settle(&stage, 1000);
    for (int i = 0; i < 3; i++) {
        struct stage_node *elsewhere = stage_holder(&stage, "a") == &stage.nodes.items[0]
                                           ? &stage.nodes.items[1]
                                           : &stage.nodes.items[0];
        struct core_node_exit how = {.signal = SIGSEGV, .unit = "a", .actor = "a"};
        stage_kill(&stage, elsewhere, &how, false);
        stage_settle(&stage, 3000);
    }
    expect_text(stage_unit_state(&stage, "a"), "Running");
    stage_done(&stage);
}

static void suspects_are_placed_one_at_a_time(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(1, "a b c d", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage_kill(&stage, &stage.nodes.items[0], &crashed, false);
    stage_settle(&stage, 0);
    assert_non_null(stage_holder(&stage, "d")); /* once is nothing */
    stage_forget(&stage);
    stage_kill(&stage, &stage.nodes.items[0], &crashed, false);
    stage_settle(&stage, 0);
    assert_int_equal(stage_log_count(&stage, "assign"), 1);
    stage_settle(&stage, 499);
    assert_int_equal(stage_log_count(&stage, "assign"), 1);
    stage_settle(&stage, 2);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    stage_settle(&stage, 2000);
    assert_int_equal(stage_log_count(&stage, "assign"), 4);
    stage_done(&stage);
}

/* `kill -9` says little about the code: also one first, but without a delay between them. */
static void killed_suspects_are_up_at_once(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(1, "a b c d", ""), NULL, "u");
    stage_settle(&stage, 1000);
    for (int i = 0; i < 5; i++) {
        stage_kill(&stage, &stage.nodes.items[0], &killed, false);
        stage_settle(&stage, 0);
        expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    }
    stage_done(&stage);
}

static void what_ended_by_itself_stays_down(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(2, "a b", ""), NULL, "u");
    stage_settle(&stage, 1000);
    struct stage_node *node = stage_holder(&stage, "a");
    stage_unit(node, "a")->state = CORE_UNIT_STOPPED;
    stage_inventory(&stage, node);
    stage_forget(&stage);
    stage_settle(&stage, 10000);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    expect_text(stage_unit_state(&stage, "a"), "Stopped");
    expect_text(stage_condition(&stage, "Ready"), "True AllUnitsRunning");
    stage_unit(node, "a")->state = CORE_UNIT_FAILED; /* seen, not listed any more */
    assert_int_equal(core_resume(stage.core, "a", NULL), 0);
    stage_settle(&stage, 0);
    expect_text(stage_unit_state(&stage, "a"), "Running");
    stage_done(&stage);
}

const struct CMUnitTest restart_tests[8] = {
    cmocka_unit_test(a_unit_that_fails_backs_off_and_is_quarantined),
    cmocka_unit_test(resume_ends_a_quarantine),
    cmocka_unit_test(the_window_slides),
    cmocka_unit_test(the_second_crash_quarantines),
    cmocka_unit_test(a_crash_is_charged_only_to_who_was_there),
    cmocka_unit_test(suspects_are_placed_one_at_a_time),
    cmocka_unit_test(killed_suspects_are_up_at_once),
    cmocka_unit_test(what_ended_by_itself_stays_down),
};
