#include "unit/kube_watch/suites.h"

#include "base/err.h"
#include "kube/reflector.h"
#include "kube/status.h"

struct stage {
    struct reflector reflector;
    struct reflector_request request;
    int64_t now_ms;
};

static void start(struct stage *stage, bool can_stream, uint64_t version)
{
    *stage = (struct stage){.now_ms = 1000 * 1000};
    reflector_init(&stage->reflector, can_stream, version, 1);
}

/* The next request is that one, at once. */
static void expect_request(struct stage *stage, enum reflector_step step, const char *version)
{
    reflector_next(&stage->reflector, stage->now_ms, &stage->request);
    assert_int_equal(stage->request.step, step);
    assert_string_equal(stage->request.version, version);
}

/* It comes after a wait between those times. */
static void expect_wait(struct stage *stage, int64_t minimum_ms, int64_t maximum_ms)
{
    reflector_next(&stage->reflector, stage->now_ms, &stage->request);
    assert_int_equal(stage->request.step, REFLECTOR_WAIT);
    assert_in_range(stage->request.until_ms - stage->now_ms, minimum_ms, maximum_ms);
    stage->now_ms = stage->request.until_ms;
}

static void end_as(struct stage *stage, enum reflector_outcome outcome)
{
    reflector_ended(&stage->reflector, stage->now_ms, outcome, 0);
}

static enum reflector_verdict page(struct stage *stage, uint64_t version, const char *continue_token)
{
    enum reflector_outcome outcome;
    enum reflector_verdict verdict = reflector_page(&stage->reflector, version, continue_token, &outcome);
    if (verdict == REFLECTOR_BREAK)
        end_as(stage, outcome);
    return verdict;
}

static enum reflector_verdict event(struct stage *stage, enum kube_watch_type type, uint64_t version,
    uint64_t known_version, bool ends_initial)
{
    enum reflector_outcome outcome;
    const struct kube_watch_event one = {.type = type, .version = version, .ends_initial = ends_initial};
    enum reflector_verdict verdict = reflector_event(&stage->reflector, &one, known_version, &outcome);
    if (verdict == REFLECTOR_BREAK)
        end_as(stage, outcome);
    return verdict;
}

static void a_list_is_followed_by_a_watch_from_it(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(stage.request.page_count_max, -1);
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    assert_in_range(stage.request.timeout_s, 300, 600);
    assert_int_equal(event(&stage, KUBE_WATCH_ADDED, 9, 0, false), REFLECTOR_APPLY);
    assert_int_equal(event(&stage, KUBE_WATCH_BOOKMARK, 20, 0, false), REFLECTOR_MARK);
    assert_int_equal(event(&stage, KUBE_WATCH_BOOKMARK, 19, 0, false), REFLECTOR_IGNORE);
    assert_int_equal(event(&stage, KUBE_WATCH_OTHER, 0, 0, false), REFLECTOR_IGNORE);
    stage.now_ms += 300 * 1000;
    end_as(&stage, REFLECTOR_ENDED);
    expect_request(&stage, REFLECTOR_WATCH, "20");
    reflector_done(&stage.reflector);
}

static void a_stream_is_a_state_and_a_watch_in_one(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, true, 0);
    expect_request(&stage, REFLECTOR_STREAM, "");
    assert_int_equal(event(&stage, KUBE_WATCH_ADDED, 30, 0, false), REFLECTOR_STAGE);
    assert_int_equal(event(&stage, KUBE_WATCH_ADDED, 12, 0, false), REFLECTOR_STAGE);
    assert_int_equal(event(&stage, KUBE_WATCH_BOOKMARK, 12, 0, false), REFLECTOR_IGNORE);
    assert_int_equal(stage.reflector.version, 0); /* not by initial events */
    assert_int_equal(event(&stage, KUBE_WATCH_BOOKMARK, 40, 0, true), REFLECTOR_COMMIT);
    assert_int_equal(event(&stage, KUBE_WATCH_DELETED, 41, 12, false), REFLECTOR_APPLY);
    end_as(&stage, REFLECTOR_BROKEN);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_WATCH, "41");
    end_as(&stage, REFLECTOR_EXPIRED);
    expect_wait(&stage, 1200, 1600);
    expect_request(&stage, REFLECTOR_STREAM, "41");
    reflector_done(&stage.reflector);
}

