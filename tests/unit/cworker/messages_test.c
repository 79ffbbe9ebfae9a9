/* Messages, asks and answers. */
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
    struct frame done = said(FRAME_DONE);
    assert_int_equal(done.number, 1);
    assert_string_equal(noted(), "start:hi");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    harness_stop();
    return 0;
}

/* Longer than anything waits for frames, or for a timeout of a millisecond. */
static void take_longer(struct histrio_context *ctx)
{
    (void)ctx;
    int64_t end_ns = clock_now_ns(clock_system()) + 12 * NS_PER_MS;
    while (clock_now_ns(clock_system()) < end_ns) {
    }
}

static void do_deed(enum frame_kind kind, uint64_t number, const char *deed, const char *text)
{
    feed_deed(kind, 1, number, deed, text);
    assert_true(step());
}

static void asks_are_answered(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 7, "echo", "hello");
    struct frame reply = said(FRAME_REPLY);
    assert_int_equal(reply.actor, 1);
    assert_int_equal(reply.number, 7);
    assert_string_equal(said_payload(), "\xa5hello");
    do_deed(FRAME_ASK, 8, "error", "no");
    assert_int_equal(said(FRAME_ERROR).code, HISTRIO_DENIED);
    assert_string_equal(said_payload(), "no");
    do_deed(FRAME_ASK, 9, "twice", "");
    (void)said(FRAME_REPLY);
    assert_string_equal(said_payload(), "\xa5"
                                        "first");
    said_nothing();
    do_deed(FRAME_ASK, 10, "who", "");
    (void)said(FRAME_REPLY);
    assert_string_equal(said_payload(), "\xc0"); /* it said nothing, which is nil */
    assert_string_equal(
        noted(), "unit/one unit 18446744073709551615 4 self=77/1000 parent=77/999 name=unit/one");
}

static void unknown_methods_are_told(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 7, "juggle", "");
    assert_int_equal(said(FRAME_ERROR).code, HISTRIO_BAD_ARGUMENT);
    assert_string_equal(said_payload(), "no method \"juggle\"");
    do_deed(FRAME_TELL, 8, "juggle", "");
    assert_int_equal(said(FRAME_DONE).code, FRAME_DONE_UNHANDLED);
    do_deed(FRAME_TELL, 9, "who", "");
    assert_int_equal(said(FRAME_DONE).code, 0);
}

static void callers_can_wait(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 7, "keep", "");
    assert_int_equal(said(FRAME_TAKEN).number, 7);
    said_nothing();
    assert_int_equal(page_now().entries[1], 0); /* the node knows it by TAKEN */
    do_deed(FRAME_TELL, 8, "answer", "");
    assert_int_equal(said(FRAME_REPLY).number, 7);
    assert_string_equal(said_payload(), "\xa5later");
    assert_int_equal(said(FRAME_DONE).number, 8);
    do_deed(FRAME_TELL, 9, "answer", ""); /* again: nobody waits */
    assert_int_equal(said(FRAME_DONE).number, 9);
    do_deed(FRAME_ASK, 10, "keep", "");
    (void)said(FRAME_TAKEN);
    do_deed(FRAME_TELL, 11, "stop", "");
    assert_int_equal(said(FRAME_DONE).number, 11);
    struct frame error = said(FRAME_ERROR);
    assert_int_equal(error.number, 10);
    assert_int_equal(error.code, HISTRIO_CRASHED);
    assert_int_equal(said(FRAME_FAILED).code, FRAME_FAILED_NORMAL);
}

/* Another actor of the same process has got the caller, as a value in memory that they share. */
static struct histrio_caller shared_caller;

static void note_caller(struct histrio_context *ctx)
{
    shared_caller = histrio_caller(ctx);
}

static void answer_shared(struct histrio_context *ctx)
{
    histrio_reply_to(ctx, shared_caller, (const uint8_t *)"\xa3you", 4);
}

