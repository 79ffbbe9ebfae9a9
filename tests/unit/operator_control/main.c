/* Control streams against a node played by the test: hello both ways, echoes, events for the core, what the
 * core wants to be sent, refusals, and a node that comes late, goes and comes back. */
#include "fixture.h"

#include "base/err.h"
#include "base/mem.h"
#include "types/fence_record.h"
#include "types/system.h"
#include "types/unit.h"

static void test_hello_and_echo(void **state)
{
    struct fixture fixture;
    node_message lease = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__LeaseRequest request = HISTRIO__V1__LEASE_REQUEST__INIT;
    (void)state;
    fixture_begin(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address); /* before it listens */
    fixture_start_node(&fixture);
    assert_string_equal(fixture_next_event(&fixture), "");
    const operator_message *hello = fixture_received(&fixture, 0);
    assert_int_equal(hello->term, 7);
    assert_string_equal(hello->hello->system_uid, "uid-1");
    assert_int_equal(hello->hello->credential.len, 3);
    assert_int_equal(hello->hello->node_uid, 0);
    request.nonce = 99;
    lease.node_uid = UID;
    lease.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_LEASE;
    lease.lease = &request;
    control_set_term(fixture.control, 8);
    fixture_send(&fixture, &lease);
    /* No echo before the owner takes the uid for alive. What a dead one gets does not say that. */
    struct core_action action = {.kind = CORE_SEND_DEAD, .uid = UID};
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(fixture_received(&fixture, 1)->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_DEAD);
    action.kind = CORE_REQUEST_INVENTORY;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(fixture_received(&fixture, 2)->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY);
    const operator_message *echo = fixture_received(&fixture, 3);
    assert_int_equal(echo->body_case, HISTRIO__V1__OPERATOR_MESSAGE__BODY_ECHO);
    assert_int_equal(echo->echo->nonce, 99);
    assert_int_equal(echo->echo->node_uid, UID);
    assert_int_equal(echo->term, 8);
    fixture_end(&fixture);
}

static void test_node_comes_back(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_begin(&fixture);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    fixture_stop_node(&fixture);
    assert_string_equal(fixture_next_event(&fixture), ""); /* disconnected */
    fixture_start_node(&fixture);
    assert_string_equal(fixture_next_event(&fixture), ""); /* connected again */
    assert_int_equal(fixture.streams, 2);
    control_hang_up(fixture.control, "bank-nodes-0");
    assert_string_equal(fixture_next_event(&fixture), ""); /* disconnected, and not dialled again */
    fixture_end(&fixture);
}

static void test_node_of_another_run(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_begin(&fixture);
    fixture.system_uid = "uid-2";
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_non_null(strstr(fixture_next_event(&fixture), "belongs to another run"));
    fixture_end(&fixture);
}

static void test_garbage(void **state)
{
    struct fixture fixture;
    node_message strange = HISTRIO__V1__NODE_MESSAGE__INIT;
    Histrio__V1__Inventory inventory = HISTRIO__V1__INVENTORY__INIT;
    Histrio__V1__HeldUnit unit = HISTRIO__V1__HELD_UNIT__INIT;
    Histrio__V1__HeldUnit *units[] = {&unit};
    (void)state;
    fixture_begin(&fixture);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    strange.node_uid = UID;
    strange.body_case = HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY;
    strange.inventory = &inventory;
    inventory.units = units;
    inventory.n_units = 1;
    unit.state = (Histrio__V1__UnitState)77;
    fixture_send(&fixture, &strange);
    assert_non_null(strstr(fixture_next_event(&fixture), "unknown state"));
    strange.node_uid = UID + 1; /* says that it is somebody else */
    fixture_send(&fixture, &strange);
    assert_non_null(strstr(fixture_next_event(&fixture), "changed its uid"));
    fixture_end(&fixture);
}

/* The node knows a higher term than the operator: the core hears it, and raises its own above. */
static void test_higher_term(void **state)
{
    struct fixture fixture;
    struct core_plan plan;
    (void)state;
    fixture_begin(&fixture);
    fixture.refuses_with_term = 41;
    core_node_started(fixture.core, "bank-nodes-0", UID, 1);
    assert_true(core_fence_record(fixture.core)->term < 41);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    core_plan(fixture.core, &plan); /* which asks for the write of the record */
    assert_true(core_fence_record(fixture.core)->term > 41);
    fixture_end(&fixture);
}

