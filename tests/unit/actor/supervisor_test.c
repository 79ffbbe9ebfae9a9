/* Supervisors on a worker that the test steps, under a virtual clock. What OTP shows as well is in
 * tests/conformance; here is what it has not: reports with decision and cause, kept mailboxes, incarnations,
 * units and their ends, wrong units. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/supervisor.h"
#include "actor/system_private.h"
#include "base/clock.h"
#include "base/str.h"
#include "suites.h"

static struct {
    struct actor_system *system;
    struct clock_virtual clock;
    struct str log;     /* what happened since it was read last */
    struct str answers; /* of asks from outside */
    bool start_fails;
} world;

/* ---- an actor that obeys ---- */

static enum histrio_result obedient_start(
    struct histrio_context *ctx, void *state, const uint8_t *arguments, size_t size)
{
    (void)ctx;
    (void)state;
    (void)arguments;
    (void)size;
    if (world.start_fails)
        histrio_fail(ctx, "no luck");
    return world.start_fails ? HISTRIO_FAIL : HISTRIO_CONTINUE;
}

static enum histrio_result obedient_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    (void)state;
    const char *type = histrio_type_name(message->type);
    if (strcmp(type, "fail") == 0) {
        histrio_fail(ctx, "boom");
        return HISTRIO_FAIL;
    }
    if (strcmp(type, "stop") == 0)
        return HISTRIO_STOP;
    if (message->kind == HISTRIO_ASK)
        histrio_reply(ctx, (const uint8_t *)"\x01", 1);
    str_appendf(&world.log, "%s.%d got %s; ", histrio_path(ctx), (int)histrio_incarnation(ctx), type);
    return HISTRIO_CONTINUE;
}

static const struct histrio_behavior obedient = {
    .name = "obedient", .start = obedient_start, .receive = obedient_receive};
static const struct histrio_library library = {
    HISTRIO_ABI_VERSION, "test", (const struct histrio_behavior *const[]){&obedient, NULL}};

/* ---- the world ---- */

static void on_exited(void *ctx, const struct actor_exit_report *report)
{
    (void)ctx;
    str_appendf(&world.log, "%s.%d %s %s%s%s; ", report->path, (int)report->incarnation, report->reason,
        report->decision, report->cause[0] ? " by " : "", report->cause);
}

static void on_unit(
    void *ctx, const char *unit, uint64_t epoch, enum actor_unit_state state, const char *reason)
{
    (void)ctx;
    (void)epoch;
    static const char *const names[] = {"", "running", "", "failed", "stopped", ""};
    if (names[state][0] != '\0')
        str_appendf(&world.log, "unit %s %s%s%s; ", unit, names[state], reason[0] ? ": " : "", reason);
}

static int setup(void **state)
{
    (void)state;
    struct err err = {0};
    clock_virtual_init(&world.clock, NS_PER_S, 0);
    str_init(&world.log, 1 << 20);
    str_init(&world.answers, 1 << 20);
    world.start_fails = false;
    world.system = system_new(&(struct actor_system_config){.node_uid = TEST_NODE_UID,
        .system = "bank",
        .worker_count = 1,
        .clock = &world.clock.clock,
        .events = {.exited = on_exited, .unit_changed = on_unit}});
    return actor_system_add_library(world.system, &library, &err);
}

static void settle(void)
{
    while (worker_step(&world.system->workers[0]))
        ;
}

static int teardown(void **state)
{
    (void)state;
    struct err err = {0};
    (void)actor_system_unit_stop(world.system, "unit", &err); /* it may have ended */
    settle();
    system_done(world.system);
    str_done(&world.log);
    str_done(&world.answers);
    return 0;
}

static void expect_at(const char *wanted, const char *file, int line)
{
    settle();
    if (strcmp(str_text(&world.log), wanted) != 0)
        print_error("wanted: %s\ngot:    %s\n", wanted, str_text(&world.log));
    _assert_true(strcmp(str_text(&world.log), wanted) == 0, "the log is as wanted", file, line);
    str_clear(&world.log);
}
#define expect(wanted) expect_at(wanted, __FILE__, __LINE__)

static void tell_it(const char *path, const char *type)
{
    assert_int_equal(actor_system_tell(world.system, path, type, NULL, 0), HISTRIO_OK);
}

