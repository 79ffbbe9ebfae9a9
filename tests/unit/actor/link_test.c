/* Links, monitors and exit signals between actors of one worker and of two; between nodes see outside_test.c.
 */
#include "support.h"

#include "suites.h"

#include <stdio.h>
#include <string.h>

/* Does what its messages say to the actor named in the value. */
static enum histrio_result puppet_receive(
    struct histrio_context *ctx, void *state, const struct histrio_message *message)
{
    uint64_t *monitor = state;
    const char *me = histrio_path(ctx), *text = value_text(message);
    if (message->kind == HISTRIO_EXIT && strcmp(text, "shutdown") == 0)
        return HISTRIO_STOP;
    if (message->kind == HISTRIO_EXIT) {
        note("EXIT:%s:%s", me, text);
        return HISTRIO_CONTINUE;
    }
    if (message->kind == HISTRIO_DOWN) {
        note("DOWN:%s:%s:%s", me, text, message->reference == *monitor ? "mine" : "other");
        return HISTRIO_CONTINUE;
    }
    struct histrio_ref other = histrio_lookup(ctx, text);
    if (is_type(message, "link"))
        histrio_link(ctx, other);
    else if (is_type(message, "unlink"))
        histrio_unlink(ctx, other);
    else if (is_type(message, "monitor"))
        *monitor = histrio_monitor(ctx, other);
    else if (is_type(message, "demonitor"))
        histrio_demonitor(ctx, *monitor);
    else if (is_type(message, "trap"))
        histrio_trap_exits(ctx, true);
    else if (is_type(message, "kill"))
        histrio_exit(ctx, other, "kill");
    else if (is_type(message, "shoot"))
        histrio_exit(ctx, other, "bang");
    else if (is_type(message, "greet"))
        histrio_exit(ctx, other, "normal");
    else if (is_type(message, "leave")) {
        histrio_exit(ctx, histrio_self(ctx), "normal");
    } else if (is_type(message, "fail")) {
        histrio_fail(ctx, "%s", text);
        return HISTRIO_FAIL;
    } else if (is_type(message, "end"))
        return HISTRIO_STOP;
    return HISTRIO_CONTINUE;
}

static void puppet_stop(struct histrio_context *ctx, void *state, const char *reason)
{
    (void)state;
    note("stop:%s:%s", histrio_path(ctx), reason);
}

static const struct histrio_behavior puppet = {
    .name = "puppet", .state_size = sizeof(uint64_t), .receive = puppet_receive, .stop = puppet_stop};
static const struct histrio_behavior *const behaviors[] = {&puppet, NULL};

static void start_temporary(const char *name)
{
    struct actor_unit_spec spec = {.name = name,
        .root = {.name = name,
            .under = "",
            .behavior = "test.puppet",
            .restart = ACTOR_TEMPORARY,
            .shutdown_ms = 5000,
            .restarts_max = 1,
            .period_ms = 1000}};
    support_unit_spec(&spec);
}

/* Three units: a and c on one worker, b on the other when there are two. */
static void start_three(unsigned workers)
{
    support_start(workers, behaviors);
    start_temporary("a");
    start_temporary("b");
    start_temporary("c");
}

/* What was told to `name` before has been handled, and what that sent is on its way: a worker sends off its
 * outboxes before it looks at what came in, so the second ask finds them empty. */
static void sync(const char *name)
{
    assert_int_equal(ask_error(name, "sync"), HISTRIO_OK);
    assert_int_equal(ask_error(name, "sync"), HISTRIO_OK);
}

static void links_carry_reasons(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers);
        tell("a", "trap", "");
        tell("a", "link", "b");
        tell("a", "link", "b"); /* a set */
        sync("a");
        sync("b");
        tell("b", "fail", "boom");
        wait_note("EXIT:a:boom");
        tell("a", "link", "c");
        sync("a");
        sync("c");
        tell("c", "fail", "again");
        wait_note("EXIT:a:again");
        sync("a");
        assert_string_equal(notes("EXIT"), "EXIT:a:boom EXIT:a:again");
        tell("a", "link", "c");
        sync("a");
        support_stop();
    }
}

static void links_end_those_that_do_not_trap(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers);
        tell("a", "link", "b");
        tell("a", "link", "c");
        sync("a");
        sync("b");
        sync("c");
        tell("c", "end", ""); /* normal: nobody minds */
        wait_note("unit:c:stopped:normal");
        sync("a");
        tell("b", "fail", "boom");
        wait_note("stop:a:boom");
        support_stop();
    }
}

static void unlink_ends_a_link(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers);
        tell("a", "link", "b");
        sync("a");
        sync("b");
        tell("a", "unlink", "b");
        sync("a");
        sync("b");
        tell("b", "fail", "boom");
        wait_note("stop:b:boom");
        sync("a");
        assert_string_equal(notes("stop:a"), "");
        support_stop();
    }
}

static void monitors_fire_once(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers);
        tell("a", "monitor", "b");
        tell("a", "monitor", "b"); /* they stack */
        sync("a");
        sync("b");
        tell("b", "fail", "boom");
        wait_note("DOWN:a:boom:mine");
        wait_note("DOWN:a:boom:other");
        sync("a");
        assert_int_equal(count_notes("DOWN:a:boom:mine") + count_notes("DOWN:a:boom:other"), 2);
        tell("a", "monitor", "b");
        wait_note("DOWN:a:noproc:mine");
        tell("a", "monitor", "nobody/anywhere");
        wait_notes("DOWN:a:noproc:mine", 2);
        tell("a", "monitor", "c");
        sync("a");
        sync("c");
        tell("a", "demonitor", "");
        sync("a");
        sync("c");
        tell("c", "end", "");
        wait_note("unit:c:stopped:normal");
        sync("a");
        assert_string_equal(notes("DOWN:a:normal"), "");
        support_stop();
    }
}

static void exit_signals_follow_the_rules(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers);
        tell("b", "trap", "");
        sync("b");
        tell("a", "greet", "b");
        wait_note("EXIT:b:normal");
        tell("a", "shoot", "b");
        wait_note("EXIT:b:bang");
        tell("a", "greet", "c"); /* does not trap: ignored */
        sync("a");
        sync("c");
        tell("a", "shoot", "c");
        wait_note("stop:c:bang");
        tell("a", "kill", "b");
        wait_note("stop:b:killed");
        tell("a", "leave", "");
        wait_note("stop:a:normal");
        tell("a", "kill", "b"); /* gone: nothing happens */
        support_stop();
    }
}

static void a_restarted_actor_is_another_incarnation(void **state)
{
    (void)state;
    support_start(2, behaviors);
    start_temporary("a");
    support_unit("b", "test.puppet"); /* restarts */
    tell("a", "monitor", "b");
    sync("a");
    sync("b");
    tell("b", "fail", "one");
    wait_note("DOWN:a:one:mine");
    sync("b");
    tell("b", "fail", "two");
    wait_note("exit:b:two:Restart");
    sync("a");
    assert_string_equal(notes("DOWN"), "DOWN:a:one:mine");
    support_stop();
}

const struct CMUnitTest link_tests[] = {
    cmocka_unit_test(links_carry_reasons),
    cmocka_unit_test(links_end_those_that_do_not_trap),
    cmocka_unit_test(unlink_ends_a_link),
    cmocka_unit_test(monitors_fire_once),
    cmocka_unit_test(exit_signals_follow_the_rules),
    cmocka_unit_test(a_restarted_actor_is_another_incarnation),
};
const size_t link_test_count = sizeof(link_tests) / sizeof(link_tests[0]);
