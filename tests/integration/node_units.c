/* Units on a real node: what runs, what is refused, what is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "node_fixture.h"
#include "suites.h"

enum { TRIES = 20 };

static int setup(void **state)
{
    (void)node_fixture_setup(state);
    node_fixture_connect(*state, FIRST_TERM);
    node_fixture_configure(*state);
    return 0;
}

static void expect_refused(struct node_fixture *fixture, const struct assign_options *options,
    Histrio__V1__RefusalReason refusal, const char *reason)
{
    node_fixture_send_assign(fixture, options);
    const Histrio__V1__AssignResult *result = node_fixture_assigned(fixture);
    assert_int_equal(result->refusal, refusal);
    if (!strstr(result->reason, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, result->reason);
}

static bool is_revoked(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_REVOKED;
}

static const Histrio__V1__RevokeResult *revoke_unit(
    struct node_fixture *fixture, const char *unit, uint64_t epoch)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Revoke revoke = HISTRIO__V1__REVOKE__INIT;
    revoke.unit = (char *)(uintptr_t)unit; /* only read */
    revoke.epoch = epoch;
    revoke.node_uid = fixture->uid;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_REVOKE;
    message.revoke = &revoke;
    control_client_forget(fixture->client);
    control_client_send(fixture->client, &message);
    return control_client_wait(fixture->client, is_revoked, NULL, "answer to revoke")->revoked;
}

static void test_unit_runs_and_answers(void **state)
{
    struct node_fixture *fixture = *state;
    struct unit_wanted running = {
        .unit = "ledger", .state = HISTRIO__V1__UNIT_STATE__UNIT_STATE_RUNNING, .incarnation = 1};
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    const Histrio__V1__HeldUnit *unit = node_fixture_wait_unit(fixture, &running);
    assert_int_equal(unit->epoch, fixture->epoch);
    assert_string_equal(unit->actors[0]->path, "ledger");
    assert_string_equal(unit->actors[0]->behavior, "node_behaviors.worker");
}

static void test_revoked_unit_is_gone(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    uint64_t epoch = fixture->epoch;
    const Histrio__V1__RevokeResult *result = revoke_unit(fixture, "ledger", epoch);
    assert_int_equal(result->refusal, HISTRIO__V1__REFUSAL_REASON__REFUSAL_NONE);
    assert_int_equal(result->seen_epoch, epoch);
    assert_int_not_equal(
        node_fixture_ask(fixture, "ledger", "echo", 300, true), HISTRIO__V1__ERROR__ERROR_NONE);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
    assert_int_equal(revoke_unit(fixture, "ledger", epoch)->refusal,
        HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_EPOCH); /* of the former one, late */
}

static void test_newer_assignment_restarts_the_unit(void **state)
{
    struct node_fixture *fixture = *state;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
}

static void test_refusals(void **state)
{
    struct node_fixture *fixture = *state;
    struct assign_options good = {.unit = "ledger", .behavior = "node_behaviors.worker"};
    struct assign_options old_term = good, old_epoch = good, wrong_uid = good, strange = good;
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    old_epoch.epoch = fixture->epoch - 1;
    old_term.term = FIRST_TERM - 1;
    old_term.epoch = fixture->epoch + 1;
    strange.term = FIRST_TERM + 1001;
    strange.epoch = fixture->epoch + 2;
    wrong_uid.node_uid = fixture->uid + 1;
    wrong_uid.epoch = fixture->epoch + 3;
    expect_refused(fixture, &old_epoch, HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_EPOCH, "");
    expect_refused(fixture, &old_term, HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_TERM, "");
    expect_refused(fixture, &strange, HISTRIO__V1__REFUSAL_REASON__REFUSAL_STRANGE_TERM, "");
    expect_refused(fixture, &wrong_uid, HISTRIO__V1__REFUSAL_REASON__REFUSAL_WRONG_UID, "");
}