static void any_actor_of_the_process_can_answer(void **state)
{
    (void)state;
    feed_start(2, 2);
    while_handling = note_caller;
    do_deed(FRAME_ASK, 7, "look", "a");
    (void)said(FRAME_DONE);
    (void)said(FRAME_TAKEN);
    while_handling = answer_shared;
    feed_deed(FRAME_TELL, 2, 8, "look", "b");
    assert_true(step());
    struct frame reply = said(FRAME_REPLY);
    assert_int_equal(reply.actor, 1); /* whose delivery it is */
    assert_int_equal(reply.number, 7);
}

static void messages_go_out_by_name(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 7, "tell", "../printer");
    struct frame tell = said(FRAME_TELL);
    assert_int_equal(tell.actor, 1);
    assert_string_equal(said_text(tell.name), "unit/printer");
    assert_string_equal(said_text(tell.method), "news");
    assert_string_equal(said_payload(), "\xa5hello");
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "tell:0");
    do_deed(FRAME_TELL, 8, "tell_huge", "x");
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "tell:8"); /* BadArgument */
    do_deed(FRAME_TELL, 9, "tell", "not a name");
    (void)said(FRAME_DONE);
    assert_string_equal(noted(), "tell:1"); /* NotFound */
}

static void outcomes_come_back(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 7, "ask", "other");
    struct frame ask = said(FRAME_ASK);
    (void)said(FRAME_DONE);
    feed_text((struct frame){.kind = FRAME_REPLY, .actor = 1, .number = ask.number}, "\xa3"
                                                                                     "yes");
    feed_text((struct frame){.kind = FRAME_REPLY, .actor = 1, .number = ask.number}, "\xa3"
                                                                                     "yes");
    assert_true(step());
    assert_string_equal(noted(), "outcome:0:yes"); /* once */
    do_deed(FRAME_TELL, 8, "ask_then", "other");
    ask = said(FRAME_ASK);
    assert_int_equal(ask.timeout_ms, 250);
    (void)said(FRAME_DONE);
    feed_text((struct frame){.kind = FRAME_ERROR, .actor = 1, .number = ask.number, .code = HISTRIO_TIMEOUT},
        "too late");
    assert_true(step());
    assert_string_equal(noted(), "then:data outcome:6:too late");
    said_nothing();
}

static void asks_that_cannot_go_out_fail_by_a_message(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 7, "ask_huge", "other");
    assert_string_equal(noted(), "outcome:8:the value is larger than a message may be");
    do_deed(FRAME_TELL, 8, "nobody", "");
    assert_string_equal(noted(), "outcome:1:nobody is asked");
}

/* Handlers of outcomes that need no frame bring about others of that kind, without end. */
static void local_outcomes_leave_room(void **state)
{
    (void)state;
    feed_start(2, 2);
    feed_deed(FRAME_TELL, 2, 7, "timeout", "1");
    do_deed(FRAME_TELL, 8, "ask_for_ever", "");
    (void)noted();
    take_longer(NULL);
    assert_true(step());
    const char *notes = noted();
    assert_non_null(strstr(notes, "again"));
    assert_non_null(strstr(notes, "timer::0"));
    (void)said(FRAME_DONE);
    (void)said(FRAME_DONE);
    (void)said(FRAME_DONE);
    do_deed(FRAME_ASK, 9, "echo", "here");
    assert_int_equal(said(FRAME_REPLY).number, 9);
}

static void local_outcomes_come_between_frames(void **state)
{
    (void)state;
    while_handling = take_longer;
    feed_deed(FRAME_TELL, 1, 7, "nobody", "");
    feed_deed(FRAME_TELL, 1, 8, "look", "a");
    feed_deed(FRAME_TELL, 1, 9, "tell", "not a name");
    assert_true(step());
    const char *notes = noted(), *outcome = strstr(notes, "outcome:1:nobody is asked");
    assert_true(outcome && outcome < strstr(notes, "tell:1"));
}

static void logs_are_frames(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 7, "log", "glass");
    assert_int_equal(said(FRAME_LOG).code, HISTRIO_WARNING);
    assert_string_equal(said_payload(), "\x81\xa7message\xae"
                                        "careful: glass");
}

enum { FIRST = 1000 };
static bool was_gathered;

