/* Posts and timers. */
#include "harness.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

enum { THREADS = 4, POSTS = 5000 };

static struct rpc_loop *loop;

static int setup(void **state)
{
    struct err err = {0};
    (void)state;
    return rpc_loop_new("test-loop", &loop, &err);
}

static int teardown(void **state)
{
    (void)state;
    rpc_loop_free(loop);
    loop = NULL;
    return 0;
}

/* Only touched on the loop's thread, without a lock: ThreadSanitizer would tell if posts were not enough. */
struct counter {
    unsigned count;
    unsigned disorder;
    unsigned next_of[THREADS];
};

struct poster {
    struct counter *counter;
    unsigned index;
};

struct numbered {
    struct counter *counter;
    unsigned thread;
    unsigned number;
};

static struct numbered numbered[THREADS][POSTS];

static void count_post(void *ctx)
{
    struct numbered *post = ctx;
    assert_true(rpc_loop_is_current(loop));
    post->counter->count++;
    if (post->counter->next_of[post->thread]++ != post->number)
        post->counter->disorder++;
}

static void post_many(void *ctx)
{
    struct poster *poster = ctx;
    for (unsigned i = 0; i < POSTS; i++) {
        numbered[poster->index][i] =
            (struct numbered){.counter = poster->counter, .thread = poster->index, .number = i};
        rpc_loop_post(loop, count_post, &numbered[poster->index][i]);
    }
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void test_posts_of_many_threads(void **state)
{
    struct counter counter = {0};
    struct poster posters[THREADS];
    struct thread *threads[THREADS];
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.counter = &counter, .index = i};
        assert_int_equal(thread_start(&threads[i], "poster", post_many, &posters[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    rpc_loop_call(loop, nothing, NULL);
    assert_int_equal(counter.count, THREADS * POSTS);
    assert_int_equal(counter.disorder, 0);
    assert_false(rpc_loop_is_current(loop));
}

static void test_posts_before_free_are_run(void **state)
{
    struct counter counter = {0};
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        numbered[0][i] = (struct numbered){.counter = &counter, .number = i};
        rpc_loop_post(loop, count_post, &numbered[0][i]);
    }
    rpc_loop_free(loop);
    loop = NULL;
    assert_int_equal(counter.count, 1000);
    assert_int_equal(counter.disorder, 0);
}

/* The loop is awake for a post when it is told to end: the wake-up of the second must not meet a shut queue.
 * Beside a loop that stays, so that gRPC is not torn down each time. */
static void test_ends_while_awake(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        struct rpc_loop *brief = NULL;
        struct err err = {0};
        assert_int_equal(rpc_loop_new("brief", &brief, &err), 0);
        rpc_loop_post(brief, nothing, NULL);
        rpc_loop_free(brief);
    }
}

/* A post that posts again from the loop's own thread. */
static void post_again(void *ctx)
{
    unsigned *left = ctx;
    if (--*left > 0)
        rpc_loop_post(loop, post_again, left);
}

static void test_posts_from_the_loop(void **state)
{
    unsigned left = 1000;
    (void)state;
    rpc_loop_post(loop, post_again, &left);
    rpc_loop_free(loop);
    loop = NULL;
    assert_int_equal(left, 0);
}

enum { TIMERS = 200 };

struct timers {
    struct rpc_timer *timers[TIMERS];
    int64_t set_ns;
    unsigned fired;
    unsigned early;
    unsigned disorder;
    int64_t last_due_after_ns;
    atomic_uint done;
};

struct one_timer {
    struct timers *all;
    unsigned index;
    unsigned delay_ms;
    int64_t due_after_ns, due_before_ns; /* as it was set in between, on a machine that may be slow */
};

static struct one_timer one_timer[TIMERS];

static void fire(void *ctx)
{
    struct one_timer *one = ctx;
    struct timers *all = one->all;
    int64_t passed_ms = (clock_now_ns(clock_system()) - all->set_ns) / NS_PER_MS;
    all->fired++;
    all->early += passed_ms < (int64_t)one->delay_ms;
    all->disorder += one->due_before_ns < all->last_due_after_ns - NS_PER_MS;
    all->last_due_after_ns = one->due_after_ns;
    rpc_timer_free(all->timers[one->index]); /* inside of its own callback */
    all->timers[one->index] = NULL;
    if (all->fired == TIMERS / 2 + 1)
        atomic_store(&all->done, 1);
}

static void set_timers(void *ctx)
{
    struct timers *all = ctx;
    all->set_ns = clock_now_ns(clock_system());
    for (unsigned i = 0; i < TIMERS; i++) {
        unsigned delay_ms = (i * 37) % TIMERS; /* each delay once, in no order */
        one_timer[i] = (struct one_timer){.all = all, .index = i, .delay_ms = delay_ms};
        all->timers[i] = rpc_timer_new(loop, fire, &one_timer[i]);
        rpc_timer_set(all->timers[i], 1000 * 1000);
        int64_t delay_ns = delay_ms * NS_PER_MS;
        one_timer[i].due_after_ns = clock_now_ns(clock_system()) + delay_ns;
        rpc_timer_set(all->timers[i], delay_ms); /* moved */
        one_timer[i].due_before_ns = clock_now_ns(clock_system()) + delay_ns;
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        if (one_timer[i].delay_ms > TIMERS / 2) {
            rpc_timer_cancel(all->timers[i]);
            rpc_timer_cancel(all->timers[i]);
        }
    }
}

static void free_timers(void *ctx)
{
    struct timers *all = ctx;
    for (unsigned i = 0; i < TIMERS; i++)
        rpc_timer_free(all->timers[i]);
}

static void test_timers(void **state)
{
    struct timers all = {.fired = 0};
    int64_t deadline_ns = patience_deadline();
    (void)state;
    rpc_loop_call(loop, set_timers, &all);
    while (!atomic_load(&all.done) && clock_now_ns(clock_system()) < deadline_ns)
        rpc_loop_call(loop, nothing, NULL);
    rpc_loop_call(loop, free_timers, &all);
    assert_int_equal(all.fired, TIMERS / 2 + 1);
    assert_int_equal(all.early, 0);
    assert_int_equal(all.disorder, 0);
}

struct repeat {
    struct rpc_timer *timer;
    atomic_uint left;
};

static void fire_again(void *ctx)
{
    struct repeat *repeat = ctx;
    if (atomic_fetch_sub(&repeat->left, 1) > 1)
        rpc_timer_set(repeat->timer, 0);
}

static void start_repeat(void *ctx)
{
    struct repeat *repeat = ctx;
    repeat->timer = rpc_timer_new(loop, fire_again, repeat);
    rpc_timer_set(repeat->timer, 1);
}

static void stop_repeat(void *ctx)
{
    rpc_timer_free(((struct repeat *)ctx)->timer);
}

static void test_timer_sets_itself(void **state)
{
    struct repeat repeat;
    int64_t deadline_ns = patience_deadline();
    (void)state;
    atomic_init(&repeat.left, 100);
    rpc_loop_call(loop, start_repeat, &repeat);
    while (atomic_load(&repeat.left) > 0 && clock_now_ns(clock_system()) < deadline_ns)
        rpc_loop_call(loop, nothing, NULL); /* the loop serves others meanwhile */
    rpc_loop_call(loop, stop_repeat, &repeat);
    assert_int_equal(atomic_load(&repeat.left), 0);
}

const struct CMUnitTest loop_tests[] = {
    cmocka_unit_test_setup_teardown(test_posts_of_many_threads, setup, teardown),
    cmocka_unit_test_setup_teardown(test_posts_before_free_are_run, setup, teardown),
    cmocka_unit_test_setup_teardown(test_ends_while_awake, setup, teardown),
    cmocka_unit_test_setup_teardown(test_posts_from_the_loop, setup, teardown),
    cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
    cmocka_unit_test_setup_teardown(test_timer_sets_itself, setup, teardown),
};
const size_t loop_test_count = sizeof(loop_tests) / sizeof(loop_tests[0]);