static void servers_without_streams_get_lists(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, true, 0);
    expect_request(&stage, REFLECTOR_STREAM, "");
    end_as(&stage, REFLECTOR_UNSUPPORTED);
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    end_as(&stage, REFLECTOR_EXPIRED);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_LIST, "7");
    reflector_done(&stage.reflector);
}

static void a_failed_stream_is_a_list_once(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, true, 0);
    expect_request(&stage, REFLECTOR_STREAM, "");
    stage.now_ms += REFLECTOR_FIRST_SILENCE_MS - 1;
    assert_false(reflector_is_silent(&stage.reflector, stage.now_ms));
    stage.now_ms++;
    assert_true(reflector_is_silent(&stage.reflector, stage.now_ms));
    end_as(&stage, REFLECTOR_SILENT);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    end_as(&stage, REFLECTOR_EXPIRED);
    expect_wait(&stage, 1200, 1600);
    expect_request(&stage, REFLECTOR_STREAM, "7");
    reflector_done(&stage.reflector);
}

static void what_is_not_available_is_asked_as_the_newest(void **state)
{
    (void)state;
    const enum reflector_outcome outcomes[] = {REFLECTOR_EXPIRED, REFLECTOR_VERSION_TOO_LARGE};
    for (int i = 0; i < 2; i++) {
        struct stage stage;
        start(&stage, false, 5);
        expect_request(&stage, REFLECTOR_LIST, "5");
        end_as(&stage, outcomes[i]);
        expect_request(&stage, REFLECTOR_LIST, "");
        end_as(&stage, outcomes[i]);
        expect_wait(&stage, 600, 800);
        expect_request(&stage, REFLECTOR_LIST, "");
        assert_int_equal(stage.request.page_count_max, REFLECTOR_PAGE);
        assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
        expect_request(&stage, REFLECTOR_WATCH, "7");
        end_as(&stage, REFLECTOR_VERSION_TOO_LARGE);
        expect_wait(&stage, 1200, 1600);
        expect_request(&stage, REFLECTOR_LIST, "");
        reflector_done(&stage.reflector);
    }
}