/* What the node sees while a handler runs, and when the answer is not written yet. */
static void look_at_page(struct histrio_context *ctx)
{
    struct page_view page = page_now();
    (void)ctx;
    assert_int_equal(page.executing, PAGE_ACTOR | 1);
    assert_true(page.busy_since_ns > 0);
    was_gathered = page.entries[2] != 0;
    if (was_gathered) {
        assert_int_equal(page.entries[1], FIRST | PAGE_OVER); /* of the handler before, still to be written */
        assert_int_equal(page.entries[2], FIRST + 1);
        said_nothing();
    } else { /* a fifth of a millisecond was over */
        assert_int_equal(page.entries[1], FIRST + 1);
        assert_int_equal(said(FRAME_DONE).number, FIRST);
    }
}

static void the_page_says_what_was_begun(void **state)
{
    (void)state;
    for (unsigned tries = 0; tries == 0 || !was_gathered; tries++) {
        assert_true(tries < 100);
        while_handling = look_at_page;
        feed_deed(FRAME_TELL, 1, FIRST, "who", "");
        do_deed(FRAME_TELL, FIRST + 1, "look", "a");
        (void)noted();
        struct page_view page = page_now();
        assert_int_equal(page.executing, 0);
        assert_int_equal(page.busy_since_ns, 0);
        assert_int_equal(page.entries[1], 0);
        assert_int_equal(page.entries[2], 0);
        if (was_gathered)
            assert_int_equal(said(FRAME_DONE).number, FIRST);
        assert_int_equal(said(FRAME_DONE).number, FIRST + 1);
    }
}

static void hear_between(struct histrio_context *ctx)
{
    (void)ctx;
    hear();
}

static void more_than_the_page_holds_is_written_between(void **state)
{
    (void)state;
    while_handling = hear_between;
    for (uint64_t i = 0; i < 2000; i++)
        feed_deed(FRAME_TELL, 1, 10 + i, "look", "");
    assert_true(step());
    for (uint64_t i = 0; i < 2000; i++)
        assert_int_equal(said(FRAME_DONE).number, 10 + i);
    assert_int_equal(page_now().entries[1], 0);
}

static void frames_may_come_in_pieces(void **state)
{
    (void)state;
    uint8_t value[64 * 1024];
    memset(value, 'x', sizeof(value));
    memcpy(value, "\xda\xff\xfd", 3); /* a text of 65,533 bytes */
    for (uint64_t i = 0; i < 12; i++) {
        struct frame frame = {.kind = FRAME_ASK, .actor = 1, .number = 20 + i, .method = feed_intern("who")};
        feed(frame, value, sizeof(value));
        assert_true(step());
    }
    for (uint64_t i = 0; i < 12; i++)
        assert_int_equal(said(FRAME_REPLY).number, 20 + i);
}

static void what_is_no_frame_ends_it(void **state)
{
    (void)state;
    feed((struct frame){.kind = 200, .actor = 1}, "", 0);
    assert_false(step());
}

#define WITH_SUBJECT(test) cmocka_unit_test_setup_teardown(test, start, stop)

const struct CMUnitTest messages_tests[] = {
    WITH_SUBJECT(asks_are_answered),
    WITH_SUBJECT(unknown_methods_are_told),
    WITH_SUBJECT(callers_can_wait),
    WITH_SUBJECT(any_actor_of_the_process_can_answer),
    WITH_SUBJECT(messages_go_out_by_name),
    WITH_SUBJECT(outcomes_come_back),
    WITH_SUBJECT(asks_that_cannot_go_out_fail_by_a_message),
    WITH_SUBJECT(local_outcomes_leave_room),
    WITH_SUBJECT(local_outcomes_come_between_frames),
    WITH_SUBJECT(logs_are_frames),
    WITH_SUBJECT(the_page_says_what_was_begun),
    WITH_SUBJECT(more_than_the_page_holds_is_written_between),
    WITH_SUBJECT(frames_may_come_in_pieces),
    WITH_SUBJECT(what_is_no_frame_ends_it),
};
const size_t messages_test_count = sizeof(messages_tests) / sizeof(messages_tests[0]);
