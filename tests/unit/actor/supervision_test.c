/* The supervision machine alone: events in, actions out, as texts. tests/conformance compares the same rules
 * with Erlang; here are the cases that Erlang cannot show: decisions, what is kept and released, late and
 * senseless events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "actor/supervision.h"
#include "base/str.h"
#include "unit/actor/supervision_test.h"

struct fixture {
    struct supervision *machine;
    struct str trace;
    uint32_t last_request_child;
};

static void fixture_with(struct fixture *f, const struct supervision_flags *flags)
{
    f->machine = supervision_new(flags);
    str_init(&f->trace, 1 << 20);
    f->last_request_child = 0;
}

static void fixture_init(
    struct fixture *f, enum actor_strategy strategy, uint32_t restarts_max, uint32_t period_ms)
{
    fixture_with(f, &(struct supervision_flags){
                        .strategy = strategy, .restarts_max = restarts_max, .period_ms = period_ms});
}

static void fixture_done(struct fixture *f)
{
    supervision_free(f->machine);
    str_done(&f->trace);
}

static void child_is(struct fixture *f, const char *name, enum actor_restart restart, uint32_t shutdown_ms)
{
    assert_int_not_equal(
        supervision_add(f->machine, &(struct supervision_child){name, restart, shutdown_ms}), 0);
}

static const char *name_of(struct fixture *f, uint32_t child)
{
    const char *name = child ? supervision_child_name(f->machine, child) : "";
    return name ? name : "gone";
}

static void note(struct fixture *f, const struct supervision_action *action)
{
    const char *name = name_of(f, action->child);
    switch (action->kind) {
    case SUPERVISION_START: str_appendf(&f->trace, "start %s;", name); break;
    case SUPERVISION_SHUTDOWN:
        str_appendf(&f->trace, "shutdown %s %d;", name, (int)action->timeout_ms);
        break;
    case SUPERVISION_KILL: str_appendf(&f->trace, "kill %s;", name); break;
    case SUPERVISION_RELEASE: str_appendf(&f->trace, "release %s;", name); break;
    case SUPERVISION_FORGET: str_append(&f->trace, "forget;"); break;
    case SUPERVISION_REPORT:
        str_appendf(
            &f->trace, "report %s %s %s", name, action->reason, supervision_decision_name(action->decision));
        str_appendf(&f->trace, "%s%s;", action->cause ? " by " : "", name_of(f, action->cause));
        break;
    case SUPERVISION_RETRY:
        str_appendf(&f->trace, "retry %s", name);
        if (action->timeout_ms > 0)
            str_appendf(&f->trace, " in %u", action->timeout_ms);
        str_append(&f->trace, ";");
        break;
    case SUPERVISION_STARTED: str_append(&f->trace, "started;"); break;
    case SUPERVISION_FAILED: str_appendf(&f->trace, "failed %s;", action->reason); break;
    case SUPERVISION_ENDED: str_appendf(&f->trace, "ended %s;", action->reason); break;
    case SUPERVISION_ANSWER:
        str_appendf(&f->trace, "answer %d=%d%s%s;", (int)action->request, (int)action->answer,
            action->reason[0] ? " " : "", action->reason);
        f->last_request_child = action->child;
        break;
    }
}

/* What the machine wanted since the last call. A temporary's name is gone by the time that its release is
 * read. */
static void expect_at(struct fixture *f, const char *wanted, const char *file, int line)
{
    struct supervision_action action;
    str_clear(&f->trace);
    while (supervision_next(f->machine, &action))
        note(f, &action);
    if (strcmp(str_text(&f->trace), wanted) != 0)
        print_error("wanted: %s\ngot:    %s\n", wanted, str_text(&f->trace));
    _assert_true(strcmp(str_text(&f->trace), wanted) == 0, "the actions are as wanted", file, line);
}
#define expect(f, wanted) expect_at(f, wanted, __FILE__, __LINE__)

static uint32_t number(struct fixture *f, const char *name)
{
    uint32_t child = supervision_find(f->machine, name);
    assert_int_not_equal(child, 0);
    return child;
}

static void started(struct fixture *f, const char *name)
{
    supervision_child_started(f->machine, number(f, name));
}

static void start_fails(struct fixture *f, const char *name, const char *reason)
{
    supervision_child_start_failed(f->machine, number(f, name), reason);
}

