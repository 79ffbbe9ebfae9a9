/* unit_kube_watch [SEED]: all tests, or the simulations with that one seed. */
#include "unit/kube_watch/suites.h"

#include "base/str.h"
#include "kube/follower.h"

static uint64_t seed;

static void simulations(void **state)
{
    (void)state;
    struct kube_follower_counts counts;
    int terms = 0;
    int64_t led_ms = 0;
    follower_sim_run(seed, &counts);
    election_sim_run(seed, &terms, &led_ms);
}

int main(int argc, char **argv)
{
    if (argc == 2 && text_to_u64(argv[1], UINT64_MAX, &seed, NULL) == 0) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(simulations)};
        return cmocka_run_group_tests_name("seed", tests, NULL, NULL);
    }
    int failed = store_suite();
    failed += workqueue_suite();
    failed += watch_suite();
    failed += reflector_suite();
    failed += follower_suite();
    failed += follower_sim_suite();
    failed += election_suite();
    failed += election_sim_suite();
    failed += event_suite();
    failed += informer_suite();
    failed += lease_suite();
    failed += recorder_suite();
    return failed;
}