static void on_answer(void *ctx, enum histrio_error error, const uint8_t *value, size_t size)
{
    (void)value;
    (void)size;
    str_appendf(&world.answers, "%s=%s ", (const char *)ctx, histrio_error_name(error));
}

static void ask_it(const char *path, const char *type)
{
    actor_system_ask(world.system, path, type, NULL, 0, 60000, on_answer, (void *)(uintptr_t)type);
}

static struct actor_child_spec worker(const char *name, enum actor_restart restart)
{
    return (struct actor_child_spec){
        .name = name, .under = "", .behavior = "test.obedient", .restart = restart, .shutdown_ms = 100};
}

static struct actor_child_spec supervisor(const char *name, const char *under, enum actor_strategy strategy)
{
    return (struct actor_child_spec){.name = name,
        .under = under,
        .is_supervisor = true,
        .strategy = strategy,
        .restarts_max = 1,
        .period_ms = 5000,
        .shutdown_ms = ACTOR_SHUTDOWN_INFINITY};
}

static int start_unit(
    struct actor_child_spec root, const struct actor_child_spec *children, size_t count, struct err *err)
{
    struct actor_unit_spec unit = {.name = "unit", .root = root, .children = children, .child_count = count};
    return actor_system_unit_start(world.system, &unit, 1, err);
}

static void start_pair(enum actor_strategy strategy)
{
    struct err err = {0};
    struct actor_child_spec children[] = {worker("a", ACTOR_PERMANENT), worker("b", ACTOR_PERMANENT)};
    assert_int_equal(start_unit(supervisor("", "", strategy), children, 2, &err), 0);
    expect("unit unit running; ");
}

/* ---- reports, names, mailboxes ---- */

static void test_reports_say_decision_and_cause(void **state)
{
    (void)state;
    start_pair(ACTOR_ONE_FOR_ALL);
    tell_it("unit/a", "fail");
    expect("unit/a.1 boom RestartAll; unit/b.1 shutdown RestartAll by unit/a; ");
    tell_it("unit/b", "hello");
    expect("unit/b.2 got hello; ");
    tell_it("unit/b", "fail");
    expect("unit/b.2 boom GiveUp; unit/a.2 shutdown Shutdown by unit/b; "
           "unit unit failed: too many restarts: unit/b: boom; ");
}

static void test_a_stop_is_reported(void **state)
{
    (void)state;
    struct err err = {0};
    start_pair(ACTOR_ONE_FOR_ONE);
    assert_int_equal(actor_system_unit_stop(world.system, "unit", &err), 0);
    expect("unit/b.1 shutdown Shutdown; unit/a.1 shutdown Shutdown; unit unit stopped: shutdown; ");
}

static void test_mailbox_outlives_the_restart(void **state)
{
    (void)state;
    start_pair(ACTOR_ONE_FOR_ONE);
    tell_it("unit/a", "one");
    ask_it("unit/a", "fail");
    tell_it("unit/a", "two");
    ask_it("unit/a", "three");
    expect("unit/a.1 got one; unit/a.1 boom Restart; unit/a.2 got two; unit/a.2 got three; ");
    assert_string_equal(str_text(&world.answers), "fail=Crashed three=OK ");
}

static void test_mailbox_of_a_sibling_is_kept(void **state)
{
    (void)state;
    start_pair(ACTOR_ONE_FOR_ALL);
    tell_it("unit/a", "fail");
    tell_it("unit/a", "one");
    tell_it("unit/a", "two");
    expect("unit/a.1 boom RestartAll; unit/b.1 shutdown RestartAll by unit/a; "
           "unit/a.2 got one; unit/a.2 got two; ");
}

static void test_mailbox_can_be_dropped(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec child = worker("a", ACTOR_PERMANENT);
    child.drop_mailbox_on_restart = true;
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), &child, 1, &err), 0);
    tell_it("unit/a", "fail");
    ask_it("unit/a", "one");
    expect("unit unit running; unit/a.1 boom Restart; ");
    assert_true(strncmp(str_text(&world.answers), "one=", 4) == 0);
    assert_null(strstr(str_text(&world.answers), "OK"));
    tell_it("unit/a", "two");
    expect("unit/a.2 got two; ");
}