static void exits(struct fixture *f, const char *name, const char *reason, int64_t now_ms)
{
    supervision_child_exited(f->machine, number(f, name), reason, now_ms);
}

/* a, b, c: permanent, 100 ms each; all running. */
static void three_with(struct fixture *f, const struct supervision_flags *flags)
{
    fixture_with(f, flags);
    child_is(f, "a", ACTOR_PERMANENT, 100);
    child_is(f, "b", ACTOR_PERMANENT, 100);
    child_is(f, "c", ACTOR_PERMANENT, 100);
    supervision_start(f->machine);
    expect(f, "start a;");
    started(f, "a");
    expect(f, "start b;");
    started(f, "b");
    expect(f, "start c;");
    started(f, "c");
    expect(f, "started;");
}

static void three(struct fixture *f, enum actor_strategy strategy)
{
    three_with(f, &(struct supervision_flags){.strategy = strategy, .restarts_max = 3, .period_ms = 5000});
}

static void test_names_are_unique(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 1, 1000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    assert_int_equal(supervision_add(f.machine, &(struct supervision_child){"a", ACTOR_TRANSIENT, 5}), 0);
    assert_int_equal(supervision_count(f.machine), 1);
    fixture_done(&f);
}

static void test_no_children(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ALL, 1, 1000);
    supervision_start(f.machine);
    expect(&f, "started;");
    supervision_stop(f.machine, "shutdown");
    expect(&f, "ended shutdown;");
    supervision_stop(f.machine, "shutdown");
    expect(&f, "");
    fixture_done(&f);
}

static void test_first_start_fails(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 3, 5000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "b", ACTOR_PERMANENT, ACTOR_SHUTDOWN_BRUTAL);
    child_is(&f, "c", ACTOR_PERMANENT, 100);
    child_is(&f, "d", ACTOR_PERMANENT, 100);
    supervision_start(f.machine);
    started(&f, "a");
    started(&f, "b");
    start_fails(&f, "c", "no file");
    expect(&f, "start a;start b;start c;report c no file GiveUp;release c;kill b;");
    exits(&f, "b", "killed", 1);
    expect(&f, "report b killed Shutdown by c;release b;shutdown a 100;");
    exits(&f, "a", "shutdown", 1);
    expect(
        &f, "report a shutdown Shutdown by c;release a;failed shutdown: child \"c\" did not start: no file;");
    fixture_done(&f);
}

static void test_one_for_one(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ONE);
    exits(&f, "b", "boom", 10);
    expect(&f, "report b boom Restart;start b;");
    assert_int_equal(supervision_child_state(f.machine, number(&f, "b")), SUPERVISION_STARTING);
    assert_true(supervision_is_busy(f.machine));
    started(&f, "b");
    expect(&f, "");
    assert_false(supervision_is_busy(f.machine));
    fixture_done(&f);
}

static void test_one_for_all(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ALL);
    exits(&f, "b", "boom", 10);
    expect(&f, "report b boom RestartAll;shutdown c 100;");
    exits(&f, "c", "shutdown", 11);
    expect(&f, "report c shutdown RestartAll by b;shutdown a 100;");
    exits(&f, "a", "shutdown", 12);
    expect(&f, "report a shutdown RestartAll by b;start a;");
    started(&f, "a");
    started(&f, "b");
    started(&f, "c");
    expect(&f, "start b;start c;");
    fixture_done(&f);
}

static void test_rest_for_one(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_REST_FOR_ONE);
    exits(&f, "b", "boom", 10);
    expect(&f, "report b boom RestartRest;shutdown c 100;");
    exits(&f, "c", "shutdown", 11);
    expect(&f, "report c shutdown RestartRest by b;start b;");
    started(&f, "b");
    started(&f, "c");
    expect(&f, "start c;");
    exits(&f, "c", "boom", 12);
    expect(&f, "report c boom RestartRest;start c;");
    fixture_done(&f);
}

