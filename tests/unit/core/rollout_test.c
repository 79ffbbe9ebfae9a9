/* Size, rolling updates, cordon, drain and moves. */
#include "unit/core/suites.h"

#include "base/err.h"
#include "base/mem.h"
#include "types/status.h"
#include "types/system.h"
#include "unit/core/stage.h"

enum { LONG_MS = 60 * 1000 };

static void start(struct stage *stage, struct system_spec *spec_take)
{
    stage->template_hash = "one";
    stage_start(stage, spec_take, NULL, "u");
    stage_settle(stage, 1000);
    stage_forget(stage);
}

static void expect_status(struct stage *stage, uint32_t replicas, uint32_t ready, uint32_t updated)
{
    struct status status;
    core_status(stage->core, &status);
    assert_int_equal(status.replicas, replicas);
    assert_int_equal(status.nodes_ready, ready);
    assert_int_equal(status.nodes_updated, updated);
    status_done(&status);
}

static void a_template_rolls_node_by_node(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(3, "a*6 b", ""));
    expect_status(&stage, 3, 3, 3);
    core_template_changed(stage.core, "two");
    stage_settle(&stage, LONG_MS);
    for (int i = 0; i < 3; i++) {
        char *name = xasprintf("bank-nodes-%d", i + 3);
        assert_non_null(stage_node(&stage, name));
        free(name);
    }
    assert_int_equal(stage.nodes.count, 3);
    assert_int_equal(stage_log_count(&stage, "create"), 3);
    assert_int_equal(stage_log_count(&stage, "revoke"), 7); /* each unit once */
    assert_int_equal(stage_log_count(&stage, "assign"), 7);
    assert_true(stage_log_find(&stage, "create") < stage_log_find(&stage, "revoke"));
    assert_true(stage_log_find(&stage, "revoke") < stage_log_find(&stage, "delete"));
    assert_true(stage_log_find(&stage, "delete") < stage_log_find(&stage, "create bank-nodes-4"));
    expect_status(&stage, 3, 3, 3);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_expect(&stage, "Reconciling", "False Settled");
    stage_forget(&stage);
    stage_settle(&stage, LONG_MS);
    assert_string_equal(str_text(&stage.log), "");
    stage_done(&stage);
}

static void a_cordon_does_not_hold_a_rollout_up(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(3, "a*6", ""));
    core_template_changed(stage.core, "two");
    while (!stage_node(&stage, "bank-nodes-3"))
        stage_settle(&stage, 1);
    assert_int_equal(core_cordon(stage.core, "bank-nodes-3", true, NULL), 0);
    stage_settle(&stage, LONG_MS);
    expect_status(&stage, 3, 3, 3);
    assert_non_null(stage_node(&stage, "bank-nodes-3"));
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

static void without_surge_an_old_node_goes_first(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    struct system_spec *spec = stage_spec(3, "a*3", "");
    spec->nodes.update_max_surge = 0;
    spec->nodes.update_max_unavailable = 1;
    start(&stage, spec);
    core_template_changed(stage.core, "two");
    stage_settle(&stage, LONG_MS);
    assert_true(stage_log_find(&stage, "delete") < stage_log_find(&stage, "create"));
    assert_int_equal(stage_log_count(&stage, "create"), 3);
    expect_status(&stage, 3, 3, 3);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

/* The new node never gets ready: nothing else happens, and the way back costs nothing. */
static void a_stuck_rollout_stops_and_says_why(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(3, "a*6", ""));
    stage.creates_no_nodes = true;
    core_template_changed(stage.core, "two");
    stage_settle(&stage, 1000);
    struct core_node_facts facts = {.node = "bank-nodes-3", .template_hash = "two", .index = 0};
    core_node_found(stage.core, &facts);
    core_node_condition(stage.core, "bank-nodes-3", "ImagePullBackOff", "no such image: bank:2");
    stage_settle(&stage, 100 * LONG_MS);
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    expect_status(&stage, 4, 3, 1);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_expect(&stage, "Reconciling", "True RollingOut");
    stage_expect(&stage, "Degraded", "True RolloutStuck");
    stage_expect_message(&stage, "Degraded", "node bank-nodes-3: ImagePullBackOff: no such image: bank:2");
    stage_forget(&stage);
    core_template_changed(stage.core, "one");
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "delete bank-nodes-3"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    expect_status(&stage, 3, 3, 3);
    stage_expect(&stage, "Degraded", "False AsDesired");
    stage_done(&stage);
}

static void a_silent_new_node_is_named_after_a_minute(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(2, "a*4", ""));
    stage.creates_no_nodes = true;
    core_template_changed(stage.core, "two");
    stage_settle(&stage, LONG_MS - 1000);
    stage_expect(&stage, "Degraded", "False AsDesired");
    stage_settle(&stage, 1000);
    stage_expect(&stage, "Degraded", "True RolloutStuck");
    stage_expect_message(&stage, "Degraded", "node bank-nodes-2: it is not ready for over a minute");
    stage_done(&stage);
}

