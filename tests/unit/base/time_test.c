#include "harness.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/err.h"
#include "base/rfc3339.h"
#include "base/rng.h"

static void virtual_clock_moves_when_told(void **state)
{
    (void)state;
    struct clock_virtual virtual;
    clock_virtual_init(&virtual, 5 * NS_PER_S, 1000);
    assert_int_equal(clock_now_ns(&virtual.clock), 5 * NS_PER_S);
    assert_int_equal(clock_wall_ms(&virtual.clock), 1000);
    clock_virtual_advance(&virtual, 20 * NS_PER_MS);
    assert_int_equal(clock_now_ms(&virtual.clock), 5020);
    assert_int_equal(clock_wall_ms(&virtual.clock), 1020);
    clock_virtual_jump_wall(&virtual, -500);
    assert_int_equal(clock_now_ms(&virtual.clock), 5020);
    assert_int_equal(clock_wall_ms(&virtual.clock), 520);
}

static void system_clock_goes_forward(void **state)
{
    (void)state;
    struct clock *clock = clock_system();
    int64_t before = clock_now_ns(clock);
    assert_true(before > 0);
    assert_true(clock_now_ns(clock) >= before);
    assert_true(clock_wall_ms(clock) > 1700000000000);
}

static void wall_time_as_text(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_BYTES];
    assert_string_equal(clock_format_wall(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_format_wall(1795435200123, text), "2026-11-23T12:00:00.123Z");
    assert_string_equal(clock_format_wall(-1, text), "1969-12-31T23:59:59.999Z");
}

static void same_seed_same_numbers(void **state)
{
    (void)state;
    struct rng left;
    struct rng right;
    rng_seed(&left, 42);
    rng_seed(&right, 42);
    assert_true(rng_u64(&left) == 1546998764402558742ULL); /* the same on every machine, for ever */
    assert_true(rng_u64(&right) == 1546998764402558742ULL);
    for (int i = 0; i < 1000; i++)
        assert_true(rng_u64(&left) == rng_u64(&right));
    assert_true(rng_seed_from_system(&left) != rng_seed_from_system(&right));
    assert_true(rng_u64(&left) != rng_u64(&right));
}

static void random_ranges(void **state)
{
    (void)state;
    struct rng rng;
    int seen[6] = {0};
    rng_seed(&rng, 3);
    for (int i = 0; i < 6000; i++) {
        seen[rng_below(&rng, 6)]++;
        int64_t between = rng_between(&rng, -3, 3);
        assert_in_range(between + 3, 0, 6);
        double fraction = rng_double(&rng);
        assert_true(fraction >= 0 && fraction < 1);
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 850, 1150); /* five standard deviations */
    assert_int_equal(rng_below(&rng, 1), 0);
    assert_int_equal(rng_between(&rng, INT64_MIN, INT64_MIN), INT64_MIN);
    (void)rng_between(&rng, INT64_MIN, INT64_MAX); /* must not divide by zero */
}

static void backoff_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 100, 1000, 60000);
    static const int64_t expected[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(backoff_next(&backoff, (int64_t)i * 1000, NULL), expected[i]);
    assert_int_equal(backoff_next(&backoff, 5000 + 59999, NULL), 1000);
    assert_int_equal(backoff_next(&backoff, 5000 + 59999 + 60000, NULL), 100);
    assert_int_equal(backoff_next(&backoff, 130000, NULL), 200);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next(&backoff, 130001, NULL), 100);
    for (int i = 0; i < 200; i++)
        assert_in_range(backoff_next(&backoff, 130002, NULL), 100, 1000);
}

