/* State that survives restarts: what is said to the node, and when. */
#include "harness.h"
#include "suites.h"

#include <string.h>

static int start(void **state)
{
    (void)state;
    harness_start();
    feed_start_of(1, 3, "test.keeping");
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 3);
    assert_string_equal(noted(), "start:hi");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    harness_stop();
    return 0;
}

static void do_deed(enum frame_kind kind, uint64_t number, const char *deed, const char *text)
{
    feed_deed(kind, 1, number, deed, text);
    assert_true(step());
}

static void said_snapshot(char handled)
{
    assert_int_equal(said(FRAME_SNAPSHOT).actor, 1);
    assert_int_equal(said_size(), 1);
    assert_int_equal(said_payload()[0], handled); /* a small number of msgpack is itself */
}

static void snapshots_stand_before_what_is_said(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 5, "echo", "hello");
    said_snapshot(1);
    assert_int_equal(said(FRAME_REPLY).number, 5);
    feed_deed(FRAME_TELL, 1, 6, "tell", "somebody");
    feed_deed(FRAME_TELL, 1, 7, "stop", "");
    assert_true(step());
    said_snapshot(2);
    (void)said(FRAME_TELL);
    assert_int_equal(said(FRAME_DONE).number, 6);
    said_snapshot(3);
    assert_int_equal(said(FRAME_DONE).number, 7);
    assert_int_equal(said(FRAME_FAILED).code, FRAME_FAILED_NORMAL);
    said_nothing();
}

static void what_failed_is_not_kept(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 5, "unheard of", "");
    assert_int_equal(said(FRAME_ERROR).code, HISTRIO_BAD_ARGUMENT);
    do_deed(FRAME_TELL, 6, "fail", "broken");
    (void)said(FRAME_DONE);
    (void)said(FRAME_FAILED);
    said_nothing();
}

static void a_snapshot_may_be_left_out(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 5, "snapshot", "none");
    assert_int_equal(said(FRAME_DONE).number, 5);
    do_deed(FRAME_TELL, 6, "snapshot", "");
    said_snapshot(2);
    assert_int_equal(said(FRAME_DONE).number, 6);
    said_nothing();
}

static void a_snapshot_that_fails_ends_the_actor(void **state)
{
    (void)state;
    do_deed(FRAME_ASK, 5, "snapshot", "fails");
    assert_int_equal(said(FRAME_ERROR).code, HISTRIO_CRASHED);
    assert_string_equal(said_payload(), "cannot be written");
    (void)said(FRAME_FAILED);
    assert_string_equal(said_payload(), "cannot be written");
    said_nothing();
}

static void a_snapshot_has_a_limit(void **state)
{
    (void)state;
    do_deed(FRAME_TELL, 5, "snapshot", "huge");
    (void)said(FRAME_DONE);
    (void)said(FRAME_FAILED);
    assert_string_equal(said_payload(), "its snapshot is larger than a message may be");
    said_nothing();
}

static void restored_in_place_of_started(void **state)
{
    (void)state;
    feed((struct frame){.kind = FRAME_SNAPSHOT, .actor = 2}, "\x05", 1);
    feed_start_of(2, 5, "test.keeping");
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 5);
    assert_string_equal(noted(), "restored:5");
    feed_start_of(3, 6, "test.keeping"); /* it was for the other one only */
    assert_true(step());
    assert_int_equal(said(FRAME_DONE).number, 6);
    assert_string_equal(noted(), "start:hi");
}

static void a_restore_that_fails_is_a_failed_start(void **state)
{
    (void)state;
    feed((struct frame){.kind = FRAME_SNAPSHOT, .actor = 2}, "\xc0", 1);
    feed_start_of(2, 5, "test.keeping");
    assert_true(step());
    assert_int_equal(said(FRAME_FAILED).number, 5);
    assert_string_equal(said_payload(), "cannot be read");
    assert_string_equal(noted(), "");
}

static void a_start_that_cannot_be_takes_its_snapshot_along(void **state)
{
    (void)state;
    feed((struct frame){.kind = FRAME_SNAPSHOT, .actor = 2}, "\x05", 1);
    feed_start_of(2, 5, "test.nobody");
    feed_start_of(2, 6, "test.keeping");
    assert_true(step());
    assert_int_equal(said(FRAME_FAILED).number, 5);
    assert_int_equal(said(FRAME_DONE).number, 6);
    assert_string_equal(noted(), "start:hi");
}

static void speak_and_end(struct histrio_context *ctx)
{
    histrio_reply(ctx, (const uint8_t *)"\xc0", 1);
    cworker_last_words();
}

/* Its process may crash in the same handler: nobody has an answer then whose state is lost. */
static void last_words_are_of_handlers_that_returned(void **state)
{
    (void)state;
    while_handling = speak_and_end;
    for (char handled = 1;; handled = (char)(handled + 2)) {
        feed_deed(FRAME_ASK, 1, 5, "echo", "hello");
        feed_deed(FRAME_ASK, 1, 6, "look", "");
        assert_true(step());
        said_snapshot(handled);
        /* By the last words; what follows is what a crash had taken along. */
        assert_int_equal(said(FRAME_REPLY).number, 5);
        assert_int_equal(said(FRAME_SNAPSHOT).actor, 1);
        if (said_payload()[0] == handled)
            return;
        /* It was written before, since the worker had no core for a while: then there were none. */
        assert_int_equal(said_payload()[0], handled + 1);
        assert_int_equal(said(FRAME_REPLY).number, 6);
        assert_true(handled < 100);
    }
}

#define WITH_KEEPING(test) cmocka_unit_test_setup_teardown(test, start, stop)

const struct CMUnitTest snapshots_tests[] = {
    WITH_KEEPING(snapshots_stand_before_what_is_said),
    WITH_KEEPING(what_failed_is_not_kept),
    WITH_KEEPING(a_snapshot_may_be_left_out),
    WITH_KEEPING(a_snapshot_that_fails_ends_the_actor),
    WITH_KEEPING(a_snapshot_has_a_limit),
    WITH_KEEPING(restored_in_place_of_started),
    WITH_KEEPING(a_restore_that_fails_is_a_failed_start),
    WITH_KEEPING(a_start_that_cannot_be_takes_its_snapshot_along),
    WITH_KEEPING(last_words_are_of_handlers_that_returned),
};
const size_t snapshots_test_count = sizeof(snapshots_tests) / sizeof(snapshots_tests[0]);
