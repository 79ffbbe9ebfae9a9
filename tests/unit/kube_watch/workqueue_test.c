#include "unit/kube_watch/suites.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "kube/heap.h"
#include "kube/workqueue.h"

struct stage {
    struct clock_virtual clock;
    struct kube_workqueue *queue;
};

static int setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    clock_virtual_init(&stage->clock, 1000 * NS_PER_S, 0);
    stage->queue = kube_workqueue_new(&stage->clock.clock, NULL);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    kube_workqueue_free(stage->queue);
    free(stage);
    return 0;
}

static void pass_ms(struct stage *stage, int64_t ms)
{
    clock_virtual_advance(&stage->clock, ms * NS_PER_MS);
}

static void expect_next(struct stage *stage, const char *expected)
{
    char *key = NULL;
    bool has_key = kube_workqueue_try_get(stage->queue, &key, NULL);
    if (!expected) {
        assert_false(has_key);
        return;
    }
    assert_true(has_key);
    assert_string_equal(key, expected);
    free(key);
}

static void expect_run(struct stage *stage, const char *expected)
{
    expect_next(stage, expected);
    kube_workqueue_done(stage->queue, expected);
}

static void a_key_is_one_entry_and_one_run_at_a_time(void **state)
{
    struct stage *stage = *state;
    for (int i = 0; i < 3; i++)
        kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_NORMAL);
    expect_next(stage, "a");
    for (int i = 0; i < 3; i++)
        kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    expect_run(stage, "b");
    expect_next(stage, NULL);
    kube_workqueue_done(stage->queue, "a");
    expect_run(stage, "a");
    expect_next(stage, NULL);
}

static void urgent_keys_come_first(void **state)
{
    struct stage *stage = *state;
    kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_LOW);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_LOW);
    kube_workqueue_add(stage->queue, "c", KUBE_PRIORITY_LOW);
    kube_workqueue_add(stage->queue, "d", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_LOW);
    expect_run(stage, "b"); /* added before d */
    expect_run(stage, "d");
    char *key = NULL;
    int priority = 0;
    assert_true(kube_workqueue_try_get(stage->queue, &key, &priority));
    assert_string_equal(key, "a");
    assert_int_equal(priority, KUBE_PRIORITY_LOW);
    /* Added while it is worked on: the priority of the next run. */
    kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_done(stage->queue, key);
    free(key);
    expect_run(stage, "a");
    expect_run(stage, "c");
    expect_next(stage, NULL);
}

static void the_earliest_time_counts(void **state)
{
    struct stage *stage = *state;
    kube_workqueue_add_after(stage->queue, "a", 500, KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "b", 300, KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "a", 200, KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "a", 900, KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "now", 0, KUBE_PRIORITY_NORMAL);
    expect_run(stage, "now");
    pass_ms(stage, 199);
    expect_next(stage, NULL);
    pass_ms(stage, 1);
    expect_run(stage, "a");
    expect_next(stage, NULL);
    pass_ms(stage, 100);
    expect_run(stage, "b");
    pass_ms(stage, 10000);
    expect_next(stage, NULL);
}

static void failures_wait_longer_each_time(void **state)
{
    struct stage *stage = *state;
    int64_t waits[] = {5, 10, 20, 40, 80};
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        kube_workqueue_retry(stage->queue, "a", KUBE_PRIORITY_NORMAL);
        assert_int_equal(kube_workqueue_failures(stage->queue, "a"), i + 1);
        pass_ms(stage, waits[i] - 1);
        expect_next(stage, NULL);
        pass_ms(stage, 1);
        expect_run(stage, "a");
    }
    for (int i = 0; i < 100; i++) {
        kube_workqueue_retry(stage->queue, "a", KUBE_PRIORITY_NORMAL);
        pass_ms(stage, 1000 * 1000);
        expect_run(stage, "a");
    }
    kube_workqueue_forget(stage->queue, "a");
    assert_int_equal(kube_workqueue_failures(stage->queue, "a"), 0);
    kube_workqueue_retry(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    pass_ms(stage, 5);
    expect_run(stage, "a");
}

static void failures_of_all_keys_share_a_rate(void **state)
{
    struct stage *stage = *state;
    char key[24];
    for (int i = 0; i < 120; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        kube_workqueue_retry(stage->queue, key, KUBE_PRIORITY_NORMAL);
    }
    struct kube_workqueue_stats stats;
    int64_t after_ms[] = {5, 995, 1000};
    size_t left[] = {20, 10, 0};
    for (int i = 0; i < 3; i++) {
        pass_ms(stage, after_ms[i]);
        char *got = NULL;
        while (kube_workqueue_try_get(stage->queue, &got, NULL)) { /* until nothing is ready */
            kube_workqueue_done(stage->queue, got);
            free(got);
        }
        kube_workqueue_stats(stage->queue, &stats);
        assert_int_equal(stats.delayed, left[i]);
    }
    assert_int_equal(stats.retries, 120);
}