static void test_restart_types(void **state)
{
    (void)state;
    static const char *const clean[] = {"normal", "shutdown", "shutdown: done"};
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 100, 1000);
    child_is(&f, "p", ACTOR_PERMANENT, 100);
    child_is(&f, "x", ACTOR_TRANSIENT, 100);
    child_is(&f, "t", ACTOR_TEMPORARY, 100);
    supervision_start(f.machine);
    started(&f, "p");
    started(&f, "x");
    started(&f, "t");
    expect(&f, "start p;start x;start t;started;");
    exits(&f, "x", "boom", 0);
    expect(&f, "report x boom Restart;start x;");
    started(&f, "x");
    exits(&f, "x", "shutdownish", 0);
    expect(&f, "report x shutdownish Restart;start x;");
    started(&f, "x");
    for (size_t i = 0; i < 3; i++) {
        char wanted[128];
        exits(&f, "p", clean[i], 0);
        (void)snprintf(wanted, sizeof(wanted), "report p %s Restart;start p;", clean[i]);
        expect(&f, wanted);
        started(&f, "p");
        exits(&f, "x", clean[i], 0);
        (void)snprintf(wanted, sizeof(wanted), "report x %s Remove;release x;", clean[i]);
        expect(&f, wanted);
        supervision_restart_child(f.machine, "x", 7);
        started(&f, "x");
        expect(&f, "start x;answer 7=0;");
    }
    exits(&f, "t", "boom", 0);
    expect(&f, "report gone boom Remove;release gone;forget;");
    assert_int_equal(supervision_find(f.machine, "t"), 0);
    fixture_done(&f);
}

static void test_intensity_window_is_inclusive(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 1, 1000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    supervision_start(f.machine);
    started(&f, "a");
    exits(&f, "a", "1", 5000);
    started(&f, "a");
    expect(&f, "start a;started;report a 1 Restart;start a;");
    exits(&f, "a", "2", 6001); /* the first is 1,001 ms old: forgotten */
    started(&f, "a");
    expect(&f, "report a 2 Restart;start a;");
    exits(&f, "a", "3", 7001); /* exactly the period: still counts */
    expect(&f, "report a 3 GiveUp;release a;ended shutdown;");
    fixture_done(&f);
}

static void test_intensity_zero(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 0, 1000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "b", ACTOR_TEMPORARY, 100);
    child_is(&f, "c", ACTOR_TRANSIENT, 100);
    supervision_start(f.machine);
    started(&f, "a");
    started(&f, "b");
    started(&f, "c");
    expect(&f, "start a;start b;start c;started;");
    exits(&f, "c", "normal", 0); /* no restart is asked for */
    expect(&f, "report c normal Remove;release c;");
    exits(&f, "a", "boom", 0);
    expect(&f, "report a boom GiveUp;release a;shutdown b 100;");
    exits(&f, "b", "shutdown", 0);
    expect(&f, "report gone shutdown Shutdown by a;release gone;forget;ended shutdown;");
    fixture_done(&f);
}

static void test_failed_restart_is_retried_and_counts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 2, 5000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "b", ACTOR_PERMANENT, 100);
    supervision_start(f.machine);
    started(&f, "a");
    started(&f, "b");
    expect(&f, "start a;start b;started;");
    exits(&f, "a", "boom", 1);
    start_fails(&f, "a", "nope");
    expect(&f, "report a boom Restart;start a;retry a;");
    assert_int_equal(supervision_child_state(f.machine, number(&f, "a")), SUPERVISION_RESTARTING);
    supervision_restart_child(f.machine, "a", 1);
    supervision_delete_child(f.machine, "a", 2);
    expect(&f, "answer 1=4;answer 2=4;");
    supervision_retry(f.machine, number(&f, "a"), 2);
    start_fails(&f, "a", "nope again");
    expect(&f, "report a nope Restart;start a;retry a;");
    supervision_retry(f.machine, number(&f, "a"), 3);
    expect(&f, "report a nope again GiveUp;release a;shutdown b 100;");
    exits(&f, "b", "shutdown", 3);
    expect(&f, "report b shutdown Shutdown by a;release b;ended shutdown;");
    fixture_done(&f);
}

/* Restarts that wait: 100 ms, doubled up to 300. */
static void waiting(struct fixture *f, enum actor_strategy strategy)
{
    three_with(f, &(struct supervision_flags){strategy, 10, 5000, 100, 300});
}

static void again(struct fixture *f, const char *name, int64_t now_ms)
{
    supervision_retry(f->machine, number(f, name), now_ms);
}