static void test_released_mailbox_is_answered(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec child = worker("a", ACTOR_TEMPORARY);
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), &child, 1, &err), 0);
    expect("unit unit running; ");
    tell_it("unit/a", "fail");
    ask_it("unit/a", "one");
    expect("unit/a.1 boom Remove; ");
    assert_string_equal(str_text(&world.answers), "one=NotFound ");
}

static void test_restarts_are_counted(void **state)
{
    (void)state;
    struct actor_counters counters = {0};
    start_pair(ACTOR_ONE_FOR_ALL);
    tell_it("unit/a", "fail");
    settle();
    actor_system_counters(world.system, &counters);
    assert_int_equal(counters.restarts, 2);
    str_clear(&world.log);
}

static void test_a_restart_waits_and_its_messages_with_it(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec children[] = {worker("a", ACTOR_PERMANENT), worker("b", ACTOR_PERMANENT)};
    struct actor_child_spec root = supervisor("", "", ACTOR_ONE_FOR_ONE);
    root.backoff_initial_ms = 50;
    root.backoff_max_ms = 80;
    assert_int_equal(start_unit(root, children, 2, &err), 0);
    expect("unit unit running; ");
    tell_it("unit/a", "fail");
    tell_it("unit/a", "hello");
    tell_it("unit/b", "hello");
    expect("unit/b.1 got hello; unit/a.1 boom Restart; ");
    clock_virtual_advance(&world.clock, 49 * NS_PER_MS);
    expect("");
    clock_virtual_advance(&world.clock, NS_PER_MS);
    expect("unit/a.2 got hello; ");
}

static void test_clients_may_not_ask_supervisors(void **state)
{
    (void)state;
    start_pair(ACTOR_ONE_FOR_ONE);
    ask_it("unit", SUPERVISOR_TERMINATE_CHILD);
    expect("");
    assert_string_equal(str_text(&world.answers), SUPERVISOR_TERMINATE_CHILD "=Denied ");
    ask_it("unit", "supervisor.retry");
    tell_it("unit", "supervisor.retry");
    tell_it("unit", "nonsense");
    tell_it("unit/a", "still");
    expect("unit/a.1 got still; ");
}

/* ---- units ---- */

static void start_plain(enum actor_restart restart)
{
    struct err err = {0};
    struct actor_child_spec root = worker("", restart);
    root.restarts_max = 1;
    root.period_ms = 5000;
    assert_int_equal(start_unit(root, NULL, 0, &err), 0);
    expect("unit unit running; ");
}

static void test_plain_unit_is_restarted(void **state)
{
    (void)state;
    start_plain(ACTOR_PERMANENT);
    tell_it("unit", "stop");
    tell_it("unit", "hello");
    expect("unit.1 normal Restart; unit.2 got hello; ");
    clock_virtual_advance(&world.clock, 5001 * NS_PER_MS);
    tell_it("unit", "fail");
    expect("unit.2 boom Restart; ");
    tell_it("unit", "fail");
    expect("unit.3 boom GiveUp; unit unit failed: too many restarts: unit: boom; ");
}

static void test_plain_unit_ends(void **state)
{
    (void)state;
    start_plain(ACTOR_TRANSIENT);
    tell_it("unit", "stop");
    expect("unit.1 normal Remove; unit unit stopped: normal; ");
    start_plain(ACTOR_TEMPORARY);
    tell_it("unit", "fail");
    expect("unit.2 boom Remove; unit unit stopped: normal; ");
}

static void test_first_start_fails(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec child = worker("a", ACTOR_PERMANENT);
    world.start_fails = true;
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), &child, 1, &err), 0);
    settle();
    assert_non_null(strstr(str_text(&world.log), "no luck GiveUp; "));
    assert_non_null(
        strstr(str_text(&world.log), "unit unit failed: shutdown: child \"a\" did not start: no luck; "));
    str_clear(&world.log);
    world.start_fails = false; /* nothing is left of it: it can be started */
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), &child, 1, &err), 0);
    settle();
    assert_non_null(strstr(str_text(&world.log), "unit unit running; "));
    str_clear(&world.log);
}

static void test_killed_root_takes_its_children(void **state)
{
    (void)state;
    struct actor_counters before = {0}, after = {0};
    actor_system_counters(world.system, &before);
    start_pair(ACTOR_ONE_FOR_ONE);
    actor_system_signal(world.system,
        &(struct actor_signal){.kind = SIGNAL_EXIT, .from = {99, 1}, .to_name = "unit", .reason = "kill"});
    expect("unit/b.1 killed Shutdown by unit; unit/a.1 killed Shutdown by unit; unit unit failed: killed; ");
    actor_system_counters(world.system, &after);
    assert_int_equal(after.actors, before.actors);
}

