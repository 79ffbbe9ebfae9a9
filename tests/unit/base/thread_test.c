#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mutex.h"
#include "base/thread.h"

struct shared {
    struct mutex lock;
    struct condition changed;
    int turn GUARDED_BY(&lock);
};

static void shared_init(struct shared *shared)
{
    memset(shared, 0, sizeof(*shared));
    mutex_init(&shared->lock, 10, "shared");
    condition_init(&shared->changed);
}

static void shared_done(struct shared *shared)
{
    condition_done(&shared->changed);
    mutex_done(&shared->lock);
}

static void take_odd_turns(void *ctx)
{
    struct shared *shared = ctx;
    mutex_lock(&shared->lock);
    while (shared->turn < 2000) { /* the other side takes the even ones */
        if (shared->turn % 2 == 1) {
            shared->turn++;
            condition_signal(&shared->changed);
        } else {
            condition_wait(&shared->changed, &shared->lock);
        }
    }
    mutex_unlock(&shared->lock);
}

static void threads_take_turns(void **state)
{
    (void)state;
    struct shared shared;
    struct thread *thread = NULL;
    shared_init(&shared);
    assert_int_equal(thread_start(&thread, "a name that is too long", take_odd_turns, &shared, NULL), 0);
    mutex_lock(&shared.lock);
    assert_true(mutex_is_held(&shared.lock));
    while (shared.turn < 2000) {
        if (shared.turn % 2 == 0) {
            shared.turn++;
            condition_broadcast(&shared.changed);
        } else {
            condition_wait(&shared.changed, &shared.lock);
        }
    }
    mutex_unlock(&shared.lock);
    assert_false(mutex_is_held(&shared.lock));
    thread_join(thread);
    thread_join(NULL);
    shared_done(&shared);
}

static void waits_end_at_the_deadline(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    mutex_lock(&shared.lock);
    int64_t deadline = clock_now_ns(clock_system()) + 20 * NS_PER_MS;
    while (condition_wait_until(&shared.changed, &shared.lock, deadline))
        ; /* woken without a signal: waits on */
    assert_true(clock_now_ns(clock_system()) >= deadline);
    assert_false(condition_wait_until(&shared.changed, &shared.lock, -5));
    assert_true(mutex_is_held(&shared.lock));
    mutex_unlock(&shared.lock);
    shared_done(&shared);
}

struct seen {
    char name[16];
    int term_is_blocked;
    int fault_is_blocked;
    size_t signal_stack_bytes;
};

static void look_around(void *ctx)
{
    struct seen *seen = ctx;
    sigset_t blocked;
    stack_t stack = {0};
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    (void)sigaltstack(NULL, &stack);
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    seen->term_is_blocked = sigismember(&blocked, SIGTERM);
    seen->fault_is_blocked = sigismember(&blocked, SIGSEGV);
    seen->signal_stack_bytes = stack.ss_size;
}

static void threads_are_named_and_deaf(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct thread *thread = NULL;
    sigset_t mine;
    assert_int_equal(thread_start(&thread, "looker", look_around, &seen, NULL), 0);
    thread_join(thread);
    assert_string_equal(seen.name, "looker");
    assert_int_equal(seen.term_is_blocked, 1);
    assert_int_equal(seen.fault_is_blocked, 0);
    assert_true(seen.signal_stack_bytes >= 65536);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

static struct mutex low;
static struct mutex high;

static void rising_order(void **state)
{
    (void)state;
    mutex_init(&low, 1, "low");
    mutex_init(&high, 2, "high");
    mutex_lock(&low);
    mutex_lock(&high);
    mutex_unlock(&low); /* any order of unlocking */
    assert_true(mutex_is_held(&high));
    mutex_unlock(&high);
    mutex_lock(&low);
    mutex_unlock(&low);
    mutex_done(&low);
    mutex_done(&high);
}

static NO_THREAD_SAFETY_ANALYSIS void falling_order(void)
{
    mutex_init(&low, 1, "low");
    mutex_init(&high, 2, "high");
    mutex_lock(&high);
    mutex_lock(&low);
}

static NO_THREAD_SAFETY_ANALYSIS void same_rank(void)
{
    mutex_init(&low, 1, "one");
    mutex_init(&high, 1, "other");
    mutex_lock(&high);
    mutex_lock(&low);
}

static NO_THREAD_SAFETY_ANALYSIS void unlock_of_another(void)
{
    mutex_init(&low, 1, "low");
    mutex_unlock(&low);
}

static void wrong_order_aborts(void **state)
{
    (void)state;
    assert_true(aborts(falling_order));
    assert_true(aborts(same_rank));
    assert_true(aborts(unlock_of_another));
}

TEST_GROUP(thread, cmocka_unit_test(threads_take_turns), cmocka_unit_test(waits_end_at_the_deadline),
    cmocka_unit_test(threads_are_named_and_deaf), cmocka_unit_test(rising_order),
    cmocka_unit_test(wrong_order_aborts));
