/* Starts and ends, links, monitors, timers. */
#include "harness.h"

#include "base/clock.h"
#include "suites.h"

#include <string.h>

static int start(void **state)
{
    (void)state;
    harness_start();
    feed_start(1, 1);
    assert_true(step());
    (void)said(FRAME_DONE);
    (void)noted();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    harness_stop();
    return 0;
}

static void do_deed(uint64_t number, const char *deed, const char *text)
{
    feed_deed(FRAME_TELL, 1, number, deed, text);
    assert_true(step());
}

static void starts_that_fail_say_why(void **state)
{
    (void)state;
    feed_start_of(2, 5, "test.failing");
    assert_true(step());
    struct frame failed = said(FRAME_FAILED);
    assert_int_equal(failed.actor, 2);
    assert_int_equal(failed.number, 5);
    assert_string_equal(said_payload(), "not today");
    feed_start_of(3, 6, "test.nobody");
    assert_true(step());
    assert_int_equal(said(FRAME_FAILED).number, 6);
    assert_string_equal(said_payload(), "no behavior \"test.nobody\" in its library");
    feed_start_of(3, 7, "nowhere.actor");
    assert_true(step());
    assert_int_equal(said(FRAME_FAILED).number, 7);
    assert_non_null(strstr(said_payload(), "library \"nowhere\""));
    assert_non_null(strstr(said_payload(), "/nowhere/libnowhere.so"));
    assert_string_equal(noted(), "");
}

static void a_stop_runs_the_hook(void **state)
{
    (void)state;
    feed_text((struct frame){.kind = FRAME_STOP, .actor = 1, .number = 5}, "shutdown");
    feed_deed(FRAME_TELL, 1, 6, "who", ""); /* too late: nobody is there */
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 5);
    said_nothing();
    assert_string_equal(noted(), "stop:shutdown:2"); /* and cannot spawn: Unavailable */
    feed_start(1, 7);                                /* the slot is free for another */
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 7);
}

static void failures_end_the_actor(void **state)
{
    (void)state;
    feed_deed(FRAME_ASK, 1, 5, "fail", "broken");
    feed_deed(FRAME_TELL, 1, 6, "who", "");
    assert_true(step());
    assert_int_equal(said(FRAME_ERROR).code, HISTRIO_CRASHED);
    assert_string_equal(said_payload(), "broken");
    struct frame failed = said(FRAME_FAILED);
    assert_int_equal(failed.number, 0);
    assert_int_equal(failed.code, 0);
    assert_string_equal(said_payload(), "broken");
    said_nothing(); /* what was not begun is the next incarnation's */
    assert_string_equal(noted(), "stop:broken:2");
}

static void a_dropped_actor_begins_nothing_more(void **state)
{
    (void)state;
    feed_deed(FRAME_TELL, 1, 5, "who", "");
    feed_deed(FRAME_TELL, 1, 6, "who", "");
    feed((struct frame){.kind = FRAME_DROP, .actor = 1}, "", 0);
    assert_true(step());
    said_nothing();
    assert_string_equal(noted(), ""); /* not even what came before, and no hook */
}

/* As in the node, and as in OTP: from others "normal" is ignored. */
static void normal_to_itself_ends_it(void **state)
{
    (void)state;
    do_deed(5, "exit_self", "normal");
    (void)said(FRAME_DONE);
    assert_int_equal(said(FRAME_FAILED).code, FRAME_FAILED_NORMAL);
    assert_string_equal(noted(), "stop:normal:2");
}

static void exits_to_itself_come_before_other_messages(void **state)
{
    (void)state;
    feed_deed(FRAME_TELL, 1, 6, "exit_self", "tired");
    feed_deed(FRAME_TELL, 1, 7, "who", "");
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 6);
    (void)said(FRAME_FAILED);
    assert_string_equal(said_payload(), "tired");
    said_nothing();
}