static void test_a_restart_waits_twice_as_long_each_time(void **state)
{
    (void)state;
    struct fixture f;
    waiting(&f, ACTOR_ONE_FOR_ONE);
    exits(&f, "a", "boom", 1000);
    expect(&f, "report a boom Restart;retry a in 100;");
    assert_int_equal(supervision_child_state(f.machine, number(&f, "a")), SUPERVISION_RESTARTING);
    assert_false(supervision_is_busy(f.machine));
    exits(&f, "b", "boom", 1050); /* the others do not wait for it, nor as long */
    expect(&f, "report b boom Restart;retry b in 100;");
    again(&f, "a", 1100);
    started(&f, "a");
    again(&f, "b", 1150);
    started(&f, "b");
    expect(&f, "start a;start b;");
    exits(&f, "a", "boom", 1200);
    again(&f, "a", 1400);
    started(&f, "a");
    expect(&f, "report a boom Restart;retry a in 200;start a;");
    exits(&f, "a", "boom", 1500);
    again(&f, "a", 1800);
    started(&f, "a");
    expect(&f, "report a boom Restart;retry a in 300;start a;");
    exits(&f, "a", "boom", 6799); /* it lived for a millisecond less than the period */
    again(&f, "a", 7099);
    started(&f, "a");
    expect(&f, "report a boom Restart;retry a in 300;start a;");
    exits(&f, "a", "boom", 12099);
    expect(&f, "report a boom Restart;retry a in 100;");
    fixture_done(&f);
}

static void test_a_group_stops_then_waits_then_starts(void **state)
{
    (void)state;
    struct fixture f;
    waiting(&f, ACTOR_REST_FOR_ONE);
    exits(&f, "b", "boom", 0);
    expect(&f, "report b boom RestartRest;shutdown c 100;");
    exits(&f, "c", "shutdown", 50);
    expect(&f, "report c shutdown RestartRest by b;retry b in 100;");
    exits(&f, "a", "boom", 60); /* and so all of them: what waited waits with it */
    expect(&f, "report a boom RestartRest;retry a in 100;");
    again(&f, "b", 150);
    expect(&f, "");
    again(&f, "a", 160);
    started(&f, "a");
    started(&f, "b");
    started(&f, "c");
    expect(&f, "start a;start b;start c;");
    fixture_done(&f);
}

static void test_a_wait_that_was_overtaken_starts_nothing(void **state)
{
    (void)state;
    struct fixture f;
    waiting(&f, ACTOR_ONE_FOR_ALL);
    exits(&f, "c", "boom", 0);
    exits(&f, "b", "shutdown", 0);
    exits(&f, "a", "shutdown", 0);
    expect(&f, "report c boom RestartAll;shutdown b 100;report b shutdown RestartAll by c;shutdown a 100;"
               "report a shutdown RestartAll by c;retry c in 100;");
    supervision_restart_child(f.machine, "a", 1);
    started(&f, "a");
    expect(&f, "start a;answer 1=0;");
    exits(&f, "a", "boom", 90);
    supervision_terminate_child(f.machine, "a", 2);
    supervision_restart_child(f.machine, "c", 3);
    expect(&f, "report a boom RestartAll;retry a in 100;release a;answer 2=0;start c;");
    started(&f, "c");
    again(&f, "c", 100); /* of the first wait, and c runs */
    again(&f, "a", 190); /* and a was told to end */
    expect(&f, "answer 3=0;");
    exits(&f, "c", "boom", 200);
    again(&f, "c", 399);
    expect(&f, "report c boom RestartAll;retry c in 200;");
    again(&f, "c", 400);
    expect(&f, "start a;");
    fixture_done(&f);
}

static void test_a_start_that_fails_waits_longer(void **state)
{
    (void)state;
    struct fixture f;
    waiting(&f, ACTOR_ONE_FOR_ONE);
    exits(&f, "a", "boom", 0);
    again(&f, "a", 100);
    start_fails(&f, "a", "nope");
    expect(&f, "report a boom Restart;retry a in 100;start a;retry a;");
    again(&f, "a", 101);
    expect(&f, "report a nope Restart;retry a in 200;");
    supervision_stop(f.machine, "shutdown");
    expect(&f, "shutdown c 100;");
    fixture_done(&f);
}

