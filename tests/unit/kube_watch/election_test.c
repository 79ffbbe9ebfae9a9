#include "unit/kube_watch/suites.h"

#include "base/mem.h"
#include "kube/election.h"

static const struct election_times times = {6000, 4000, 1000};

struct stage {
    struct election election;
    struct election_request request;
    int64_t now_ms;
};

static int setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    stage->now_ms = 1000 * 1000;
    election_init(&stage->election, "me", &times, 1);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    election_done(&stage->election);
    free(stage);
    return 0;
}

static void expect_step(struct stage *stage, enum election_step step)
{
    election_next(&stage->election, stage->now_ms, 70, &stage->request);
    assert_int_equal(stage->request.step, step);
}

static void wait_until_next(struct stage *stage, int64_t minimum_ms, int64_t maximum_ms)
{
    expect_step(stage, ELECTION_WAIT);
    assert_in_range(stage->request.until_ms - stage->now_ms, minimum_ms, maximum_ms);
    stage->now_ms = stage->request.until_ms;
}

/* The open request is answered after 100 ms. */
static void answer(struct stage *stage, const char *version, const char *holder, int64_t duration_ms)
{
    struct election_record record = {.version = xstrdup(version),
        .holder = xstrdup(holder),
        .acquired = xstrdup("2026-11-23T12:00:00.000000Z"),
        .duration_ms = duration_ms,
        .transitions = 4,
        .known_version = 50};
    stage->now_ms += 100;
    election_answered_take(&stage->election, stage->now_ms, &record);
}

static void fails(struct stage *stage, enum election_failure failure)
{
    election_failed(&stage->election, stage->now_ms, failure, 0);
}

static void lead(struct stage *stage)
{
    expect_step(stage, ELECTION_GET);
    answer(stage, "1", "", 1000);
    expect_step(stage, ELECTION_REPLACE);
    answer(stage, "2", "me", 6000);
}

static void what_was_given_up_is_taken_at_once(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    assert_int_equal(stage->request.timeout_ms, 2000);
    answer(stage, "1", "", 1000);
    int64_t sent_ms = stage->now_ms;
    expect_step(stage, ELECTION_REPLACE);
    assert_string_equal(stage->request.record->version, "1");
    assert_string_equal(stage->request.record->holder, "me");
    assert_int_equal(stage->request.record->duration_ms, 6000);
    assert_int_equal(stage->request.record->transitions, 5);
    assert_int_equal(stage->request.record->known_version, 70);
    assert_true(stage->request.is_acquisition);
    assert_false(election_leads(&stage->election, stage->now_ms));
    answer(stage, "2", "me", 6000);
    /* From when it was sent. */
    assert_int_equal(election_held_until_ms(&stage->election, stage->now_ms), sent_ms + 4000);
    assert_true(election_leads(&stage->election, sent_ms + 3999));
    assert_false(election_leads(&stage->election, sent_ms + 4000));
    assert_int_equal(election_held_until_ms(&stage->election, sent_ms + 4000), 0);

    /* Renewed without a look, and the deadline moves. */
    wait_until_next(stage, 900, 900);
    expect_step(stage, ELECTION_REPLACE);
    assert_string_equal(stage->request.record->version, "2");
    assert_int_equal(stage->request.record->transitions, 4); /* as the server has it */
    assert_false(stage->request.is_acquisition);
    sent_ms = stage->now_ms;
    answer(stage, "3", "me", 6000);
    assert_int_equal(election_held_until_ms(&stage->election, stage->now_ms), sent_ms + 4000);
}

static void another_holder_is_waited_out(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    answer(stage, "7", "other", 6000);
    int64_t seen_ms = stage->now_ms;
    for (int i = 0; i < 3; i++) {
        wait_until_next(stage, 400, 480);
        expect_step(stage, ELECTION_GET);
        answer(stage, "7", "other", 6000);
    }
    wait_until_next(stage, 400, 480);
    expect_step(stage, ELECTION_GET);
    answer(stage, "8", "other", 6000); /* it lives */
    seen_ms = stage->now_ms;
    while (stage->now_ms < seen_ms + 6000) {
        wait_until_next(stage, 1, 1200);
        if (stage->now_ms == seen_ms + 6000)
            break;
        expect_step(stage, ELECTION_GET);
        answer(stage, "8", "other", 6000);
    }
    expect_step(stage, ELECTION_REPLACE);
    fails(stage, ELECTION_CONFLICT);
    expect_step(stage, ELECTION_GET);
    answer(stage, "9", "third", 9000); /* its duration is longer */
    seen_ms = stage->now_ms;
    int looks = 0;
    for (; stage->now_ms < seen_ms + 9000; looks++) {
        wait_until_next(stage, 1, 1200);
        if (stage->now_ms >= seen_ms + 9000)
            break;
        expect_step(stage, ELECTION_GET);
        answer(stage, "9", "third", 9000);
    }
    assert_in_range(looks, 12, 20);
}

static void our_own_record_is_renewed_at_once(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    answer(stage, "7", "me", 6000);
    assert_false(election_leads(&stage->election, stage->now_ms));
    expect_step(stage, ELECTION_REPLACE);
    assert_int_equal(stage->request.record->transitions, 4);
    assert_false(stage->request.is_acquisition);
    answer(stage, "8", "me", 6000);
    assert_true(election_leads(&stage->election, stage->now_ms));
}

