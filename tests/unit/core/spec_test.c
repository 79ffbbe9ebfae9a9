/* What a changed spec does: live, by a restart of the unit, or not at all. */
#include "unit/core/suites.h"

#include <signal.h>

#include "base/mem.h"
#include "types/system.h"
#include "unit/core/stage.h"

static void start(struct stage *stage)
{
    stage_start(stage, stage_spec(3, "a b*3", ""), NULL, "u");
    stage_settle(stage, 1000);
    stage_forget(stage);
}

static void change(struct stage *stage, struct system_spec *spec_take)
{
    stage_forget(stage);
    stage_change(stage, spec_take);
    stage_settle(stage, 60000);
    stage_expect(stage, "Ready", "True AllUnitsRunning");
}

static void replicas_come_and_go(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage);
    change(&stage, stage_spec_again(&stage, 3, "a b*5"));
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage_log_count(&stage, "assign"), 2);
    change(&stage, stage_spec_again(&stage, 3, "a b*2"));
    assert_int_equal(stage_log_count(&stage, "revoke b.2"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 3);
    assert_int_equal(stage_log_count(&stage, "assign"), 0);
    change(&stage, stage_spec_again(&stage, 3, "b*2 c"));
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    assert_int_equal(stage_log_count(&stage, "assign c"), 1);
    stage_done(&stage);
}

static void supervision_is_live(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage);
    struct system_spec *spec = stage_spec_again(&stage, 3, "a b*3");
    spec->supervision.intensity.restarts = 0;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    stage.start_fails = "a";
    struct stage_node *node = stage_holder(&stage, "a");
    struct core_node_exit killed = {.signal = SIGKILL};
    stage_kill(&stage, node, &killed, false);
    stage_settle(&stage, 10000);
    char *state_name = stage_unit_state(&stage, "a");
    assert_string_equal(state_name, "Quarantined"); /* the first failure is one too many */
    free(state_name);
    stage_done(&stage);
}

static void placement_is_live(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage);
    struct system_spec *spec = stage_spec_again(&stage, 3, "a b*3");
    const char *to =
        text_equal(stage_holder(&stage, "a")->name, "bank-nodes-0") ? "bank-nodes-1" : "bank-nodes-0";
    label_list_add(&spec->entries.items[0].placement.pin, "node", to);
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    assert_string_equal(stage_holder(&stage, "a")->name, to);
    stage_done(&stage);
}

/* kubeNodeSelector: labels of KubeNodes come from the driver, and may change. */
static void labels_of_kube_nodes_are_live(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct label_list labels = {0};
    start(&stage);
    label_list_add(&labels, "disk", "ssd");
    struct core_node_facts facts = {.node = "bank-nodes-2", .index = -1, .kube_labels = &labels};
    core_node_found(stage.core, &facts);
    struct system_spec *spec = stage_spec_again(&stage, 3, "a b*3");
    label_list_add(&spec->entries.items[0].placement.kube_node_selector, "disk", "ssd");
    change(&stage, spec);
    assert_string_equal(stage_holder(&stage, "a")->name, "bank-nodes-2");
    facts.node = "bank-nodes-1";
    core_node_found(stage.core, &facts);
    facts.node = "bank-nodes-2";
    facts.kube_labels = NULL;
    core_node_found(stage.core, &facts);
    stage_settle(&stage, 1000);
    assert_string_equal(stage_holder(&stage, "a")->name, "bank-nodes-1");
    label_list_done(&labels);
    stage_done(&stage);
}

static void mailboxes_do_not_restart(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage);
    struct system_spec *spec = stage_spec_again(&stage, 3, "a b*3");
    spec->entries.items[0].root.mailbox.capacity = 77;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage_log_count(&stage, "configure"), 3);
    stage_done(&stage);
}