static void traps_are_told_before_the_start_is_done(void **state)
{
    (void)state;
    feed_start_of(2, 5, "test.trapping");
    assert_true(step());
    assert_int_equal(said(FRAME_TRAP).code, 1);
    assert_int_equal(said(FRAME_DONE).number, 5);
    feed_deed(FRAME_TELL, 2, 6, "exit_self", "kill");
    assert_true(step());
    (void)said(FRAME_DONE);
    (void)said(FRAME_FAILED);
    assert_string_equal(said_payload(), "killed");
}

static void feed_exit(uint64_t number, uint64_t id)
{
    struct frame frame = {.kind = FRAME_EXIT, .actor = 1, .number = number, .ref_node = 88, .ref_id = id};
    feed_text(frame, "boom\nwith a stack");
}

static void unlinked_exits_do_not_come(void **state)
{
    (void)state;
    do_deed(5, "trap", "");
    (void)said(FRAME_TRAP);
    (void)said(FRAME_DONE);
    do_deed(6, "link", "3");
    struct frame link = said(FRAME_LINK);
    assert_int_equal(link.ref_node, 88);
    assert_int_equal(link.ref_id, 3);
    (void)said(FRAME_DONE);
    do_deed(7, "unlink", "3");
    struct frame unlink = said(FRAME_UNLINK);
    (void)said(FRAME_DONE);
    feed_exit(8, 3); /* it was on its way */
    feed_exit(9, 4);
    feed((struct frame){.kind = FRAME_REPLY, .actor = 1, .number = unlink.number}, "\xc0", 1);
    feed_exit(10, 3); /* sent by hand, after */
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 8);
    assert_int_equal(said(FRAME_DONE).number, 9);
    assert_int_equal(said(FRAME_DONE).number, 10);
    assert_string_equal(noted(), "exit:4:boom exit:3:boom");
    do_deed(11, "exit", "3");
    assert_int_equal(said(FRAME_EXIT).ref_id, 3);
    assert_string_equal(said_payload(), "enough");
}

static void feed_down(uint64_t number, uint64_t monitor)
{
    feed_text((struct frame){.kind = FRAME_DOWN, .actor = 1, .number = number, .ref_id = monitor}, "gone");
}

static void monitors_come_once_or_not_at_all(void **state)
{
    (void)state;
    do_deed(5, "monitor", "3");
    uint64_t monitor = said(FRAME_MONITOR).number;
    (void)said(FRAME_DONE);
    feed_down(6, monitor);
    feed_down(7, monitor);
    assert_true(step());
    assert_string_equal(noted(), "down:3:gone");
    (void)said(FRAME_DONE);
    (void)said(FRAME_DONE);
    do_deed(8, "monitor", "4");
    monitor = said(FRAME_MONITOR).number;
    (void)said(FRAME_DONE);
    do_deed(9, "demonitor", "");
    assert_int_equal(said(FRAME_DEMONITOR).number, monitor);
    (void)said(FRAME_DONE);
    feed_down(10, monitor); /* it was on its way */
    assert_true(step());
    assert_string_equal(noted(), "");
}

static void feed_news(uint64_t number, uint64_t monitor, uint8_t code)
{
    static const char value[] = "\x83\xabincarnation\x02\xa6reason\xa4"
                                "boom\xa9traceback\xa0";
    feed((struct frame){.kind = FRAME_DOWN, .code = code, .actor = 1, .number = number, .ref_id = monitor},
        value, sizeof(value) - 1);
}

static void watches_last(void **state)
{
    (void)state;
    do_deed(5, "watch", "3");
    struct frame frame = said(FRAME_MONITOR);
    assert_int_equal(frame.code, FRAME_MONITOR_LASTS);
    (void)said(FRAME_DONE);
    feed_news(6, frame.number, FRAME_DOWN_ENDED);
    assert_true(step());
    assert_string_equal(noted(), "ended:boom");
    feed_news(7, frame.number, FRAME_DOWN_RESTARTED);
    assert_true(step());
    assert_string_equal(noted(), "restarted:boom");
    feed_down(8, frame.number);
    feed_news(9, frame.number, FRAME_DOWN_ENDED); /* after the last of it */
    assert_true(step());
    assert_string_equal(noted(), "down:3:gone");
    for (uint64_t number = 6; number <= 9; number++)
        assert_int_equal(said(FRAME_DONE).number, number);
}