static void a_made_record_names_nobody_for_its_duration(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    fails(stage, ELECTION_MISSING);
    expect_step(stage, ELECTION_CREATE);
    assert_string_equal(stage->request.record->holder, "");
    assert_int_equal(stage->request.record->duration_ms, 6000);
    answer(stage, "1", "", 6000);
    int64_t made_ms = stage->now_ms;
    while (stage->now_ms < made_ms + 6000) {
        assert_false(election_leads(&stage->election, stage->now_ms));
        wait_until_next(stage, 1, 1200);
        if (stage->now_ms >= made_ms + 6000)
            break;
        expect_step(stage, ELECTION_GET);
        answer(stage, "1", "", 6000);
    }
    expect_step(stage, ELECTION_REPLACE);
    assert_string_equal(stage->request.record->holder, "me");
}

static void nothing_can_be_made_in_a_missing_namespace(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    fails(stage, ELECTION_MISSING);
    expect_step(stage, ELECTION_CREATE);
    fails(stage, ELECTION_MISSING);
    wait_until_next(stage, 1000, 1000);
    expect_step(stage, ELECTION_GET);
}

static void a_removed_record_ends_the_leader(void **state)
{
    struct stage *stage = *state;
    lead(stage);
    wait_until_next(stage, 900, 900);
    expect_step(stage, ELECTION_REPLACE);
    fails(stage, ELECTION_MISSING);
    assert_false(election_leads(&stage->election, stage->now_ms));
    expect_step(stage, ELECTION_GET);
    fails(stage, ELECTION_MISSING);
    expect_step(stage, ELECTION_CREATE);
    assert_int_equal(stage->request.record->known_version, 70);
    fails(stage, ELECTION_CONFLICT);
    expect_step(stage, ELECTION_GET);
}

static void a_lost_answer_is_looked_up(void **state)
{
    struct stage *stage = *state;
    lead(stage);
    int64_t held_until_ms = election_held_until_ms(&stage->election, stage->now_ms);
    wait_until_next(stage, 900, 900);
    expect_step(stage, ELECTION_REPLACE);
    stage->now_ms += 2000;
    fails(stage, ELECTION_OTHER);
    expect_step(stage, ELECTION_GET); /* at once: a second has passed since it was sent */
    answer(stage, "3", "me", 6000);   /* it had arrived */
    assert_int_equal(election_held_until_ms(&stage->election, stage->now_ms), held_until_ms);
    expect_step(stage, ELECTION_REPLACE);
    assert_string_equal(stage->request.record->version, "3");
    assert_int_equal(stage->request.timeout_ms, held_until_ms - stage->now_ms); /* not beyond its time */
    stage->now_ms = held_until_ms;
    fails(stage, ELECTION_OTHER);
    assert_false(election_leads(&stage->election, stage->now_ms));
}

static void somebody_elses_record_ends_the_leader(void **state)
{
    struct stage *stage = *state;
    lead(stage);
    wait_until_next(stage, 900, 900);
    expect_step(stage, ELECTION_REPLACE);
    fails(stage, ELECTION_CONFLICT);
    assert_true(election_leads(&stage->election, stage->now_ms));
    expect_step(stage, ELECTION_GET);
    answer(stage, "3", "other", 6000);
    assert_false(election_leads(&stage->election, stage->now_ms));
    wait_until_next(stage, 400, 480);
}

static void waiting_ends_with_the_deadline(void **state)
{
    struct stage *stage = *state;
    lead(stage);
    int64_t held_until_ms = election_held_until_ms(&stage->election, stage->now_ms);
    wait_until_next(stage, 900, 900);
    expect_step(stage, ELECTION_REPLACE);
    election_failed(&stage->election, stage->now_ms, ELECTION_OTHER, 20000);
    expect_step(stage, ELECTION_WAIT);
    assert_int_equal(stage->request.until_ms, held_until_ms);
    stage->now_ms = held_until_ms;
    expect_step(stage, ELECTION_WAIT);
    assert_true(stage->request.until_ms > held_until_ms);
}

static void resigning_gives_the_record_up(void **state)
{
    struct stage *stage = *state;
    lead(stage);
    election_resign(&stage->election);
    assert_false(election_leads(&stage->election, stage->now_ms));
    expect_step(stage, ELECTION_REPLACE);
    assert_string_equal(stage->request.record->holder, "");
    assert_int_equal(stage->request.record->duration_ms, 1000);
    fails(stage, ELECTION_CONFLICT);
    expect_step(stage, ELECTION_GET);
    answer(stage, "5", "me", 6000);
    expect_step(stage, ELECTION_REPLACE);
    answer(stage, "6", "", 1000);
    expect_step(stage, ELECTION_WAIT);
    assert_true(stage->request.until_ms == INT64_MAX);
    assert_false(election_leads(&stage->election, stage->now_ms));
}

static void who_does_not_hold_it_gives_nothing_up(void **state)
{
    struct stage *stage = *state;
    expect_step(stage, ELECTION_GET);
    answer(stage, "5", "other", 6000);
    election_resign(&stage->election);
    expect_step(stage, ELECTION_WAIT);
    assert_true(stage->request.until_ms == INT64_MAX);
}

int election_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_given_up_is_taken_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(another_holder_is_waited_out, setup, teardown),
        cmocka_unit_test_setup_teardown(our_own_record_is_renewed_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_made_record_names_nobody_for_its_duration, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_made_in_a_missing_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_record_ends_the_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_answer_is_looked_up, setup, teardown),
        cmocka_unit_test_setup_teardown(somebody_elses_record_ends_the_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_ends_with_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(resigning_gives_the_record_up, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_hold_it_gives_nothing_up, setup, teardown),
    };
    return cmocka_run_group_tests_name("election", tests, NULL, NULL);
}
