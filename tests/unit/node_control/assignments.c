/* R1 and R8 of the node's half: what is obeyed, what is refused, and that everything is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "node_control/assignments.h"
#include "suites.h"

enum { NODE_UID = 5 };

struct fixture {
    struct assignments assignments;
    struct assignment_actions actions;
};

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    assignments_init(&fixture->assignments, NODE_UID, free);
    *state = fixture;
    return 0;
}

static void forget(struct fixture *fixture)
{
    assignment_actions_done(&fixture->actions, free);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    forget(fixture);
    assignments_done(&fixture->assignments);
    free(fixture);
    return 0;
}

static void assign_to(
    struct fixture *fixture, uint64_t uid, const char *unit, uint64_t epoch, enum assignment_lease lease)
{
    struct assignment_request request = {
        .unit = unit, .epoch = epoch, .node_uid = uid, .generation = 1, .spec = xstrdup("spec")};
    forget(fixture);
    assignments_assign(&fixture->assignments, &request, lease, &fixture->actions);
}

static void assign(struct fixture *fixture, const char *unit, uint64_t epoch)
{
    assign_to(fixture, NODE_UID, unit, epoch, ASSIGNMENT_LEASE_HELD);
}

static void revoke_it(struct fixture *fixture, const char *unit, uint64_t epoch)
{
    forget(fixture);
    assignments_revoke(&fixture->assignments, unit, epoch, NODE_UID, &fixture->actions);
}

static void change(struct fixture *fixture, const char *unit, uint64_t epoch, enum actor_unit_state state)
{
    forget(fixture);
    assignments_unit_changed(&fixture->assignments, unit, epoch, state, "why", &fixture->actions);
}

static void run(struct fixture *fixture, const char *unit, uint64_t epoch)
{
    assign(fixture, unit, epoch);
    change(fixture, unit, epoch, UNIT_RUNNING);
}

static void expect_count(const struct fixture *fixture, size_t count)
{
    assert_int_equal(fixture->actions.list.count, count);
}

static const struct assignment_action *expect(
    const struct fixture *fixture, size_t index, enum assignment_action_kind kind, uint64_t epoch)
{
    assert_true(index < fixture->actions.list.count);
    const struct assignment_action *action = &fixture->actions.list.items[index];
    assert_int_equal(action->kind, kind);
    assert_int_equal(action->epoch, epoch);
    return action;
}

static void expect_refusal(const struct fixture *fixture, uint64_t epoch, enum refusal refusal, uint64_t seen)
{
    expect_count(fixture, 1);
    const struct assignment_action *action = expect(fixture, 0, ASSIGNMENT_ANSWER_ASSIGN, epoch);
    assert_int_equal(action->refusal, refusal);
    assert_int_equal(action->seen_epoch, seen);
}

static void test_assign_starts_and_is_answered_when_it_runs(void **state)
{
    struct fixture *fixture = *state;
    assign(fixture, "ledger", 7);
    expect_count(fixture, 1);
    assert_string_equal(expect(fixture, 0, ASSIGNMENT_START, 7)->spec, "spec");
    change(fixture, "ledger", 7, UNIT_RUNNING);
    expect_refusal(fixture, 7, REFUSAL_NO, 7);
    change(fixture, "ledger", 7, UNIT_RUNNING);
    expect_count(fixture, 0);
    assert_int_equal(assignments_held_count(&fixture->assignments), 1);
}

static void test_old_and_repeated_epochs_are_refused(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 7);
    assign(fixture, "ledger", 7);
    expect_refusal(fixture, 7, REFUSAL_OF_OLD_EPOCH, 7);
    assign(fixture, "ledger", 6);
    expect_refusal(fixture, 6, REFUSAL_OF_OLD_EPOCH, 7);
}

static void test_wrong_uid_is_refused_and_not_seen(void **state)
{
    struct fixture *fixture = *state;
    assign_to(fixture, NODE_UID + 1, "ledger", 9, ASSIGNMENT_LEASE_HELD);
    expect_refusal(fixture, 9, REFUSAL_OF_WRONG_UID, 0);
    assert_int_equal(assignments_seen_epoch(&fixture->assignments, "ledger"), 0);
}

static void test_without_lease_it_is_refused_and_seen(void **state)
{
    struct fixture *fixture = *state;
    assign_to(fixture, NODE_UID, "ledger", 9, ASSIGNMENT_LEASE_NONE);
    expect_refusal(fixture, 9, REFUSAL_WITHOUT_LEASE, 9);
    assign(fixture, "ledger", 9);
    expect_refusal(fixture, 9, REFUSAL_OF_OLD_EPOCH, 9);
}

static void test_expected_lease_lets_it_wait(void **state)
{
    struct fixture *fixture = *state;
    assign_to(fixture, NODE_UID, "ledger", 3, ASSIGNMENT_LEASE_EXPECTED);
    expect_count(fixture, 0);
    assert_true(assignments_have_waiting(&fixture->assignments));
    assignments_lease_held(&fixture->assignments, &fixture->actions);
    expect(fixture, 0, ASSIGNMENT_START, 3);
    assert_false(assignments_have_waiting(&fixture->assignments));
}

static void test_lost_lease_refuses_what_waits(void **state)
{
    struct fixture *fixture = *state;
    assign_to(fixture, NODE_UID, "ledger", 3, ASSIGNMENT_LEASE_EXPECTED);
    assignments_lease_lost(&fixture->assignments, "late", &fixture->actions);
    expect_refusal(fixture, 3, REFUSAL_WITHOUT_LEASE, 3);
    assert_string_equal(fixture->actions.list.items[0].reason, "late");
    forget(fixture);
    assignments_lease_held(&fixture->assignments, &fixture->actions);
    expect_count(fixture, 0);
}

static void test_newer_assignment_of_a_held_unit_stops_it_first(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 1);
    assign(fixture, "ledger", 2);
    expect_count(fixture, 1);
    expect(fixture, 0, ASSIGNMENT_STOP, 1);
    change(fixture, "ledger", 1, UNIT_STOPPED);
    expect_count(fixture, 1);
    expect(fixture, 0, ASSIGNMENT_START, 2);
    change(fixture, "ledger", 1, UNIT_RUNNING); /* of the former epoch: ignored */
    expect_count(fixture, 0);
    change(fixture, "ledger", 2, UNIT_RUNNING);
    expect_refusal(fixture, 2, REFUSAL_NO, 2);
}