static void numbers_tell_what_goes_on(void **state)
{
    struct stage *stage = *state;
    kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "c", 1000, KUBE_PRIORITY_NORMAL);
    pass_ms(stage, 10);
    expect_next(stage, "a");
    pass_ms(stage, 30);
    expect_next(stage, "b");
    pass_ms(stage, 5);
    struct kube_workqueue_stats stats;
    kube_workqueue_stats(stage->queue, &stats);
    assert_int_equal(stats.ready, 0);
    assert_int_equal(stats.delayed, 1);
    assert_int_equal(stats.working, 2);
    assert_int_equal(stats.oldest_work_ms, 35);
    assert_int_equal(stats.latency_ms_sum, 50);
    kube_workqueue_done(stage->queue, "a");
    kube_workqueue_done(stage->queue, "b");
    kube_workqueue_stats(stage->queue, &stats);
    assert_int_equal(stats.working, 0);
    assert_int_equal(stats.oldest_work_ms, 0);
    assert_int_equal(stats.work_ms_sum, 40);
    assert_int_equal(stats.adds, 2);
    assert_int_equal(stats.gets, 2);
}

static void shut_down_gives_out_what_is_ready(void **state)
{
    struct stage *stage = *state;
    kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(stage->queue, "b", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add_after(stage->queue, "late", 10, KUBE_PRIORITY_NORMAL);
    expect_next(stage, "a");
    kube_workqueue_add(stage->queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_shut_down(stage->queue);
    kube_workqueue_add(stage->queue, "c", KUBE_PRIORITY_NORMAL);
    kube_workqueue_retry(stage->queue, "c", KUBE_PRIORITY_NORMAL);
    kube_workqueue_done(stage->queue, "a");
    pass_ms(stage, 100);
    char *key = NULL;
    assert_true(kube_workqueue_get(stage->queue, &key, NULL));
    assert_string_equal(key, "b");
    kube_workqueue_done(stage->queue, key);
    free(key);
    expect_run(stage, "a");
    assert_false(kube_workqueue_get(stage->queue, &key, NULL));
}

/* ---- workers ---- */

enum { WORKERS = 3, ADDERS = 2, KEYS = 7, ADDS = 3000 };

struct crew {
    struct kube_workqueue *queue;
    int working[KEYS]; /* atomic: how many workers have the key */
    int wanted[KEYS];  /* atomic: additions not seen by a run yet */
    int runs;
    uint64_t seed;
};

static void work(void *ctx)
{
    struct crew *crew = ctx;
    char *key;
    while (kube_workqueue_get(crew->queue, &key, NULL)) { /* until drained */
        int k = key[0] - 'a';
        assert_int_equal(__atomic_add_fetch(&crew->working[k], 1, __ATOMIC_RELAXED), 1);
        __atomic_store_n(&crew->wanted[k], 0, __ATOMIC_RELAXED);
        int runs = __atomic_add_fetch(&crew->runs, 1, __ATOMIC_RELAXED);
        if (runs % 11 == 0)
            kube_workqueue_retry(crew->queue, key, KUBE_PRIORITY_LOW);
        else
            kube_workqueue_forget(crew->queue, key);
        (void)__atomic_sub_fetch(&crew->working[k], 1, __ATOMIC_RELAXED);
        kube_workqueue_done(crew->queue, key);
        free(key);
    }
}

static void add_all(void *ctx)
{
    struct crew *crew = ctx;
    struct rng rng;
    rng_seed(&rng, __atomic_add_fetch(&crew->seed, 1, __ATOMIC_RELAXED));
    for (int i = 0; i < ADDS; i++) {
        char key[2] = {(char)('a' + rng_below(&rng, KEYS)), 0};
        __atomic_store_n(&crew->wanted[key[0] - 'a'], 1, __ATOMIC_RELAXED);
        kube_workqueue_add_after(crew->queue, key, (int64_t)rng_below(&rng, 3),
            rng_one_in(&rng, 2) ? KUBE_PRIORITY_LOW : KUBE_PRIORITY_NORMAL);
    }
}

static bool has_work(struct crew *crew)
{
    struct kube_workqueue_stats stats;
    kube_workqueue_stats(crew->queue, &stats);
    return stats.ready > 0 || stats.delayed > 0 || stats.working > 0;
}

static void workers_never_share_a_key_and_miss_nothing(void **state)
{
    (void)state;
    const struct kube_workqueue_config config = {.retry_max_ms = 10, .retries_per_s = 1e6};
    struct crew crew = {.queue = kube_workqueue_new(clock_system(), &config)};
    struct thread *threads[WORKERS + ADDERS];
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(thread_start(&threads[i], "worker", work, &crew, NULL), 0);
    for (int i = WORKERS; i < WORKERS + ADDERS; i++)
        assert_int_equal(thread_start(&threads[i], "adder", add_all, &crew, NULL), 0);
    for (int i = WORKERS; i < WORKERS + ADDERS; i++)
        thread_join(threads[i]);
    while (has_work(&crew)) /* workers empty the queue by themselves */
        ;
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(__atomic_load_n(&crew.wanted[k], __ATOMIC_RELAXED), 0);
    kube_workqueue_drain(crew.queue);
    for (int i = 0; i < WORKERS; i++)
        thread_join(threads[i]);
    assert_true(crew.runs >= KEYS);
    kube_workqueue_free(crew.queue);
}

struct one_run {
    struct kube_workqueue *queue;
    bool was_free;
};

static void drain(void *ctx)
{
    struct one_run *run = ctx;
    kube_workqueue_drain(run->queue);
    struct kube_workqueue_stats stats;
    kube_workqueue_stats(run->queue, &stats);
    run->was_free = stats.working == 0 && stats.ready == 0 && stats.delayed == 0;
}

static void drain_waits_for_runs(void **state)
{
    (void)state;
    struct one_run run = {.queue = kube_workqueue_new(clock_system(), NULL)};
    char *key = NULL;
    kube_workqueue_add(run.queue, "a", KUBE_PRIORITY_NORMAL);
    kube_workqueue_add(run.queue, "b", KUBE_PRIORITY_NORMAL);
    assert_true(kube_workqueue_get(run.queue, &key, NULL));
    kube_workqueue_add(run.queue, "a", KUBE_PRIORITY_NORMAL);
    struct thread *thread;
    assert_int_equal(thread_start(&thread, "drainer", drain, &run, NULL), 0);
    struct kube_workqueue_stats stats;
    do
        kube_workqueue_stats(run.queue, &stats);
    while (stats.ready > 0); /* until the other thread drains */
    assert_int_equal(stats.working, 1);
    kube_workqueue_done(run.queue, key);
    thread_join(thread);
    assert_true(run.was_free);
    free(key);
    assert_false(kube_workqueue_get(run.queue, &key, NULL));
    kube_workqueue_free(run.queue);
}

/* ---- the heap beneath ---- */

struct number {
    struct heap_node node;
    uint64_t value;
};

static bool is_smaller(const struct heap_node *left, const struct heap_node *right)
{
    return list_entry(left, struct number, node)->value < list_entry(right, struct number, node)->value;
}

static void the_heap_agrees_with_a_scan(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    struct number numbers[50] = {0};
    struct heap heap = {.comes_before = is_smaller};
    for (int i = 0; i < 20000; i++) {
        struct number *number = &numbers[rng_below(&rng, 50)];
        if (!heap_has(&number->node)) {
            number->value = rng_below(&rng, 1000);
            heap_add(&heap, &number->node);
        } else if (rng_one_in(&rng, 3) && number->value > 0) {
            number->value = rng_below(&rng, number->value);
            heap_raise(&heap, &number->node);
        } else {
            heap_remove(&heap, &number->node);
        }
        uint64_t smallest = UINT64_MAX;
        for (int k = 0; k < 50; k++) {
            if (heap_has(&numbers[k].node) && numbers[k].value < smallest)
                smallest = numbers[k].value;
        }
        const struct heap_node *first = heap_first(&heap);
        assert_true(
            first ? list_entry(first, struct number, node)->value == smallest : smallest == UINT64_MAX);
    }
    heap_done(&heap);
}

int workqueue_suite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_one_entry_and_one_run_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(urgent_keys_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(the_earliest_time_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_wait_longer_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_of_all_keys_share_a_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_tell_what_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(shut_down_gives_out_what_is_ready, setup, teardown),
        cmocka_unit_test(workers_never_share_a_key_and_miss_nothing),
        cmocka_unit_test(drain_waits_for_runs),
        cmocka_unit_test(the_heap_agrees_with_a_scan),
    };
    return cmocka_run_group_tests_name("workqueue", tests, NULL, NULL);
}
