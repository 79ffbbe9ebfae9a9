#include "unit/kube_watch/suites.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/event.h"
#include "kube/event_book.h"
#include "kube/micro_time.h"

enum { MINUTE_MS = 60 * 1000 };

struct stage {
    struct event_book book;
    int64_t now_ms;
    int writes;
};

static int setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    stage->now_ms = 5000;
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    event_book_done(&stage->book);
    free(stage);
    return 0;
}

/* What the recorder does with what the book gives. */
static struct event_series *wrote(struct stage *stage, struct event_series *series)
{
    if (series) {
        stage->writes++;
        event_series_wrote(series, series->written == 0 ? 1 : series->count);
    }
    return series;
}

static struct event_series *add(struct stage *stage, const char *name, const char *reason, const char *note)
{
    const struct kube_event event = {.api_version = "v1",
        .kind = "Pod",
        .namespace = "x",
        .name = name,
        .uid = "u",
        .reason = reason,
        .note = note};
    return wrote(stage, event_book_add(&stage->book, stage->now_ms, 1000 * stage->now_ms, &event));
}

static void equal_events_are_one_series(void **state)
{
    struct stage *stage = *state;
    struct event_series *series = add(stage, "a", "Lost", "it is gone");
    assert_non_null(series);
    assert_string_equal(series->action, "Lost");
    assert_int_equal(series->first_wall_ms, 5000 * 1000);
    _cleanup_(cleanup_free) char *event_name = xstrdup(series->event_name);
    assert_true(text_starts_with(event_name, "a."));
    assert_int_equal(strlen(event_name), 2 + 16);
    stage->now_ms += 1000;
    assert_ptr_equal(add(stage, "a", "Lost", "it is gone"), series);
    assert_int_equal(series->count, 2);
    assert_int_equal(series->written, 2);
    assert_int_equal(series->last_wall_ms, 6000 * 1000);
    assert_ptr_not_equal(add(stage, "b", "Lost", "it is gone"), series);
    assert_ptr_not_equal(add(stage, "a", "Found", "it is gone"), series);
    assert_ptr_not_equal(add(stage, "a", "Lost", "it went"), series);

    /* Quiet for long: a new Event. */
    stage->now_ms += 10 * MINUTE_MS;
    series = add(stage, "a", "Lost", "it is gone");
    assert_int_equal(series->count, 1);
    assert_string_not_equal(series->event_name, event_name);
}

static void many_notes_become_one_combined_series(void **state)
{
    struct stage *stage = *state;
    struct event_series *combined = NULL;
    for (int i = 0; i < 15; i++) {
        char note[24];
        (void)snprintf(note, sizeof(note), "try %d", i);
        struct event_series *series = add(stage, "a", "Failed", note);
        if (i < 10) {
            assert_string_equal(series->note, note);
            continue;
        }
        assert_true(!combined || series == combined);
        combined = series;
    }
    assert_string_equal(combined->note, "(combined from similar events): try 10");
    assert_int_equal(combined->count, 5);
    /* Of those that are known, it is still their own. */
    assert_string_equal(add(stage, "a", "Failed", "try 3")->note, "try 3");
}

static void an_object_has_a_budget(void **state)
{
    struct stage *stage = *state;
    for (int i = 0; i < 600; i++) { /* ten minutes, one a second */
        (void)add(stage, "a", "Lost", "it is gone");
        stage->now_ms += 1000;
    }
    assert_int_equal(stage->writes, 26);
    assert_non_null(add(stage, "b", "Lost", "it is gone")); /* its own budget */
    struct event_series *series = wrote(stage, event_book_next(&stage->book, stage->now_ms));
    assert_non_null(series); /* the second token after ten minutes */
    assert_int_equal(series->written, 600);
    assert_null(add(stage, "a", "Lost", "it is gone"));
    assert_null(event_book_next(&stage->book, stage->now_ms));
    stage->now_ms += 5 * MINUTE_MS;
    assert_ptr_equal(wrote(stage, event_book_next(&stage->book, stage->now_ms)), series);
    assert_int_equal(series->written, 601);
    stage->now_ms += 5 * MINUTE_MS;
    assert_null(event_book_next(&stage->book, stage->now_ms));

    /* Hours later nothing is remembered. */
    stage->now_ms += 10 * 60 * MINUTE_MS;
    assert_null(event_book_next(&stage->book, stage->now_ms));
    assert_int_equal(map_count(&stage->book.subjects), 0);
}

static void a_lost_event_is_created_anew(void **state)
{
    struct stage *stage = *state;
    struct event_series *series = add(stage, "a", "Lost", "it is gone");
    _cleanup_(cleanup_free) char *event_name = xstrdup(series->event_name);
    stage->now_ms += 1000;
    series = add(stage, "a", "Lost", "it is gone");
    event_series_lost(series);
    assert_int_equal(series->written, 0);
    assert_string_not_equal(series->event_name, event_name);
    assert_ptr_equal(event_book_next(&stage->book, stage->now_ms), series);
}

static void the_book_is_bounded(void **state)
{
    struct stage *stage = *state;
    for (int i = 0; i < 5000; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)add(stage, name, "Lost", "it is gone");
    }
    assert_int_equal(map_count(&stage->book.subjects), 4096);
    char note[3000];
    memset(note, 'a', sizeof(note));
    note[1022] = (char)0xE2; /* of a character of three bytes, which is cut */
    note[1023] = (char)0x82;
    note[1024] = (char)0xAC;
    note[2999] = 0;
    struct event_series *series = add(stage, "a", "Lost", note);
    assert_int_equal(strlen(series->note), 1022);
}

static void micro_times_have_six_digits(void **state)
{
    (void)state;
    char text[KUBE_MICRO_TIME_BYTES];
    assert_string_equal(kube_micro_time(1700000000123, text), "2023-11-14T22:13:20.123000Z");
    assert_string_equal(kube_micro_time(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(kube_micro_time(-1, text), "1969-12-31T23:59:59.999000Z");
    assert_string_equal(kube_micro_time(INT64_MAX, text), "1970-01-01T00:00:00.807000Z");
}

int event_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_events_are_one_series, setup, teardown),
        cmocka_unit_test_setup_teardown(many_notes_become_one_combined_series, setup, teardown),
        cmocka_unit_test_setup_teardown(an_object_has_a_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_event_is_created_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(the_book_is_bounded, setup, teardown),
        cmocka_unit_test(micro_times_have_six_digits),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