static void test_two_newer_assignments_leave_the_newest(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 1);
    assign(fixture, "ledger", 2);
    assign(fixture, "ledger", 3);
    expect_refusal(fixture, 2, REFUSAL_OF_OLD_EPOCH, 3);
    change(fixture, "ledger", 1, UNIT_STOPPED);
    expect(fixture, 0, ASSIGNMENT_START, 3);
}

static void test_revoke_is_answered_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 4);
    revoke_it(fixture, "ledger", 4);
    expect_count(fixture, 1);
    expect(fixture, 0, ASSIGNMENT_STOP, 4);
    revoke_it(fixture, "ledger", 5); /* repeated: one end answers both */
    expect_count(fixture, 0);
    change(fixture, "ledger", 4, UNIT_STOPPED);
    expect_count(fixture, 1);
    assert_int_equal(expect(fixture, 0, ASSIGNMENT_ANSWER_REVOKE, 5)->refusal, REFUSAL_NO);
    assign(fixture, "ledger", 5);
    expect_refusal(fixture, 5, REFUSAL_OF_OLD_EPOCH, 5);
}

static void test_revoke_of_what_is_not_held(void **state)
{
    struct fixture *fixture = *state;
    revoke_it(fixture, "ledger", 4);
    expect_count(fixture, 1);
    assert_int_equal(expect(fixture, 0, ASSIGNMENT_ANSWER_REVOKE, 4)->refusal, REFUSAL_NO);
    assign(fixture, "ledger", 4); /* it was still under way when it was revoked: R8 */
    expect_refusal(fixture, 4, REFUSAL_OF_OLD_EPOCH, 4);
}

static void test_revoke_of_an_older_epoch_is_refused(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 4);
    revoke_it(fixture, "ledger", 3);
    expect_count(fixture, 1);
    assert_int_equal(expect(fixture, 0, ASSIGNMENT_ANSWER_REVOKE, 3)->refusal, REFUSAL_OF_OLD_EPOCH);
    assert_int_equal(assignments_held_count(&fixture->assignments), 1);
}