static void backoff_spreads(void **state)
{
    (void)state;
    struct backoff backoff;
    struct rng rng;
    int64_t lowest = 1000;
    int64_t highest = 0;
    rng_seed(&rng, 9);
    backoff_init(&backoff, 1000, INT64_MAX / 4, 0);
    for (int i = 0; i < 1000; i++) {
        backoff_reset(&backoff);
        int64_t delay = backoff_next(&backoff, 0, &rng);
        assert_in_range(delay, 750, 1000);
        lowest = delay < lowest ? delay : lowest;
        highest = delay > highest ? delay : highest;
    }
    assert_true(lowest < 770 && highest > 980);
    for (int i = 0; i < 100; i++)
        assert_true(backoff_next(&backoff, 0, &rng) > 0); /* doubling does not overflow */
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0s", 0}, {"250ms", 250}, {"10s", 10000}, {"1m30s", 90000}, {"1h2m3s4ms", 3723004},
        {"5ms1h", 3600005}, {"99999h", 359996400000}, {"1s1s", 2000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(duration_parse(good[i].text, &ms, NULL), 0);
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {
        "", "10", "s", "-1s", "1.5s", "1d", "100000s", "1s ", " 1s", "1s1s1s1s1s", "1S", "1mss", "1sm"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        int64_t ms = -1;
        assert_int_equal(duration_parse(bad[i], &ms, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_int_equal(ms, -1);
    }
}

static void durations_both_ways(void **state)
{
    (void)state;
    struct rng rng;
    char text[DURATION_TEXT_BYTES];
    rng_seed(&rng, 5);
    assert_string_equal(duration_format(0, text), "0s");
    assert_string_equal(duration_format(90061001, text), "25h1m1s1ms");
    for (int i = 0; i < 1000; i++) {
        int64_t ms = rng_between(&rng, 0, 100000LL * 3600000 - 1);
        int64_t back = -1;
        assert_int_equal(duration_parse(duration_format(ms, text), &back, NULL), 0);
        assert_int_equal(back, ms);
    }
}

static void times_as_texts(void **state)
{
    (void)state;
    char text[RFC3339_TEXT_BYTES];
    int64_t seconds;
    uint32_t nanoseconds;
    struct err err = {0};
    assert_int_equal(rfc3339_format(1795435200, 500000000, text, &err), 0);
    assert_string_equal(text, "2026-11-23T12:00:00.5Z");
    assert_int_equal(rfc3339_parse("2026-11-23t13:30:00.25+01:30", &seconds, &nanoseconds), 0);
    assert_int_equal(seconds, 1795435200);
    assert_int_equal(nanoseconds, 250000000);
    assert_int_equal(rfc3339_format(253402300800, 0, text, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    static const char *const bad[] = {"", "2026", "2026-11-23", "2026-11-23T12:00:00", "2026-02-29T12:00:00Z",
        "2026-13-01T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T12:60:00Z", "2026-11-23T12:00:60Z",
        "2026-11-23T12:00:00.Z", "2026-11-23T12:00:00.1234567890Z", "2026-11-23T12:00:00Zx",
        "2026-11-23T12:00:00+1:00", "2026-11-23T12:00:00+24:00", "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01", "2026/11/23T12:00:00Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rfc3339_parse(bad[i], &seconds, &nanoseconds), -1);
    struct rng rng;
    rng_seed(&rng, 8);
    for (int i = 0; i < 1000; i++) {
        int64_t at = rng_between(&rng, -62167219200, 253402300799);
        uint32_t part = rng_one_in(&rng, 2) ? 0 : (uint32_t)rng_below(&rng, 1000000000);
        assert_int_equal(rfc3339_format(at, part, text, &err), 0);
        assert_int_equal(rfc3339_parse(text, &seconds, &nanoseconds), 0);
        assert_int_equal(seconds, at);
        assert_int_equal(nanoseconds, part);
    }
}

TEST_GROUP(time, cmocka_unit_test(virtual_clock_moves_when_told), cmocka_unit_test(system_clock_goes_forward),
    cmocka_unit_test(wall_time_as_text), cmocka_unit_test(same_seed_same_numbers),
    cmocka_unit_test(random_ranges), cmocka_unit_test(backoff_doubles_up_to_the_maximum),
    cmocka_unit_test(backoff_spreads), cmocka_unit_test(durations), cmocka_unit_test(durations_both_ways),
    cmocka_unit_test(times_as_texts));