static void too_many_monitors_end_the_actor(void **state)
{
    (void)state;
    do_deed(5, "monitors", "3");
    for (int i = 0; i < 4096; i++)
        (void)said(FRAME_MONITOR);
    (void)said(FRAME_DONE);
    (void)said(FRAME_FAILED);
    assert_string_equal(said_payload(), "more than 4096 monitors at once, in a worker process");
}

static void feed_timer(uint64_t number, uint64_t timer)
{
    feed((struct frame){.kind = FRAME_TIMER,
             .actor = 1,
             .number = number,
             .ref_id = timer,
             .method = feed_intern("tick")},
        "", 0);
}

static void timers_fire_until_they_are_canceled(void **state)
{
    (void)state;
    do_deed(5, "timer", "10");
    struct frame timer = said(FRAME_TIMER_START);
    assert_int_equal(timer.timeout_ms, 60000);
    assert_int_equal(timer.ref_id, 10);
    assert_string_equal(said_text(timer.method), "tick");
    (void)said(FRAME_DONE);
    feed_timer(6, timer.number);
    feed_timer(7, timer.number);
    assert_true(step());
    assert_string_equal(noted(), "timer:tick:1 timer:tick:1");
    (void)said(FRAME_DONE);
    (void)said(FRAME_DONE);
    do_deed(8, "cancel", "");
    assert_int_equal(said(FRAME_TIMER_CANCEL).number, timer.number);
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "left:1");
    feed_timer(9, timer.number); /* it was on its way */
    assert_true(step());
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "");
    do_deed(10, "cancel", "");
    assert_string_equal(noted(), "left:0");
}

static void silence_is_noticed(void **state)
{
    (void)state;
    int64_t began_ns = clock_now_ns(clock_system());
    do_deed(5, "timeout", "30");
    const char *notes = noted();
    if (clock_now_ns(clock_system()) - began_ns < 30 * NS_PER_MS) /* else it may be time already */
        assert_string_equal(notes, "");
    assert_true(step_within(60 * 1000)); /* ends when it is time */
    assert_string_equal(noted(), "timer::0");
    do_deed(6, "who", ""); /* from here on anew */
    (void)noted();
    assert_true(step_within(60 * 1000));
    assert_string_equal(noted(), "timer::0");
    do_deed(7, "timeout", "0");
    assert_true(step_within(60));
    assert_string_equal(noted(), "");
}

#define WITH_SUBJECT(test) cmocka_unit_test_setup_teardown(test, start, stop)

const struct CMUnitTest lives_tests[] = {
    WITH_SUBJECT(starts_that_fail_say_why),
    WITH_SUBJECT(a_stop_runs_the_hook),
    WITH_SUBJECT(failures_end_the_actor),
    WITH_SUBJECT(a_dropped_actor_begins_nothing_more),
    WITH_SUBJECT(normal_to_itself_ends_it),
    WITH_SUBJECT(exits_to_itself_come_before_other_messages),
    WITH_SUBJECT(traps_are_told_before_the_start_is_done),
    WITH_SUBJECT(unlinked_exits_do_not_come),
    WITH_SUBJECT(monitors_come_once_or_not_at_all),
    WITH_SUBJECT(watches_last),
    WITH_SUBJECT(too_many_monitors_end_the_actor),
    WITH_SUBJECT(timers_fire_until_they_are_canceled),
    WITH_SUBJECT(silence_is_noticed),
};
const size_t lives_test_count = sizeof(lives_tests) / sizeof(lives_tests[0]);