static void test_strangers_cannot_stop_a_root(void **state)
{
    (void)state;
    start_pair(ACTOR_ONE_FOR_ONE);
    actor_system_signal(
        world.system, &(struct actor_signal){
                          .kind = SIGNAL_EXIT, .from = {99, 1}, .to_name = "unit", .reason = "shutdown"});
    expect("");
}

/* ---- wrong units ---- */

static void refused(const struct actor_child_spec *children, size_t count, const char *text)
{
    struct err err = {0};
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), children, count, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.text);
}

static void test_wrong_units_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec a = worker("a", ACTOR_PERMANENT), b = worker("b", ACTOR_PERMANENT);
    struct actor_child_spec s = supervisor("s", "", ACTOR_ONE_FOR_ONE);
    refused((struct actor_child_spec[]){a, a}, 2, "two children are named \"a\"");
    b.under = "nobody";
    refused((struct actor_child_spec[]){a, b}, 2, "under \"nobody\", which is not before it");
    b.under = "a";
    refused((struct actor_child_spec[]){a, b}, 2, "which is no supervisor");
    b.under = "s";
    refused((struct actor_child_spec[]){b, s}, 2, "which is not before it");
    s.under = "s";
    refused(&s, 1, "which is not before it");
    s.under = "";
    s.backoff_initial_ms = 2;
    s.backoff_max_ms = 1;
    refused(&s, 1, "longest wait is below its first");
    s = supervisor("s", "", ACTOR_ONE_FOR_ONE);
    s.period_ms = 0;
    refused(&s, 1, "has a period of 0");
    a.behavior = NULL;
    refused(&a, 1, "has no behavior");
    a = worker("No/Label", ACTOR_PERMANENT);
    refused(&a, 1, "DNS label");
    a = worker("a", ACTOR_PERMANENT);
    assert_int_equal(start_unit(worker("", ACTOR_PERMANENT), &a, 1, &err), -1);
    assert_non_null(strstr(err.text, "is no supervisor"));
}

static void test_depth_has_a_limit(void **state)
{
    (void)state;
    struct err err = {0};
    struct actor_child_spec children[SUPERVISOR_DEPTH_MAX + 1];
    char names[SUPERVISOR_DEPTH_MAX + 1][16];
    for (int i = 0; i <= SUPERVISOR_DEPTH_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s%d", i);
        children[i] = supervisor(names[i], i > 0 ? names[i - 1] : "", ACTOR_ONE_FOR_ONE);
    }
    refused(children, SUPERVISOR_DEPTH_MAX, "nested deeper than");
    size_t deepest = SUPERVISOR_DEPTH_MAX - 1; /* the root counts */
    assert_int_equal(start_unit(supervisor("", "", ACTOR_ONE_FOR_ONE), children, deepest, &err), 0);
    expect("unit unit running; ");
    assert_int_equal(actor_system_unit_stop(world.system, "unit", &err), 0);
    settle();
    assert_non_null(strstr(str_text(&world.log), "unit unit stopped: shutdown; "));
    str_clear(&world.log);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
const struct CMUnitTest supervisor_tests[] = {
    TEST(test_reports_say_decision_and_cause),
    TEST(test_a_stop_is_reported),
    TEST(test_mailbox_outlives_the_restart),
    TEST(test_mailbox_of_a_sibling_is_kept),
    TEST(test_mailbox_can_be_dropped),
    TEST(test_released_mailbox_is_answered),
    TEST(test_restarts_are_counted),
    TEST(test_a_restart_waits_and_its_messages_with_it),
    TEST(test_clients_may_not_ask_supervisors),
    TEST(test_plain_unit_is_restarted),
    TEST(test_plain_unit_ends),
    TEST(test_first_start_fails),
    TEST(test_killed_root_takes_its_children),
    TEST(test_strangers_cannot_stop_a_root),
    TEST(test_wrong_units_are_refused),
    TEST(test_depth_has_a_limit),
};
const size_t supervisor_test_count = sizeof(supervisor_tests) / sizeof(supervisor_tests[0]);