static void test_revoke_while_starting_answers_both(void **state)
{
    struct fixture *fixture = *state;
    assign(fixture, "ledger", 4);
    revoke_it(fixture, "ledger", 4);
    expect_count(fixture, 2);
    assert_int_equal(expect(fixture, 0, ASSIGNMENT_ANSWER_ASSIGN, 4)->refusal, REFUSAL_OF_OLD_EPOCH);
    expect(fixture, 1, ASSIGNMENT_STOP, 4);
    change(fixture, "ledger", 4, UNIT_RUNNING); /* raced with the stop */
    expect_count(fixture, 0);
    change(fixture, "ledger", 4, UNIT_STOPPED);
    expect_count(fixture, 1);
    expect(fixture, 0, ASSIGNMENT_ANSWER_REVOKE, 4);
}

static void test_revoke_of_what_waits_for_the_lease(void **state)
{
    struct fixture *fixture = *state;
    assign_to(fixture, NODE_UID, "ledger", 3, ASSIGNMENT_LEASE_EXPECTED);
    revoke_it(fixture, "ledger", 3);
    expect_count(fixture, 2);
    assert_int_equal(expect(fixture, 0, ASSIGNMENT_ANSWER_ASSIGN, 3)->refusal, REFUSAL_OF_OLD_EPOCH);
    expect(fixture, 1, ASSIGNMENT_ANSWER_REVOKE, 3);
}

static void test_failed_start_is_listed_until_the_next_assignment(void **state)
{
    struct fixture *fixture = *state;
    assign(fixture, "ledger", 4);
    change(fixture, "ledger", 4, UNIT_FAILED);
    expect_refusal(fixture, 4, REFUSAL_START_FAILED, 4);
    const struct assignment *assignment = map_get(&fixture->assignments.units, "ledger");
    assert_true(assignment->is_listed);
    assert_int_equal(assignment->state, UNIT_FAILED);
    assert_string_equal(assignment->reason, "why");
    assert_int_equal(assignments_held_count(&fixture->assignments), 0);
    assign(fixture, "ledger", 5);
    expect(fixture, 0, ASSIGNMENT_START, 5);
}

static void test_start_that_cannot_be_performed(void **state)
{
    struct fixture *fixture = *state;
    assign(fixture, "ledger", 4);
    forget(fixture);
    assignments_start_failed(
        &fixture->assignments, "ledger", 4, REFUSAL_OF_BAD_SPEC, "no such library", &fixture->actions);
    expect_refusal(fixture, 4, REFUSAL_OF_BAD_SPEC, 4);
    assert_string_equal(fixture->actions.list.items[0].reason, "no such library");
}

static void test_bad_spec_is_answered(void **state)
{
    struct fixture *fixture = *state;
    struct assignment_request request = {.unit = "ledger",
        .epoch = 2,
        .node_uid = NODE_UID,
        .spec_refusal = REFUSAL_START_FAILED,
        .spec_error = "python"};
    assignments_assign(&fixture->assignments, &request, ASSIGNMENT_LEASE_HELD, &fixture->actions);
    expect_refusal(fixture, 2, REFUSAL_START_FAILED, 2);
    assert_string_equal(fixture->actions.list.items[0].reason, "python");
}

static void test_drain_stops_all_and_refuses(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, "ledger", 4);
    run(fixture, "tellers.0", 5);
    assign_to(fixture, NODE_UID, "tellers.1", 6, ASSIGNMENT_LEASE_EXPECTED);
    forget(fixture);
    assignments_drain(&fixture->assignments, &fixture->actions);
    expect_count(fixture, 3);
    expect(fixture, 0, ASSIGNMENT_STOP, 4);
    expect(fixture, 1, ASSIGNMENT_STOP, 5);
    assert_int_equal(expect(fixture, 2, ASSIGNMENT_ANSWER_ASSIGN, 6)->refusal, REFUSAL_WHILE_DRAINING);
    assign(fixture, "tellers.2", 7);
    expect_refusal(fixture, 7, REFUSAL_WHILE_DRAINING, 7);
    change(fixture, "ledger", 4, UNIT_STOPPED);
    change(fixture, "tellers.0", 5, UNIT_FAILED);
    assert_int_equal(assignments_held_count(&fixture->assignments), 0);
}