static void test_code_that_is_not_there(void **state)
{
    struct node_fixture *fixture = *state;
    const Histrio__V1__RefusalReason failed = HISTRIO__V1__REFUSAL_REASON__REFUSAL_START_FAILED;
    struct assign_options options = {.unit = "ledger", .behavior = "unknown.worker"};
    struct unit_wanted wanted = {
        .unit = "ledger", .state = HISTRIO__V1__UNIT_STATE__UNIT_STATE_FAILED, .reason = "unknown"};
    expect_refused(fixture, &options, failed, "no library \"unknown\"");
    (void)node_fixture_wait_unit(fixture, &wanted);
    options.behavior = "node_behaviors.nobody";
    expect_refused(fixture, &options, failed, "behavior \"node_behaviors.nobody\" is not in \"/");
    options.behavior = "missing.worker";
    expect_refused(fixture, &options, failed, "there is no \"libmissing.so\" in the code folders");
    options.behavior = "outside.worker";
    expect_refused(fixture, &options, failed, "is outside of the code folders");
    options.behavior = "crashing.worker";
    expect_refused(fixture, &options, failed, "look at its constructors");
    options.behavior = "bank:Teller";
    options.is_python = true;
    expect_refused(fixture, &options, failed, "the system has no code.python");
}

static void test_start_that_fails(void **state)
{
    struct node_fixture *fixture = *state;
    struct assign_options options = {.unit = "ledger", .behavior = "node_behaviors.broken"};
    expect_refused(fixture, &options, HISTRIO__V1__REFUSAL_REASON__REFUSAL_START_FAILED, "never starts");
    node_fixture_run_unit(
        fixture, "ledger", "node_behaviors.worker"); /* the next one is none the worse for it */
}

static bool is_exit(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_EXITS && message->exits->n_exits > 0;
}

static void test_failing_actor_is_restarted_and_reported(void **state)
{
    struct node_fixture *fixture = *state;
    struct unit_wanted restarted = {
        .unit = "ledger", .state = HISTRIO__V1__UNIT_STATE__UNIT_STATE_RUNNING, .incarnation = 2};
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    assert_int_equal(
        node_fixture_ask(fixture, "ledger", "fail", 5000, false), HISTRIO__V1__ERROR__ERROR_CRASHED);
    const Histrio__V1__ActorExit *exit =
        control_client_wait(fixture->client, is_exit, NULL, "exits")->exits->exits[0];
    assert_string_equal(exit->actor, "ledger");
    assert_string_equal(exit->unit, "ledger");
    assert_int_equal(exit->epoch, fixture->epoch);
    assert_non_null(strstr(exit->reason, "told to fail"));
    assert_string_equal(exit->decision, "Restart");
    (void)node_fixture_wait_unit(fixture, &restarted);
    assert_int_equal(node_fixture_ask(fixture, "ledger", "echo", 5000, true), HISTRIO__V1__ERROR__ERROR_NONE);
}

static void test_unit_that_gives_up(void **state)
{
    struct node_fixture *fixture = *state;
    struct unit_wanted failed = {.unit = "ledger", .state = HISTRIO__V1__UNIT_STATE__UNIT_STATE_FAILED};
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
    for (int i = 0; i < 4; i++) /* 3 restarts in 5 s are allowed when nothing else is said */
        (void)node_fixture_ask(fixture, "ledger", "fail", 5000, false);
    (void)node_fixture_wait_unit(fixture, &failed);
}

static bool is_load(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_LOAD && message->load->memory_bytes > 0;
}

static bool is_block_answer(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    (void)ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_BLOCKED;
}

static void test_load_and_block(void **state)
{
    struct node_fixture *fixture = *state;
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__Block block = HISTRIO__V1__BLOCK__INIT;
    Histrio__V1__BlockRound round = HISTRIO__V1__BLOCK_ROUND__INIT;
    block.node_uid = 99;
    block.round = &round;
    round.term = FIRST_TERM;
    round.counter = 7;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_BLOCK;
    message.block = &block;
    control_client_send(fixture->client, &message);
    const Histrio__V1__BlockAnswer *answer =
        control_client_wait(fixture->client, is_block_answer, NULL, "answer to block")->blocked;
    assert_int_equal(answer->node_uid, 99);
    assert_int_equal(answer->round->counter, 7);
    assert_false(answer->granted_before);
    (void)control_client_wait(fixture->client, is_load, NULL, "load");
}

