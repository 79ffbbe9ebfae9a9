/* Links, monitors and exit signals between actors of one worker and of two; between nodes see outside_test.c.
 */
#include "support.h"

#include "suites.h"

#include <histrio/value.h>
#include <stdio.h>
#include <string.h>

/* "ENDED:a:1:boom", who watches, which incarnation, why; and what comes of the one that is told of. */
static void note_news(struct histrio_context *ctx, const struct histrio_message *message, bool is_mine)
{
    const char *reason = "", *traceback = "no text";
    size_t reason_size = 0, traceback_size = 7;
    int64_t incarnation = 0;
    (void)histrio_argument_int(message, "incarnation", 0, &incarnation);
    (void)histrio_argument_string(message, "reason", 1, &reason, &reason_size);
    (void)histrio_argument_string(message, "traceback", 2, &traceback, &traceback_size);
    note("%s:%s:%d:%.*s%.*s%s", message->kind == HISTRIO_ENDED ? "ENDED" : "RESTARTED", histrio_path(ctx),
        (int)incarnation, (int)reason_size, reason, (int)traceback_size, traceback, is_mine ? "" : ":other");
    if (message->kind == HISTRIO_RESTARTED)
        (void)histrio_tell(ctx, message->sender, histrio_type("greeted"), NULL, 0);
}

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
    if (message->kind == HISTRIO_ENDED || message->kind == HISTRIO_RESTARTED) {
        note_news(ctx, message, message->reference == *monitor);
        return HISTRIO_CONTINUE;
    }
    struct histrio_ref other = histrio_lookup(ctx, text);
    if (is_type(message, "link"))
        histrio_link(ctx, other);
    else if (is_type(message, "unlink"))
        histrio_unlink(ctx, other);
    else if (is_type(message, "monitor"))
        *monitor = histrio_monitor(ctx, other);
    else if (is_type(message, "watch"))
        *monitor = histrio_watch(ctx, other);
    else if (is_type(message, "greeted"))
        note("greeted:%s:%d", me, (int)histrio_incarnation(ctx));
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

/* Each end and each restart, in order, and one DOWN at the end. */
static void watches_last_over_restarts(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        support_start(workers, behaviors);
        start_temporary("a");
        support_unit("b", "test.puppet");
        tell("a", "watch", "b");
        sync("a");
        sync("b");
        tell("b", "fail", "one");
        wait_note("greeted:b:2"); /* the reference that came is that of the new one */
        tell("b", "fail", "two");
        wait_note("greeted:b:3");
        assert_string_equal(notes("ENDED"), "ENDED:a:1:one ENDED:a:2:two");
        assert_string_equal(notes("RESTARTED"), "RESTARTED:a:2:one RESTARTED:a:3:two");
        assert_string_equal(notes("DOWN"), "");
        support_unit_stop("b");
        wait_note("DOWN:a:noproc:mine");
        assert_int_equal(count_notes("ENDED:a:3:shutdown"), 1);
        sync("a");
        assert_int_equal(count_notes("DOWN:a:noproc:mine"), 1);
        support_stop();
    }
}

static void watches_end_where_nothing_is_restarted(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        start_three(workers); /* of which none is started again */
        tell("a", "watch", "b");
        sync("a");
        sync("b");
        tell("b", "fail", "boom");
        wait_note("ENDED:a:1:boom");
        wait_note("DOWN:a:noproc:mine");
        tell("a", "watch", "b");
        wait_notes("DOWN:a:noproc:mine", 2);
        tell("a", "watch", "nobody/anywhere");
        wait_notes("DOWN:a:noproc:mine", 3);
        assert_string_equal(notes("RESTARTED"), "");
        support_stop();
    }
}

static void a_watch_is_taken_back(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        support_start(workers, behaviors);
        start_temporary("a");
        support_unit("b", "test.puppet");
        tell("a", "watch", "b");
        sync("a");
        sync("b");
        tell("b", "fail", "one");
        wait_note("greeted:b:2");
        tell("a", "demonitor", ""); /* of an incarnation that was not there when it was made */
        sync("a");
        sync("b");
        tell("b", "fail", "two");
        wait_note("exit:b:two:Restart");
        support_unit_stop("b");
        sync("a");
        assert_string_equal(notes("ENDED"), "ENDED:a:1:one");
        assert_string_equal(notes("DOWN"), "");
        support_stop();
    }
}

/* Lets "b" fail, and "a" watch it before it runs again: on a busy machine not with the first wait, but each
 * wait is twice as long as the one before. Returns the incarnation that runs then. */
static int watch_while_it_waits(void)
{
    for (unsigned waits = 1;; waits++) {
        tell("b", "fail", "one");
        wait_notes("stop:b:one", waits);
        tell("a", "watch", "b");
        assert_int_equal(ask("b", "sync", NULL, 0, 120 * 1000).error, HISTRIO_OK); /* it runs */
        sync("a");
        if (*notes("RESTARTED"))
            return (int)waits + 1;
        tell("a", "demonitor", "");
        sync("a");
        sync("b");
    }
}

/* Between two incarnations there is one to be watched. */
static void what_waits_for_its_restart_can_be_watched(void **state)
{
    struct actor_unit_spec spec = {.name = "b",
        .root = {.name = "b",
            .under = "",
            .behavior = "test.puppet",
            .shutdown_ms = 5000,
            .restarts_max = 6,
            .period_ms = 600000,
            .backoff_initial_ms = 1000,
            .backoff_max_ms = 60000}};
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        support_start(workers, behaviors);
        start_temporary("a");
        support_unit_spec(&spec);
        int incarnation = watch_while_it_waits();
        char text[64];
        (void)snprintf(text, sizeof(text), "RESTARTED:a:%d:", incarnation);
        assert_string_equal(notes("RESTARTED"), text);
        (void)snprintf(text, sizeof(text), "greeted:b:%d", incarnation);
        wait_note(text);
        tell("b", "fail", "two");
        (void)snprintf(text, sizeof(text), "ENDED:a:%d:two", incarnation);
        wait_note(text);
        support_unit_stop("b"); /* while it waits, for twice as long as before */
        wait_note("DOWN:a:noproc:mine");
        assert_string_equal(notes("ENDED"), text);
        support_stop();
    }
}

const struct CMUnitTest link_tests[] = {
    cmocka_unit_test(links_carry_reasons),
    cmocka_unit_test(links_end_those_that_do_not_trap),
    cmocka_unit_test(unlink_ends_a_link),
    cmocka_unit_test(monitors_fire_once),
    cmocka_unit_test(exit_signals_follow_the_rules),
    cmocka_unit_test(a_restarted_actor_is_another_incarnation),
    cmocka_unit_test(watches_last_over_restarts),
    cmocka_unit_test(watches_end_where_nothing_is_restarted),
    cmocka_unit_test(a_watch_is_taken_back),
    cmocka_unit_test(what_waits_for_its_restart_can_be_watched),
};
const size_t link_test_count = sizeof(link_tests) / sizeof(link_tests[0]);