/* Random schedules against the header's three promises. */
struct tally {
    uint64_t assigns, assign_answers, revokes, revoke_answers, held_epoch;
    bool is_held;
};

static void play(struct fixture *fixture, struct tally *tally)
{
    vec_for_each (action, &fixture->actions.list) {
        tally->assign_answers += action->kind == ASSIGNMENT_ANSWER_ASSIGN;
        tally->revoke_answers += action->kind == ASSIGNMENT_ANSWER_REVOKE;
        if (action->kind != ASSIGNMENT_START)
            continue;
        assert_false(tally->is_held);                   /* one at a time */
        assert_true(action->epoch > tally->held_epoch); /* epochs only grow */
        tally->is_held = true;
        tally->held_epoch = action->epoch;
    }
}

static void random_step(struct fixture *fixture, struct tally *tally, struct rng *rng)
{
    uint64_t epoch = 1 + rng_below(rng, 40);
    switch (rng_below(rng, 6)) {
    case 0:
    case 1:
        assign_to(fixture, NODE_UID, "u", epoch, (enum assignment_lease)rng_below(rng, 3));
        tally->assigns++;
        break;
    case 2:
        revoke_it(fixture, "u", epoch);
        tally->revokes++;
        break;
    case 3:
        forget(fixture);
        assignments_lease_held(&fixture->assignments, &fixture->actions);
        break;
    case 4:
        forget(fixture);
        if (tally->is_held)
            change(fixture, "u", tally->held_epoch, UNIT_RUNNING);
        break;
    default:
        forget(fixture);
        if (tally->is_held) {
            tally->is_held = false;
            change(fixture, "u", tally->held_epoch, rng_one_in(rng, 2) ? UNIT_STOPPED : UNIT_FAILED);
        }
        break;
    }
    play(fixture, tally);
}

static void settle(struct fixture *fixture, struct tally *tally)
{
    forget(fixture);
    assignments_lease_lost(&fixture->assignments, "over", &fixture->actions);
    play(fixture, tally);
    forget(fixture);
    assignments_drain(&fixture->assignments, &fixture->actions);
    play(fixture, tally);
    if (tally->is_held) {
        tally->is_held = false;
        change(fixture, "u", tally->held_epoch, UNIT_STOPPED);
        play(fixture, tally);
    }
}

static void test_random_schedules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        void *made = NULL;
        struct tally tally = {0};
        struct rng rng;
        rng_seed(&rng, seed);
        (void)setup(&made);
        for (int i = 0; i < 60; i++)
            random_step(made, &tally, &rng);
        settle(made, &tally);
        if (tally.assigns != tally.assign_answers || tally.revoke_answers > tally.revokes)
            fail_msg("seed %llu: %llu assigns, %llu answers", (unsigned long long)seed,
                (unsigned long long)tally.assigns, (unsigned long long)tally.assign_answers);
        (void)teardown(&made);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
const struct CMUnitTest assignments_tests[] = {
    TEST(test_assign_starts_and_is_answered_when_it_runs),
    TEST(test_old_and_repeated_epochs_are_refused),
    TEST(test_wrong_uid_is_refused_and_not_seen),
    TEST(test_without_lease_it_is_refused_and_seen),
    TEST(test_expected_lease_lets_it_wait),
    TEST(test_lost_lease_refuses_what_waits),
    TEST(test_newer_assignment_of_a_held_unit_stops_it_first),
    TEST(test_two_newer_assignments_leave_the_newest),
    TEST(test_revoke_is_answered_at_the_end),
    TEST(test_revoke_of_what_is_not_held),
    TEST(test_revoke_of_an_older_epoch_is_refused),
    TEST(test_revoke_while_starting_answers_both),
    TEST(test_revoke_of_what_waits_for_the_lease),
    TEST(test_failed_start_is_listed_until_the_next_assignment),
    TEST(test_start_that_cannot_be_performed),
    TEST(test_bad_spec_is_answered),
    TEST(test_drain_stops_all_and_refuses),
    cmocka_unit_test(test_random_schedules),
};
const size_t assignments_test_count = sizeof(assignments_tests) / sizeof(assignments_tests[0]);