static void pages_that_expire_come_as_one(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    expect_request(&stage, REFLECTOR_LIST, "0");
    end_as(&stage, REFLECTOR_EXPIRED);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(page(&stage, 7, "token"), REFLECTOR_STAGE);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_string_equal(stage.request.continue_token, "token");
    assert_int_equal(stage.request.page_count_max, REFLECTOR_PAGE);
    end_as(&stage, REFLECTOR_EXPIRED);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_string_equal(stage.request.continue_token, "");
    assert_int_equal(stage.request.page_count_max, -1);
    end_as(&stage, REFLECTOR_TOO_BIG);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(stage.request.page_count_max, REFLECTOR_PAGE);
    assert_int_equal(page(&stage, 9, "token"), REFLECTOR_STAGE);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(page(&stage, 9, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "9");
    reflector_done(&stage.reflector);
}

static void pages_that_are_too_big_are_halved(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    expect_request(&stage, REFLECTOR_LIST, "0");
    end_as(&stage, REFLECTOR_TOO_BIG);
    for (int64_t count_max = REFLECTOR_PAGE; count_max >= 1; count_max /= 2) {
        expect_request(&stage, REFLECTOR_LIST, "");
        assert_int_equal(stage.request.page_count_max, count_max);
        end_as(&stage, REFLECTOR_TOO_BIG);
    }
    expect_wait(&stage, 600, 800);
    reflector_done(&stage.reflector);
}

static void failures_wait_longer_until_all_is_well(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    int64_t wait_ms = 800;
    for (int i = 0; i < 10; i++) {
        expect_request(&stage, REFLECTOR_LIST, "0");
        end_as(&stage, i % 2 ? REFLECTOR_REFUSED : REFLECTOR_UNREACHABLE);
        expect_wait(&stage, wait_ms * 3 / 4, wait_ms);
        wait_ms = wait_ms * 2 < 30000 ? wait_ms * 2 : 30000;
    }
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    stage.now_ms += 119 * 1000;
    end_as(&stage, REFLECTOR_BROKEN);
    expect_wait(&stage, 600, 800); /* 2 min after the last failure */
    expect_request(&stage, REFLECTOR_WATCH, "7");
    reflector_ended(&stage.reflector, stage.now_ms, REFLECTOR_UNREACHABLE, 7000);
    expect_wait(&stage, 7000, 7000);
    expect_request(&stage, REFLECTOR_WATCH, "7"); /* no list: the server is busy enough */
    reflector_done(&stage.reflector);
}

static void short_and_silent_watches_are_no_loop(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    end_as(&stage, REFLECTOR_ENDED);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_LIST, "7");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "7");
    assert_int_equal(event(&stage, KUBE_WATCH_ADDED, 8, 0, false), REFLECTOR_APPLY);
    end_as(&stage, REFLECTOR_ENDED);
    expect_wait(&stage, 1200, 1600);
    expect_request(&stage, REFLECTOR_WATCH, "8");
    expect_wait(&stage, REFLECTOR_SILENCE_MS, REFLECTOR_SILENCE_MS);
    assert_true(reflector_is_silent(&stage.reflector, stage.now_ms));
    reflector_heard(&stage.reflector, stage.now_ms - 1);
    assert_false(reflector_is_silent(&stage.reflector, stage.now_ms));
    end_as(&stage, REFLECTOR_SILENT);
    expect_wait(&stage, 2400, 3200);
    expect_request(&stage, REFLECTOR_WATCH, "8");
    reflector_done(&stage.reflector);
}

static void the_version_never_goes_back(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 50);
    expect_request(&stage, REFLECTOR_LIST, "50");
    assert_int_equal(page(&stage, 49, ""), REFLECTOR_BREAK);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(page(&stage, 49, ""), REFLECTOR_BREAK);
    expect_wait(&stage, 600, 800);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(page(&stage, 60, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "60");
    /* Known already, or gone already. */
    assert_int_equal(event(&stage, KUBE_WATCH_MODIFIED, 55, 55, false), REFLECTOR_IGNORE);
    assert_int_equal(event(&stage, KUBE_WATCH_MODIFIED, 55, 58, false), REFLECTOR_IGNORE);
    assert_int_equal(event(&stage, KUBE_WATCH_DELETED, 55, 0, false), REFLECTOR_IGNORE);
    /* Not known, so something was missed. */
    assert_int_equal(event(&stage, KUBE_WATCH_ADDED, 55, 0, false), REFLECTOR_BREAK);
    expect_wait(&stage, 1200, 1600);
    expect_request(&stage, REFLECTOR_LIST, "60");
    assert_int_equal(page(&stage, 60, ""), REFLECTOR_COMMIT);
    expect_request(&stage, REFLECTOR_WATCH, "60");
    assert_int_equal(event(&stage, KUBE_WATCH_DELETED, 59, 55, false), REFLECTOR_BREAK);
    expect_wait(&stage, 2400, 3200);
    expect_request(&stage, REFLECTOR_LIST, "60");
    assert_int_equal(page(&stage, 0, ""), REFLECTOR_BREAK);
    reflector_done(&stage.reflector);
}

