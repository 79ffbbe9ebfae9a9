/* When the parent starts the next runtime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/parent.h"
#include "suites.h"

enum { BY_SIGNAL = -1 };

static void test_ends_that_end_the_parent(void **state)
{
    struct backoff backoff;
    (void)state;
    parent_backoff_init(&backoff);
    struct parent_decision drained = parent_decide(&backoff, 0, false, 100, 0, NULL);
    assert_false(drained.restart);
    assert_int_equal(drained.exit_code, 0);
    struct parent_decision bad = parent_decide(&backoff, 78, false, 100, 0, NULL);
    assert_false(bad.restart);
    assert_int_equal(bad.exit_code, 78);
    struct parent_decision stopping = parent_decide(&backoff, BY_SIGNAL, true, 100, 0, NULL);
    assert_false(stopping.restart);
    assert_int_equal(stopping.exit_code, 1);
    struct parent_decision failed = parent_decide(&backoff, 3, true, 100, 0, NULL);
    assert_int_equal(failed.exit_code, 3);
}

static void test_first_restart_is_at_once_and_later_ones_wait(void **state)
{
    static const int64_t expected_ms[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct backoff backoff;
    (void)state;
    parent_backoff_init(&backoff);
    for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
        struct parent_decision decision = parent_decide(&backoff, 75, false, 500, (int64_t)i * 20000, NULL);
        assert_true(decision.restart);
        assert_int_equal(decision.delay_ms, expected_ms[i]);
    }
}

static void test_long_life_begins_a_new_series(void **state)
{
    struct backoff backoff;
    (void)state;
    parent_backoff_init(&backoff);
    assert_int_equal(parent_decide(&backoff, BY_SIGNAL, false, 10, 0, NULL).delay_ms, 0);
    assert_int_equal(parent_decide(&backoff, BY_SIGNAL, false, 10, 1, NULL).delay_ms, 100);
    assert_int_equal(parent_decide(&backoff, 1, false, 10000, 2, NULL).delay_ms, 0);
    assert_int_equal(parent_decide(&backoff, 1, false, 9999, 3, NULL).delay_ms, 100);
    assert_int_equal(parent_decide(&backoff, BY_SIGNAL, false, 1000, 4, NULL).delay_ms, 0);
}

const struct CMUnitTest parent_tests[] = {
    cmocka_unit_test(test_ends_that_end_the_parent),
    cmocka_unit_test(test_first_restart_is_at_once_and_later_ones_wait),
    cmocka_unit_test(test_long_life_begins_a_new_series),
};
const size_t parent_test_count = sizeof(parent_tests) / sizeof(parent_tests[0]);
