#include "support.h"

#include "actor/timer.h"
#include "base/clock.h"
#include "base/rng.h"
#include "suites.h"

#include <stdlib.h>

struct probe {
    struct timer timer;
    int64_t deadline_ns;
    int64_t fired_ns; /* 0: not yet */
};

static int64_t wheel_now_ns;

static void probe_fired(struct worker *worker, struct timer *timer)
{
    (void)worker;
    struct probe *probe = list_entry(timer, struct probe, timer);
    assert_true(probe->fired_ns == 0);
    probe->fired_ns = wheel_now_ns;
}

static void fires_once_on_time(void **state)
{
    (void)state;
    static const int64_t delays_ms[] = {0, 1, 2, 254, 255, 256, 257, 511, 512, 65535, 65536, 65537, 70000,
        16777215, 16777216, 16777217, 20000000};
    enum { COUNT = sizeof(delays_ms) / sizeof(delays_ms[0]) };
    for (int64_t start_ms = 0; start_ms < 600; start_ms += 37) {
        struct wheel *wheel = malloc(sizeof(*wheel));
        struct probe probes[COUNT] = {0};
        wheel_now_ns = start_ms * NS_PER_MS;
        wheel_init(wheel, wheel_now_ns);
        for (unsigned i = 0; i < COUNT; i++) {
            probes[i].deadline_ns = wheel_now_ns + delays_ms[i] * NS_PER_MS;
            wheel_start(wheel, &probes[i].timer, probes[i].deadline_ns, probe_fired);
        }
        while (wheel->count > 0) {
            int64_t next_ns = wheel_next_ns(wheel);
            assert_true(next_ns > wheel_now_ns);
            wheel_now_ns = next_ns;
            wheel_advance(wheel, NULL, wheel_now_ns);
        }
        for (unsigned i = 0; i < COUNT; i++) {
            assert_true(probes[i].fired_ns >= probes[i].deadline_ns);
            assert_true(probes[i].fired_ns - probes[i].deadline_ns <= NS_PER_MS);
        }
        assert_true(wheel_next_ns(wheel) == INT64_MAX);
        free(wheel);
    }
}

static void agrees_with_a_list(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct wheel *wheel = malloc(sizeof(*wheel));
        struct probe *probes = calloc(COUNT, sizeof(*probes));
        wheel_now_ns = (int64_t)rng_below(&rng, 100000) * NS_PER_MS;
        wheel_init(wheel, wheel_now_ns);
        for (unsigned step = 0; step < 2000; step++) {
            struct probe *probe = &probes[rng_below(&rng, COUNT)];
            if (list_node_is_linked(&probe->timer.node) && rng_one_in(&rng, 2)) {
                wheel_cancel(wheel, &probe->timer);
            } else if (!list_node_is_linked(&probe->timer.node)) {
                probe->fired_ns = 0;
                probe->deadline_ns =
                    wheel_now_ns + (int64_t)rng_below(&rng, UINT64_C(1) << rng_below(&rng, 38));
                wheel_start(wheel, &probe->timer, probe->deadline_ns, probe_fired);
            }
            wheel_now_ns += (int64_t)rng_below(&rng, UINT64_C(1) << rng_below(&rng, 32));
            wheel_advance(wheel, NULL, wheel_now_ns);
            for (unsigned i = 0; i < COUNT; i++) {
                if (list_node_is_linked(&probes[i].timer.node))
                    assert_true(probes[i].deadline_ns > wheel_now_ns - NS_PER_MS);
                else if (probes[i].fired_ns)
                    assert_true(probes[i].fired_ns >= probes[i].deadline_ns);
            }
        }
        free(probes);
        free(wheel);
    }
}

const struct CMUnitTest wheel_tests[] = {
    cmocka_unit_test(fires_once_on_time),
    cmocka_unit_test(agrees_with_a_list),
};
const size_t wheel_test_count = sizeof(wheel_tests) / sizeof(wheel_tests[0]);