static void a_required_version_is_fetched(void **state)
{
    (void)state;
    struct stage stage;
    start(&stage, false, 0);
    expect_request(&stage, REFLECTOR_LIST, "0");
    assert_int_equal(page(&stage, 7, ""), REFLECTOR_COMMIT);
    assert_false(reflector_require(&stage.reflector, 7));
    expect_request(&stage, REFLECTOR_WATCH, "7");
    assert_false(reflector_require(&stage.reflector, 6));
    assert_true(reflector_require(&stage.reflector, 9));
    end_as(&stage, REFLECTOR_STALE);
    expect_request(&stage, REFLECTOR_LIST, "9");
    assert_false(reflector_require(&stage.reflector, 12));
    assert_int_equal(page(&stage, 10, ""), REFLECTOR_BREAK);
    expect_request(&stage, REFLECTOR_LIST, "");
    assert_int_equal(page(&stage, 12, ""), REFLECTOR_COMMIT);
    assert_false(reflector_require(&stage.reflector, 13)); /* between two requests */
    expect_request(&stage, REFLECTOR_LIST, "13");
    reflector_done(&stage.reflector);
}

static void outcomes_follow_from_reasons(void **state)
{
    (void)state;
    struct err err = {.kind = ERR_UNAVAILABLE};
    assert_int_equal(reflector_outcome_of(NULL, NULL, true), REFLECTOR_ENDED);
    assert_int_equal(reflector_outcome_of(&err, NULL, false), REFLECTOR_UNREACHABLE);
    assert_int_equal(reflector_outcome_of(&err, NULL, true), REFLECTOR_BROKEN);
    err.kind = ERR_LIMIT;
    assert_int_equal(reflector_outcome_of(&err, NULL, true), REFLECTOR_TOO_BIG);
    err.kind = ERR_INVALID;
    assert_int_equal(reflector_outcome_of(&err, NULL, true), REFLECTOR_SENSELESS);
    err.kind = ERR_TIMEOUT;
    assert_int_equal(reflector_outcome_of(&err, NULL, true), REFLECTOR_BROKEN);
    err.kind = ERR_DENIED;
    assert_int_equal(reflector_outcome_of(&err, NULL, false), REFLECTOR_REFUSED);
    const struct {
        enum kube_reason reason;
        enum reflector_outcome outcome;
    } outcomes[] = {{KUBE_REASON_EXPIRED, REFLECTOR_EXPIRED}, {KUBE_REASON_GONE, REFLECTOR_EXPIRED},
        {KUBE_REASON_RESOURCE_VERSION_TOO_LARGE, REFLECTOR_VERSION_TOO_LARGE},
        {KUBE_REASON_TOO_MANY_REQUESTS, REFLECTOR_UNREACHABLE},
        {KUBE_REASON_UNAUTHORIZED, REFLECTOR_UNREACHABLE}, {KUBE_REASON_INVALID, REFLECTOR_UNSUPPORTED},
        {KUBE_REASON_INTERNAL_ERROR, REFLECTOR_BROKEN}, {KUBE_REASON_FORBIDDEN, REFLECTOR_REFUSED},
        {KUBE_REASON_NOT_FOUND, REFLECTOR_REFUSED}};
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        const struct kube_status status = {.reason = outcomes[i].reason};
        assert_int_equal(reflector_outcome_of(&err, &status, true), outcomes[i].outcome);
    }
}

int reflector_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_followed_by_a_watch_from_it),
        cmocka_unit_test(a_stream_is_a_state_and_a_watch_in_one),
        cmocka_unit_test(servers_without_streams_get_lists),
        cmocka_unit_test(a_failed_stream_is_a_list_once),
        cmocka_unit_test(what_is_not_available_is_asked_as_the_newest),
        cmocka_unit_test(pages_that_expire_come_as_one),
        cmocka_unit_test(pages_that_are_too_big_are_halved),
        cmocka_unit_test(failures_wait_longer_until_all_is_well),
        cmocka_unit_test(short_and_silent_watches_are_no_loop),
        cmocka_unit_test(the_version_never_goes_back),
        cmocka_unit_test(a_required_version_is_fetched),
        cmocka_unit_test(outcomes_follow_from_reasons),
    };
    return cmocka_run_group_tests_name("reflector", tests, NULL, NULL);
}