static void a_rollback_in_the_middle_keeps_what_is_left(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(3, "a*6", ""));
    stage.keeps_revocations = true;
    core_template_changed(stage.core, "two");
    stage_settle(&stage, 100); /* the first old node leaves, its units do not let go yet */
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    assert_true(stage_log_count(&stage, "revoke") > 0);
    stage.keeps_revocations = false;
    core_template_changed(stage.core, "one");
    stage_connect(&stage, stage_node(&stage, "bank-nodes-0")); /* is told again */
    stage_settle(&stage, 100 * LONG_MS);
    expect_status(&stage, 3, 3, 3);
    assert_int_equal(stage_log_count(&stage, "create"), 1);
    assert_int_equal(stage_log_count(&stage, "delete bank-nodes-3"), 1);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

static void a_pinned_unit_finds_its_number_again(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    struct system_spec *spec = stage_spec(3, "a b*2", "");
    label_list_add(&spec->entries.items[0].placement.pin, "index", "1");
    start(&stage, spec);
    core_template_changed(stage.core, "two");
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    assert_int_equal(stage_holder(&stage, "a")->index, 1);
    assert_int_equal(stage_log_count(&stage, "event Unplaceable"), 0);
    struct system_spec *fewer = stage_spec_again(&stage, 2, "a b*2"); /* the numbers 0 and 1 remain */
    label_list_add(&fewer->entries.items[0].placement.pin, "index", "1");
    stage_change(&stage, fewer);
    stage_forget(&stage);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 0);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

static void scaling_down_takes_the_emptiest(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(3, "a*5", "")); /* 2, 2 and 1 */
    struct stage_node *emptiest = NULL;
    vec_for_each (node, &stage.nodes)
        if (!emptiest || node->units.count < emptiest->units.count)
            emptiest = node;
    char *name = xstrdup(emptiest->name);
    stage_change(&stage, stage_spec_again(&stage, 2, "a*5"));
    stage_settle(&stage, LONG_MS);
    assert_null(stage_node(&stage, name));
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    expect_status(&stage, 2, 2, 2);
    free(name);
    stage_done(&stage);
}

static void suspending_and_zero_stop_and_start_again(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(2, "a*3", ""));
    struct system_spec *suspended = stage_spec_again(&stage, 2, "a*3");
    suspended->suspend = true;
    stage_change(&stage, suspended);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage.nodes.count, 0);
    assert_true(stage_log_find(&stage, "revoke") < stage_log_find(&stage, "delete"));
    stage_expect(&stage, "Ready", "False Suspended");
    stage_expect(&stage, "Reconciling", "False Settled");
    stage_change(&stage, stage_spec_again(&stage, 2, "a*3"));
    stage_settle(&stage, LONG_MS);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_change(&stage, stage_spec_again(&stage, 0, "a*3"));
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage.nodes.count, 0);
    stage_expect(&stage, "Ready", "False ScaledToZero");
    stage_change(&stage, stage_spec_again(&stage, 1, "a*3"));
    stage_settle(&stage, LONG_MS);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    assert_int_equal(stage_log_count(&stage, "create bank-nodes-4"), 1); /* no name comes twice */
    stage_done(&stage);
}

/* A unit that does not stop holds its node no longer than drainTimeout. */
static void a_departure_is_bounded(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true, .keeps_revocations = true};
    start(&stage, stage_spec(2, "a*2", ""));
    stage_change(&stage, stage_spec_again(&stage, 1, "a*2"));
    stage_settle(&stage, 900);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    assert_int_equal(stage_log_count(&stage, "delete"), 0);
    stage_settle(&stage, 200);
    assert_true(stage_log_count(&stage, "delete") > 0);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage.nodes.count, 1);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

static void a_cordon_keeps_and_a_drain_replaces(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    start(&stage, stage_spec(2, "a*4", ""));
    char *name = xstrdup(stage_holder(&stage, "a.0")->name);
    assert_int_equal(core_cordon(stage.core, name, true, NULL), 0);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage.disk.cordons.count, 1);
    stage_change(&stage, stage_spec_again(&stage, 2, "a*6"));
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_node(&stage, name)->units.count, 2); /* the new ones went elsewhere */
    assert_int_equal(core_drain(stage.core, name, true, NULL), 0);
    stage_forget(&stage);
    stage_settle(&stage, LONG_MS);
    assert_null(stage_node(&stage, name));
    assert_int_equal(stage.nodes.count, 2);
    assert_int_equal(stage_log_count(&stage, "revoke"), 2);
    assert_true(stage_log_find(&stage, "create") < stage_log_find(&stage, "revoke"));
    assert_int_equal(stage.disk.cordons.count, 0); /* with its node */
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    struct err err = {0};
    assert_int_equal(core_drain(stage.core, name, true, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    free(name);
    stage_done(&stage);
}

static void a_drain_is_taken_back(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true, .creates_no_nodes = false};
    start(&stage, stage_spec(2, "a*4", ""));
    stage.creates_no_nodes = true;
    assert_int_equal(core_drain(stage.core, "bank-nodes-0", true, NULL), 0);
    stage_settle(&stage, 400);
    assert_int_equal(stage_log_count(&stage, "create bank-nodes-2"), 1);
    assert_int_equal(core_drain(stage.core, "bank-nodes-0", false, NULL), 0);
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage_log_count(&stage, "delete bank-nodes-2"), 1);
    expect_status(&stage, 2, 2, 2);
    stage_done(&stage);
}