/* Without an echo nothing starts, however right the rest is (R1, R3). */
static void test_no_echo_no_unit(void **state)
{
    (void)node_fixture_setup(state);
    struct node_fixture *fixture = *state;
    struct control_client_config config = {
        .address = fixture->node.control_address, .term = FIRST_TERM, .gives_no_echoes = true};
    struct assign_options options = {.unit = "ledger", .behavior = "node_behaviors.worker", .epoch = 10};
    fixture->client = control_client_new(&config);
    (void)control_client_hello(fixture->client);
    node_fixture_configure(fixture);
    expect_refused(fixture, &options, HISTRIO__V1__REFUSAL_REASON__REFUSAL_NO_LEASE, "no echo");
    assert_int_equal(node_fixture_assigned(fixture)->seen_epoch, 10); /* R8: it can no longer take effect */
    control_client_give_echoes(fixture->client);
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
}

static bool has_seen(const Histrio__V1__NodeMessage *message, const void *ctx)
{
    const uint64_t *epoch = ctx;
    return message->body_case == HISTRIO__V1__NODE_MESSAGE__BODY_INVENTORY &&
           message->inventory->n_seen > 0 && message->inventory->seen[0]->epoch == *epoch;
}

/* The assignment has arrived. */
static void wait_seen(struct node_fixture *fixture, uint64_t epoch)
{
    Histrio__V1__OperatorMessage message = HISTRIO__V1__OPERATOR_MESSAGE__INIT;
    Histrio__V1__InventoryRequest request = HISTRIO__V1__INVENTORY_REQUEST__INIT;
    message.body_case = HISTRIO__V1__OPERATOR_MESSAGE__BODY_INVENTORY;
    message.inventory = &request;
    control_client_send(fixture->client, &message);
    (void)control_client_wait(fixture->client, has_seen, &epoch, "inventory with the epoch");
}

/* Assigns under a term whose operator gives no echo, and connects the next one, who does. False: it came only
 * when the assignment had waited for its longest, a second, as on a loaded machine. */
static bool next_operator_comes(
    struct node_fixture *fixture, uint64_t term, const struct assign_options *options)
{
    struct control_client_config config = {
        .address = fixture->node.control_address, .term = term, .gives_no_echoes = true};
    struct control_client_config next = {.address = fixture->node.control_address, .term = term + 1};
    control_client_free(fixture->client);
    fixture->client = control_client_new(&config);
    (void)control_client_hello(fixture->client);
    node_fixture_configure(fixture);
    node_fixture_send_assign(fixture, options);
    wait_seen(fixture, options->epoch);
    struct control_client *newer = control_client_new(&next);
    (void)control_client_hello(newer);
    const Histrio__V1__AssignResult *result = node_fixture_assigned(fixture);
    assert_int_equal(result->refusal, HISTRIO__V1__REFUSAL_REASON__REFUSAL_NO_LEASE);
    bool is_too_late = strstr(result->reason, "no echo") != NULL;
    if (!is_too_late)
        assert_non_null(strstr(result->reason, "new term"));
    control_client_free(fixture->client);
    fixture->client = newer;
    return !is_too_late;
}

/* What an operator assigned must not start on the lease that the next operator gives. */
static void test_waiting_assignment_ends_with_its_term(void **state)
{
    (void)node_fixture_setup(state);
    struct node_fixture *fixture = *state;
    struct assign_options options = {.unit = "ledger", .behavior = "node_behaviors.worker"};
    bool is_in_time = false;
    for (uint64_t i = 0; i < TRIES && !is_in_time; i++) {
        options.epoch = 10 + i;
        is_in_time = next_operator_comes(fixture, FIRST_TERM + 2 * i, &options);
    }
    assert_true(is_in_time);
    expect_refused(fixture, &options, HISTRIO__V1__REFUSAL_REASON__REFUSAL_OLD_EPOCH, "");
    node_fixture_run_unit(fixture, "ledger", "node_behaviors.worker");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, node_fixture_teardown)
const struct CMUnitTest node_units_tests[] = {
    TEST(test_unit_runs_and_answers),
    TEST(test_revoked_unit_is_gone),
    TEST(test_newer_assignment_restarts_the_unit),
    TEST(test_refusals),
    TEST(test_code_that_is_not_there),
    TEST(test_start_that_fails),
    TEST(test_failing_actor_is_restarted_and_reported),
    TEST(test_unit_that_gives_up),
    TEST(test_load_and_block),
    cmocka_unit_test_teardown(test_no_echo_no_unit, node_fixture_teardown),
    cmocka_unit_test_teardown(test_waiting_assignment_ends_with_its_term, node_fixture_teardown),
};
const size_t node_units_test_count = sizeof(node_units_tests) / sizeof(node_units_tests[0]);