static void test_an_end_by_no_fault_does_not_wait(void **state)
{
    (void)state;
    struct fixture f;
    waiting(&f, ACTOR_ONE_FOR_ONE);
    supervision_child_lost(f.machine, number(&f, "a"), "lost", 0);
    expect(&f, "report a lost Restart;start a;");
    fixture_done(&f);
}

static void test_retry_of_a_group_starts_over(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ALL);
    exits(&f, "c", "boom", 1);
    exits(&f, "b", "shutdown", 1);
    exits(&f, "a", "shutdown", 1);
    started(&f, "a");
    start_fails(&f, "b", "nope");
    expect(&f, "report c boom RestartAll;shutdown b 100;report b shutdown RestartAll by c;shutdown a 100;"
               "report a shutdown RestartAll by c;start a;start b;retry b;");
    supervision_retry(f.machine, number(&f, "b"), 2);
    expect(&f, "report b nope RestartAll;shutdown a 100;");
    exits(&f, "a", "shutdown", 2);
    started(&f, "a");
    started(&f, "b");
    started(&f, "c");
    expect(&f, "report a shutdown RestartAll by b;start a;start b;start c;");
    fixture_done(&f);
}

static void test_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ALL, 3, 5000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "t", ACTOR_TEMPORARY, 100);
    child_is(&f, "b", ACTOR_PERMANENT, 100);
    supervision_start(f.machine);
    supervision_child_ignored(f.machine, number(&f, "a"));
    supervision_child_ignored(f.machine, number(&f, "t"));
    started(&f, "b");
    expect(&f, "start a;release a;start gone;release gone;forget;start b;started;");
    exits(&f, "b", "boom", 1);
    started(&f, "a"); /* a group restart starts everything */
    started(&f, "b");
    expect(&f, "report b boom RestartAll;start a;start b;");
    fixture_done(&f);
}

static void test_shutdown_timeout(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 3, 5000);
    child_is(&f, "a", ACTOR_PERMANENT, ACTOR_SHUTDOWN_INFINITY);
    child_is(&f, "b", ACTOR_PERMANENT, 50);
    supervision_start(f.machine);
    started(&f, "a");
    started(&f, "b");
    expect(&f, "start a;start b;started;");
    supervision_shutdown_expired(f.machine, number(&f, "b")); /* nobody asked */
    expect(&f, "");
    supervision_stop(f.machine, "shutdown");
    expect(&f, "shutdown b 50;");
    supervision_shutdown_expired(f.machine, number(&f, "a"));
    expect(&f, "");
    supervision_shutdown_expired(f.machine, number(&f, "b"));
    expect(&f, "kill b;");
    exits(&f, "b", "killed", 9);
    expect(&f, "report b killed Shutdown;release b;shutdown a -1;");
    exits(&f, "a", "boom", 9);
    expect(&f, "report a boom Shutdown;release a;ended shutdown;");
    fixture_done(&f);
}

static void test_sibling_killed_temporary_is_not_restarted(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, ACTOR_ONE_FOR_ALL, 3, 5000);
    child_is(&f, "t", ACTOR_TEMPORARY, 100);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "u", ACTOR_TEMPORARY, 100);
    supervision_start(f.machine);
    started(&f, "t");
    started(&f, "a");
    started(&f, "u");
    expect(&f, "start t;start a;start u;started;");
    exits(&f, "a", "boom", 1);
    expect(&f, "report a boom RestartAll;shutdown u 100;");
    exits(&f, "u", "shutdown", 1);
    expect(&f, "report gone shutdown Remove by a;release gone;forget;shutdown t 100;");
    exits(&f, "t", "shutdown", 1);
    expect(&f, "report gone shutdown Remove by a;release gone;forget;start a;");
    started(&f, "a");
    expect(&f, "");
    assert_int_equal(supervision_count(f.machine), 1);
    fixture_done(&f);
}

static void test_sibling_that_ended_meanwhile(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ALL);
    exits(&f, "a", "boom", 1);
    exits(&f, "b", "crash", 1); /* c is being stopped: this waits, and is found when b's turn comes */
    expect(&f, "report a boom RestartAll;shutdown c 100;");
    exits(&f, "c", "shutdown", 2);
    expect(&f, "report c shutdown RestartAll by a;report b crash RestartAll by a;start a;");
    started(&f, "a");
    exits(&f, "a", "again", 3); /* ended before the group has started: judged after it */
    started(&f, "b");
    expect(&f, "start b;start c;");
    started(&f, "c");
    expect(&f, "report a again RestartAll;shutdown c 100;");
    fixture_done(&f);
}