static struct core_action action_of(enum core_action_kind kind)
{
    return (struct core_action){.kind = kind, .uid = UID};
}

/* A leader is heard only once its term is in the fence record: a hello before that would be refused. */
static void test_dial_waits_for_the_term(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_begin(&fixture);
    control_set_term(fixture.control, 0);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    (void)control_hang_up_wait(fixture.control, "another-node"); /* so the dial has been looked at */
    control_set_term(fixture.control, 8);
    assert_string_equal(fixture_next_event(&fixture), "");
    assert_int_equal(fixture_received(&fixture, 0)->term, 8);
    assert_int_equal(fixture.streams, 1);
    fixture_end(&fixture);
}

static void test_configuration_and_roster(void **state)
{
    struct fixture fixture;
    static const uint64_t dead[] = {5, 6};
    (void)state;
    fixture_begin(&fixture);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    struct core_action action = action_of(CORE_SEND_CONFIGURATION);
    action.generation = 3;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__Configuration *configuration = fixture_received(&fixture, 1)->configuration;
    assert_int_equal(configuration->generation, 3);
    assert_int_equal(configuration->lease_ms, 3000);
    assert_int_equal(configuration->n_libraries, 1);
    assert_string_equal(configuration->libraries[0]->path, "/code/libbank.so");
    assert_int_equal(configuration->n_code_folders, 2);
    assert_string_equal(configuration->code_folders[1], "/more");
    assert_non_null(configuration->python);
    assert_int_equal(configuration->python->n_paths, 2);
    assert_string_equal(configuration->python->paths[0], "python"); /* of the ConfigMap */
    assert_string_equal(configuration->python->paths[1], ".");
    assert_string_equal(configuration->python->preload[0], "bank");
    assert_int_equal(configuration->python->workers, 2);
    assert_int_equal(configuration->python->handler_timeout_ms, 30000);
    assert_int_equal(configuration->python->memory_bytes_max, 512 * 1024 * 1024);
    assert_non_null(configuration->c_workers);
    assert_int_equal(configuration->c_workers->count, 3);
    assert_int_equal(configuration->c_workers->handler_timeout_ms, 5000);
    assert_int_equal(configuration->c_workers->memory_bytes_max, 64 * 1024 * 1024);
    struct roster roster = {.version = 4};
    struct roster_member member = {.uid = UID,
        .node = (char *)(uintptr_t) "bank-nodes-0",
        .pod_uid = (char *)(uintptr_t) "pod",
        .link_address = (char *)(uintptr_t) "unix:/l",
        .gateway_address = (char *)(uintptr_t) "unix:/g"};
    roster_add(&roster, &member);
    action = action_of(CORE_SEND_ROSTER);
    action.roster = &roster;
    action.dead = dead;
    action.dead_count = 2;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__RosterUpdate *update = fixture_received(&fixture, 2)->roster;
    assert_int_equal(update->current->version, 4);
    assert_int_equal(update->current->node_uids[0], UID);
    assert_string_equal(update->members[0]->link_address, "unix:/l");
    assert_int_equal(update->n_dead_uids, 2);
    assert_int_equal(update->dead_uids[1], 6);
    roster_done(&roster);
    fixture_end(&fixture);
}

static void add_entry(struct system_spec *spec)
{
    struct entry_spec *entry = vec_push_new(&spec->entries);
    entry->replicas = 1;
    entry->root.name = xstrdup("tellers");
    entry->root.under = xstrdup("");
    entry->root.is_supervisor = true;
    entry->root.shutdown_ms = SHUTDOWN_INFINITY;
    entry->root.supervisor = (struct supervisor_spec){STRATEGY_REST_FOR_ONE, {3, 5000}, {10, 20}};
    struct child_spec *child = vec_push_new(&entry->children);
    child->name = xstrdup("counter");
    child->under = xstrdup("");
    child->behavior_c = xstrdup("bank.counter");
    child->arguments = xmemdup("\xc0", 1);
    child->arguments_size = 1;
    child->restart = RESTART_TRANSIENT;
    child->shutdown_ms = 1234;
    child->mailbox = (struct mailbox_spec){10, OVERFLOW_DROP_OLDEST, MAILBOX_DROP};
}