static void a_unit_moves_where_it_is_asked_to(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    struct system_spec *spec = stage_spec(3, "a b", "");
    vec_push(&spec->entries.items[1].placement.anti_affinity, xstrdup("a"));
    start(&stage, spec);
    const char *from = stage_holder(&stage, "a")->name;
    const char *other = stage_holder(&stage, "b")->name;
    char *to = NULL;
    vec_for_each (node, &stage.nodes)
        if (!text_equal(node->name, from) && !text_equal(node->name, other))
            to = xstrdup(node->name);
    struct err err = {0};
    assert_int_equal(core_move(stage.core, "a", other, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "AntiAffinity"));
    assert_int_equal(core_move(stage.core, "nobody", to, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(core_move(stage.core, "a", "nowhere", &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    stage.keeps_assignments = true;
    assert_int_equal(core_move(stage.core, "a", to, &err), 0);
    stage_settle(&stage, 100);
    assert_true(core_is_moving(stage.core, "a"));
    stage.keeps_assignments = false;
    struct stage_node *target = stage_node(&stage, to);
    core_node_disconnected(stage.core, target->uid); /* it survives that */
    stage_connect(&stage, target);
    stage_settle(&stage, LONG_MS);
    assert_false(core_is_moving(stage.core, "a"));
    assert_string_equal(stage_holder(&stage, "a")->name, to);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    assert_int_equal(core_move(stage.core, "a", to, &err), 0);
    assert_false(core_is_moving(stage.core, "a")); /* there it is */
    free(to);
    stage_done(&stage);
}

static void a_move_ends_with_its_node(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true, .keeps_revocations = true};
    start(&stage, stage_spec(3, "a", ""));
    const char *from = stage_holder(&stage, "a")->name;
    char *to = xstrdup(text_equal(from, "bank-nodes-0") ? "bank-nodes-1" : "bank-nodes-0");
    assert_int_equal(core_move(stage.core, "a", to, NULL), 0);
    stage_settle(&stage, 10);
    struct stage_node *node = stage_node(&stage, to);
    node->uid = 0;
    core_node_ended(stage.core, to, NULL, NULL);
    stage_settle(&stage, LONG_MS);
    assert_false(core_is_moving(stage.core, "a"));
    assert_int_equal(stage_log_count(&stage, "event MoveGivenUp"), 1);
    free(to);
    stage_done(&stage);
}

static void blocked_creation_waits_and_says_why(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    stage_start(&stage, stage_spec(2, "a*2", ""), NULL, "u");
    core_nodes_blocked(stage.core, "PreviousPodsTerminating", "2 pods of the system of before end");
    stage_settle(&stage, LONG_MS);
    assert_int_equal(stage_log_count(&stage, "create"), 0);
    stage_expect(&stage, "Ready", "False PreviousPodsTerminating");
    stage_expect_message(&stage, "Ready", "2 pods of the system of before end");
    core_nodes_blocked(stage.core, NULL, NULL);
    stage_settle(&stage, LONG_MS);
    stage_expect(&stage, "Ready", "True AllUnitsRunning");
    stage_done(&stage);
}

const struct CMUnitTest rollout_tests[15] = {
    cmocka_unit_test(a_template_rolls_node_by_node),
    cmocka_unit_test(a_cordon_does_not_hold_a_rollout_up),
    cmocka_unit_test(without_surge_an_old_node_goes_first),
    cmocka_unit_test(a_stuck_rollout_stops_and_says_why),
    cmocka_unit_test(a_silent_new_node_is_named_after_a_minute),
    cmocka_unit_test(a_rollback_in_the_middle_keeps_what_is_left),
    cmocka_unit_test(a_pinned_unit_finds_its_number_again),
    cmocka_unit_test(scaling_down_takes_the_emptiest),
    cmocka_unit_test(suspending_and_zero_stop_and_start_again),
    cmocka_unit_test(a_departure_is_bounded),
    cmocka_unit_test(a_cordon_keeps_and_a_drain_replaces),
    cmocka_unit_test(a_drain_is_taken_back),
    cmocka_unit_test(a_unit_moves_where_it_is_asked_to),
    cmocka_unit_test(a_move_ends_with_its_node),
    cmocka_unit_test(blocked_creation_waits_and_says_why),
};