static void test_events_wait_in_order(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ONE);
    exits(&f, "a", "boom", 1);
    exits(&f, "b", "crash", 1);
    supervision_stop(f.machine, "shutdown");
    exits(&f, "c", "late", 1);
    expect(&f, "report a boom Restart;start a;");
    started(&f, "a");
    expect(&f, "report b crash Restart;start b;");
    started(&f, "b"); /* now the stop, which finds that c has ended */
    expect(&f, "report c late Shutdown;release c;shutdown b 100;");
    exits(&f, "b", "shutdown", 1);
    exits(&f, "a", "shutdown", 1);
    expect(&f, "report b shutdown Shutdown;release b;shutdown a 100;"
               "report a shutdown Shutdown;release a;ended shutdown;");
    fixture_done(&f);
}

/* All rules act, but only what counts is counted. */
static void test_lost_children_are_free(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_REST_FOR_ONE);
    for (int i = 0; i < 5; i++) {
        supervision_child_lost(f.machine, number(&f, "b"), "SIGSEGV", i);
        expect(&f, "report b SIGSEGV RestartRest;shutdown c 100;");
        supervision_child_lost(f.machine, number(&f, "c"), "SIGSEGV", i);
        expect(&f, "report c SIGSEGV RestartRest by b;start b;");
        started(&f, "b");
        expect(&f, "start c;");
        started(&f, "c");
        expect(&f, "");
    }
    fixture_done(&f);
    fixture_init(&f, ACTOR_ONE_FOR_ONE, 1, 1000);
    child_is(&f, "a", ACTOR_PERMANENT, 100);
    child_is(&f, "t", ACTOR_TEMPORARY, 100);
    supervision_start(f.machine);
    started(&f, "a");
    started(&f, "t");
    expect(&f, "start a;start t;started;");
    supervision_child_lost(f.machine, number(&f, "t"), "SIGSEGV", 1);
    expect(&f, "report gone SIGSEGV Remove;release gone;forget;");
    supervision_child_lost(f.machine, number(&f, "a"), "SIGSEGV", 1);
    started(&f, "a");
    exits(&f, "a", "own", 2);
    started(&f, "a");
    supervision_child_lost(f.machine, number(&f, "a"), "SIGSEGV", 3);
    started(&f, "a");
    expect(&f,
        "report a SIGSEGV Restart;start a;report a own Restart;start a;report a SIGSEGV Restart;start a;");
    exits(&f, "a", "own", 4);
    expect(&f, "report a own GiveUp;release a;ended shutdown;");
    fixture_done(&f);
}

static void test_senseless_events(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ONE);
    supervision_child_started(f.machine, 99);
    supervision_child_started(f.machine, number(&f, "a"));
    supervision_child_start_failed(f.machine, number(&f, "a"), "x");
    supervision_child_ignored(f.machine, number(&f, "a"));
    supervision_child_exited(f.machine, 99, "x", 1);
    supervision_retry(f.machine, number(&f, "a"), 1);
    supervision_retry(f.machine, 99, 1);
    expect(&f, "");
    exits(&f, "a", "boom", 1);
    exits(&f, "a", "boom", 1);
    started(&f, "a");
    expect(&f, "report a boom Restart;start a;");
    fixture_done(&f);
}

static void test_start_child(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_REST_FOR_ONE);
    supervision_start_child(f.machine, &(struct supervision_child){"d", ACTOR_PERMANENT, 100}, 1);
    started(&f, "d");
    expect(&f, "start d;answer 1=0;");
    assert_int_equal(f.last_request_child, number(&f, "d"));
    supervision_start_child(f.machine, &(struct supervision_child){"d", ACTOR_PERMANENT, 100}, 2);
    expect(&f, "answer 2=3;");
    supervision_start_child(f.machine, &(struct supervision_child){"e", ACTOR_PERMANENT, 100}, 3);
    start_fails(&f, "e", "no");
    expect(&f, "start gone;answer 3=5 no;release gone;forget;");
    exits(&f, "c", "boom", 1); /* d is after c */
    expect(&f, "report c boom RestartRest;shutdown d 100;");
    fixture_done(&f);
}