static void test_assign_and_others(void **state)
{
    struct fixture fixture;
    struct unit_list units;
    (void)state;
    fixture_begin(&fixture);
    add_entry(fixture.spec);
    units_from_spec(fixture.spec, &units);
    fixture_start_node(&fixture);
    control_dial(fixture.control, "bank-nodes-0", fixture.address);
    assert_string_equal(fixture_next_event(&fixture), "");
    struct core_action action = action_of(CORE_ASSIGN);
    action.unit = &units.units.items[0];
    action.epoch = 77;
    control_send(fixture.control, fixture.core, &action);
    const Histrio__V1__Assign *assign = fixture_received(&fixture, 1)->assign;
    assert_string_equal(assign->unit->name, "tellers");
    assert_int_equal(assign->epoch, 77);
    assert_int_equal(assign->node_uid, UID);
    assert_true(assign->unit->generation == units.units.items[0].generation);
    assert_int_equal(assign->unit->root->supervisor->strategy, HISTRIO__V1__STRATEGY__STRATEGY_REST_FOR_ONE);
    assert_int_equal(assign->unit->root->supervisor->restarts_max, 3);
    assert_int_equal(assign->unit->root->supervisor->backoff_initial_ms, 10);
    assert_int_equal(assign->unit->root->supervisor->backoff_max_ms, 20);
    assert_true(assign->unit->root->shutdown_infinity);
    const Histrio__V1__Child *child = assign->unit->children[0];
    assert_string_equal(child->behavior_c, "bank.counter");
    assert_int_equal(child->arguments.len, 1);
    assert_int_equal(child->restart, HISTRIO__V1__RESTART__RESTART_TRANSIENT);
    assert_int_equal(child->shutdown_ms, 1234);
    assert_int_equal(child->mailbox_capacity, 10);
    assert_int_equal(child->mailbox_overflow, HISTRIO__V1__OVERFLOW__OVERFLOW_DROP_OLDEST);
    assert_int_equal(child->mailbox_on_restart, HISTRIO__V1__ON_RESTART__ON_RESTART_DROP);
    assert_null(child->supervisor);
    struct core_route routes[] = {{"tellers", 77, UID}, {"ledger", 5, 0}};
    action = action_of(CORE_SEND_ROUTES);
    action.routes = routes;
    action.route_count = 2;
    action.version = 12;
    action.is_full = true;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(fixture_received(&fixture, 2)->routes->version, 12);
    assert_string_equal(fixture_received(&fixture, 2)->routes->placements[1]->unit, "ledger");
    action = action_of(CORE_REVOKE);
    action.unit_name = "tellers";
    action.epoch = 77;
    control_send(fixture.control, fixture.core, &action);
    assert_string_equal(fixture_received(&fixture, 3)->revoke->unit, "tellers");
    action = action_of(CORE_DRAIN);
    action.timeout_ms = 900;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(fixture_received(&fixture, 4)->drain->timeout_ms, 900);
    action = action_of(CORE_REQUEST_INVENTORY);
    action.uid = UID + 1; /* nobody: not sent */
    control_send(fixture.control, fixture.core, &action);
    action = action_of(CORE_SEND_DEAD);
    action.dead = (const uint64_t[]){9};
    action.dead_count = 1;
    control_send(fixture.control, fixture.core, &action);
    assert_int_equal(fixture_received(&fixture, 5)->dead->node_uids[0], 9);
    unit_list_done(&units);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_and_echo),
        cmocka_unit_test(test_node_comes_back),
        cmocka_unit_test(test_node_of_another_run),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_higher_term),
        cmocka_unit_test(test_dial_waits_for_the_term),
        cmocka_unit_test(test_configuration_and_roster),
        cmocka_unit_test(test_assign_and_others),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL) +
           _cmocka_run_group_tests("secure", secure_tests, secure_test_count, NULL, NULL);
}