static void what_a_unit_is_made_of_restarts_it(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct system_spec *spec;
    start(&stage);
    spec = stage_spec_again(&stage, 3, "a b*3"); /* behavior */
    free(spec->entries.items[0].root.behavior_c);
    spec->entries.items[0].root.behavior_c = xstrdup("l.other");
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 1);
    spec = stage_spec_again(&stage, 3, "a b*3"); /* args, and the behavior of before */
    spec->entries.items[0].root.arguments = xmemdup("\x80", 1);
    spec->entries.items[0].root.arguments_size = 1;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    spec = stage_spec_again(&stage, 3, "a b*3"); /* strategy; the args go */
    spec->entries.items[0].root.supervisor.strategy = STRATEGY_REST_FOR_ONE;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke a"), 1);
    spec = stage_spec_again(&stage, 3, "a b*3"); /* children */
    spec->entries.items[1].root.is_supervisor = true;
    struct child_spec *child = vec_push_new(&spec->entries.items[1].children);
    *child =
        (struct child_spec){.name = xstrdup("child"), .under = xstrdup(""), .behavior_c = xstrdup("l.child")};
    spec->entries.items[0].root.supervisor.strategy = STRATEGY_REST_FOR_ONE;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "revoke b."), 3);
    assert_int_equal(stage_log_count(&stage, "revoke"), 3);
    stage_done(&stage);
}

static void what_is_immutable_is_refused(void **state)
{
    (void)state;
    struct stage stage = {0};
    start(&stage);
    struct system_spec *spec = stage_spec_again(&stage, 1, "a b*3");
    spec->entries.items[0].keyed.is_keyed = true;
    spec->entries.items[0].keyed.shards = 4;
    change(&stage, spec);
    assert_int_equal(stage_log_count(&stage, "event SpecRefused"), 1);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    assert_int_equal(stage.nodes.count, 3);
    stage_done(&stage);
}

/* The next leader finds the nodes that live. */
static void take_over(struct stage *stage, uint32_t nodes)
{
    stage_next_leader(stage, stage_spec(nodes, "a*6", ""));
    stage_settle(stage, 0);
    vec_for_each (node, &stage->nodes)
        stage_connect(stage, node);
    stage_settle(stage, 60000);
    stage_expect(stage, "Ready", "True AllUnitsRunning");
}

static void a_new_leader_uses_nodes_that_were_added(void **state)
{
    (void)state;
    struct stage stage = {.is_cluster = true};
    stage_start(&stage, stage_spec(2, "a*6", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage.keeps_revocations = true; /* the node is there, and nothing has moved yet */
    stage_change(&stage, stage_spec_again(&stage, 3, "a*6"));
    stage_settle(&stage, 10);
    assert_int_equal(stage.nodes.count, 3);
    assert_int_equal(stage.nodes.items[2].units.count, 0);
    stage.keeps_revocations = false;
    take_over(&stage, 3);
    assert_int_equal(stage.nodes.items[2].units.count, 2);
    stage_forget(&stage);
    take_over(&stage, 3); /* once: what is spread stays */
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    take_over(&stage, 2);
    assert_int_equal(stage.disk.spread_nodes, 2);
    stage_done(&stage);
}

static void a_new_leader_moves_nobody_after_a_failover(void **state)
{
    (void)state;
    struct stage stage = {0};
    stage_start(&stage, stage_spec(3, "a*6", ""), NULL, "u");
    stage_settle(&stage, 1000);
    stage_kill(&stage, &stage.nodes.items[1], &(struct core_node_exit){.signal = SIGKILL}, false);
    stage_settle(&stage, 60000);
    assert_int_equal(stage.nodes.items[1].units.count, 0); /* they went to the others at once */
    stage_forget(&stage);
    take_over(&stage, 3);
    assert_int_equal(stage_log_count(&stage, "revoke"), 0);
    stage_done(&stage);
}

const struct CMUnitTest spec_tests[9] = {
    cmocka_unit_test(replicas_come_and_go),
    cmocka_unit_test(supervision_is_live),
    cmocka_unit_test(placement_is_live),
    cmocka_unit_test(labels_of_kube_nodes_are_live),
    cmocka_unit_test(mailboxes_do_not_restart),
    cmocka_unit_test(what_a_unit_is_made_of_restarts_it),
    cmocka_unit_test(what_is_immutable_is_refused),
    cmocka_unit_test(a_new_leader_uses_nodes_that_were_added),
    cmocka_unit_test(a_new_leader_moves_nobody_after_a_failover),
};