static void test_terminate_restart_delete(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ONE);
    supervision_terminate_child(f.machine, "b", 1);
    expect(&f, "shutdown b 100;");
    supervision_delete_child(f.machine, "b", 2); /* waits for the one before */
    expect(&f, "");
    exits(&f, "b", "shutdown", 1);
    expect(&f, "report gone shutdown Shutdown;release gone;answer 1=0;forget;answer 2=0;");
    supervision_delete_child(f.machine, "b", 3);
    supervision_delete_child(f.machine, "a", 4);
    supervision_restart_child(f.machine, "a", 5);
    supervision_restart_child(f.machine, "b", 6);
    supervision_terminate_child(f.machine, "b", 7);
    expect(&f, "answer 3=1;answer 4=3;answer 5=3;answer 6=1;answer 7=1;");
    supervision_terminate_child(f.machine, "a", 8);
    exits(&f, "a", "boom", 1);
    supervision_terminate_child(f.machine, "a", 9); /* stopped already: well */
    supervision_start_child(f.machine, &(struct supervision_child){"a", ACTOR_PERMANENT, 1}, 10);
    expect(&f, "shutdown a 100;report a boom Shutdown;release a;answer 8=0;answer 9=0;answer 10=2;");
    supervision_restart_child(f.machine, "a", 11);
    start_fails(&f, "a", "no");
    supervision_restart_child(f.machine, "a", 12);
    started(&f, "a");
    expect(&f, "start a;release a;answer 11=5 no;start a;answer 12=0;");
    fixture_done(&f);
}

static void test_terminate_while_restarting(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ONE);
    exits(&f, "a", "boom", 1);
    start_fails(&f, "a", "nope");
    supervision_terminate_child(f.machine, "a", 1);
    supervision_retry(f.machine, number(&f, "a"), 1);
    expect(&f, "report a boom Restart;start a;retry a;report a nope Shutdown;release a;answer 1=0;");
    fixture_done(&f);
}

static void test_free_with_everything_waiting(void **state)
{
    (void)state;
    struct fixture f;
    three(&f, ACTOR_ONE_FOR_ALL);
    exits(&f, "a", "boom", 1);
    exits(&f, "b", "boom", 1);
    supervision_start_child(f.machine, &(struct supervision_child){"d", ACTOR_PERMANENT, 100}, 1);
    supervision_stop(f.machine, "shutdown");
    fixture_done(&f);
    supervision_free(NULL);
}

const struct CMUnitTest supervision_tests[] = {
    cmocka_unit_test(test_names_are_unique),
    cmocka_unit_test(test_no_children),
    cmocka_unit_test(test_first_start_fails),
    cmocka_unit_test(test_one_for_one),
    cmocka_unit_test(test_one_for_all),
    cmocka_unit_test(test_rest_for_one),
    cmocka_unit_test(test_restart_types),
    cmocka_unit_test(test_intensity_window_is_inclusive),
    cmocka_unit_test(test_intensity_zero),
    cmocka_unit_test(test_failed_restart_is_retried_and_counts),
    cmocka_unit_test(test_a_restart_waits_twice_as_long_each_time),
    cmocka_unit_test(test_a_group_stops_then_waits_then_starts),
    cmocka_unit_test(test_a_wait_that_was_overtaken_starts_nothing),
    cmocka_unit_test(test_a_start_that_fails_waits_longer),
    cmocka_unit_test(test_an_end_by_no_fault_does_not_wait),
    cmocka_unit_test(test_retry_of_a_group_starts_over),
    cmocka_unit_test(test_ignored),
    cmocka_unit_test(test_shutdown_timeout),
    cmocka_unit_test(test_sibling_killed_temporary_is_not_restarted),
    cmocka_unit_test(test_sibling_that_ended_meanwhile),
    cmocka_unit_test(test_events_wait_in_order),
    cmocka_unit_test(test_lost_children_are_free),
    cmocka_unit_test(test_senseless_events),
    cmocka_unit_test(test_start_child),
    cmocka_unit_test(test_terminate_restart_delete),
    cmocka_unit_test(test_terminate_while_restarting),
    cmocka_unit_test(test_free_with_everything_waiting),
};
const size_t supervision_test_count = sizeof(supervision_tests) / sizeof(supervision_tests[0]);
