#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "base/vec.h"
#include "rpc/complaints.h"
#include "rpc/loop_private.h"
#include "rpc/tag.h"
#include "rpc/timer.h"

enum {
    BUSY_CREDIT_MAX = 16, /* of looking again, see poll_busily() */
    BUSY_FOUND = 4,
    BUSY_FOUND_AT_ONCE = -1,
    BUSY_IN_VAIN = -3,
    BUSY_AT_ONCE_US = 4,
    BUSY_REST = 1024, /* events without looking again, after it did not pay off */
};

struct rpc_post {
    void (*run)(void *ctx);
    void *ctx;
};

struct rpc_posts {
    struct rpc_post *items;
    size_t count;
    size_t capacity;
};

struct rpc_loop {
    grpc_completion_queue *queue;
    struct thread *thread;
    _Atomic(pthread_t) self; /* set once, by the loop's thread */
    atomic_size_t holds;
    atomic_uint busy_poll_us;

    struct mutex posts_lock;
    struct rpc_posts posts GUARDED_BY(&posts_lock);
    bool is_kicked GUARDED_BY(&posts_lock); /* a wake-up is on its way through the queue */

    struct mutex waits_lock; /* guards the flags that rpc_loop_wait() is given */
    struct condition waits;

    /* The only way to wake a completion queue is an operation on it: an empty batch of a call that goes
     * nowhere. */
    grpc_channel *kick_channel;
    grpc_call *kick_call;
    struct rpc_tag kick_tag;

    /* Owned by the loop's thread. */
    struct rpc_posts running;
    struct rpc_timers timers;
    struct list later;
    int busy_credit;
    int busy_rest;
    uint8_t *scratch;
    size_t scratch_size;
    bool stop_wanted;
};

static void kick_done(struct rpc_tag *tag, bool ok)
{
    struct rpc_loop *loop = list_entry(tag, struct rpc_loop, kick_tag);
    (void)ok; /* an empty batch cannot fail */
    mutex_lock(&loop->posts_lock);
    loop->is_kicked = false;
    mutex_unlock(&loop->posts_lock);
}

static void run_posts(struct rpc_loop *loop)
{
    mutex_lock(&loop->posts_lock);
    struct rpc_posts posts = loop->posts;
    loop->posts = loop->running;
    mutex_unlock(&loop->posts_lock);
    for (size_t i = 0; i < posts.count; i++)
        posts.items[i].run(posts.items[i].ctx);
    posts.count = 0;
    loop->running = posts;
}

/* A wake-up that was promised always comes; its poster may not have started it yet, and starting one on a
 * queue that was shut aborts the process. */
static bool is_kick_under_way(struct rpc_loop *loop)
{
    mutex_lock(&loop->posts_lock);
    bool is_kicked = loop->is_kicked;
    mutex_unlock(&loop->posts_lock);
    return is_kicked;
}

static bool has_posts(struct rpc_loop *loop)
{
    mutex_lock(&loop->posts_lock);
    bool has = loop->posts.count > 0;
    mutex_unlock(&loop->posts_lock);
    return has;
}

static void run_later(struct rpc_loop *loop)
{
    struct list_node *node;
    while ((node = list_pop_front(&loop->later))) {
        struct rpc_later *later = list_entry(node, struct rpc_later, node);
        later->run(later);
    }
}

static gpr_timespec deadline_of(int64_t due_ns)
{
    if (due_ns == INT64_MAX)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return (gpr_timespec){.tv_sec = due_ns / NS_PER_S,
        .tv_nsec = (int32_t)(due_ns % NS_PER_S),
        .clock_type = GPR_CLOCK_MONOTONIC};
}

static bool is_finished(struct rpc_loop *loop)
{
    return loop->stop_wanted && atomic_load_explicit(&loop->holds, memory_order_acquire) == 0 &&
           list_is_empty(&loop->later) && !has_posts(loop) && !is_kick_under_way(loop);
}

/* Whether to look again before sleeping. On a machine with too little CPU the answer does not come that
 * quickly, and a thread that looks again wears out its turn and is then woken later than one that slept; and
 * where one event follows on the other, those that come during a sleep are handled together. So it is given
 * up for a while whenever it costs more often than it helps. */
static bool may_poll_busily(struct rpc_loop *loop)
{
    if (loop->busy_credit > 0)
        return true;
    if (--loop->busy_rest <= 0) {
        loop->busy_rest = BUSY_REST;
        loop->busy_credit = 1;
    }
    return false;
}

static grpc_event poll_busily(struct rpc_loop *loop, int64_t until_ns)
{
    int64_t began_ns = clock_now_ns(clock_system()), now_ns;
    grpc_event event;
    while (true) {
        event = grpc_completion_queue_next(loop->queue, deadline_of(0), NULL);
        now_ns = clock_now_ns(clock_system());
        if (event.type != GRPC_QUEUE_TIMEOUT || now_ns >= until_ns)
            break;
        (void)sched_yield(); /* cannot fail; whoever is to answer may want this core */
    }
    bool is_at_once = now_ns - began_ns < BUSY_AT_ONCE_US * NS_PER_US;
    loop->busy_credit += event.type == GRPC_QUEUE_TIMEOUT ? BUSY_IN_VAIN
                         : is_at_once                     ? BUSY_FOUND_AT_ONCE
                                                          : BUSY_FOUND;
    if (loop->busy_credit > BUSY_CREDIT_MAX)
        loop->busy_credit = BUSY_CREDIT_MAX;
    return event;
}

/* Waits until `due_ns`. */
static grpc_event next_event(struct rpc_loop *loop, int64_t due_ns, bool was_busy)
{
    unsigned busy_us = atomic_load_explicit(&loop->busy_poll_us, memory_order_relaxed); /* a plain setting */
    if (was_busy && busy_us > 0 && may_poll_busily(loop)) {
        int64_t until_ns = clock_now_ns(clock_system()) + busy_us * NS_PER_US;
        grpc_event event = poll_busily(loop, until_ns < due_ns ? until_ns : due_ns);
        if (event.type != GRPC_QUEUE_TIMEOUT)
            return event;
    }
    return grpc_completion_queue_next(loop->queue, deadline_of(due_ns), NULL);
}

static void run_loop(void *ctx)
{
    struct rpc_loop *loop = ctx;
    bool is_shut = false;
    bool was_busy = false;
    atomic_store_explicit(&loop->self, pthread_self(), memory_order_relaxed); /* only compared with oneself */
    while (true) {
        run_posts(loop);
        if (loop->timers.count > 0)
            rpc_timers_run(&loop->timers, clock_now_ns(clock_system()));
        run_later(loop);
        /* Asked last: all of the above sets timers. Posts from this thread come without a wake-up. */
        int64_t due_ns = has_posts(loop) ? 0 : rpc_timers_due_ns(&loop->timers);
        if (!is_shut && is_finished(loop)) {
            grpc_completion_queue_shutdown(loop->queue);
            is_shut = true;
        }
        grpc_event event = next_event(loop, due_ns, was_busy);
        was_busy = event.type == GRPC_OP_COMPLETE;
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return;
        if (event.type == GRPC_OP_COMPLETE)
            rpc_tag_complete(event.tag, event.success != 0);
    }
}

static void loop_destroy(struct rpc_loop *loop)
{
    grpc_call_unref(loop->kick_call);
    grpc_channel_destroy(loop->kick_channel);
    grpc_completion_queue_destroy(loop->queue);
    grpc_shutdown();
    mutex_done(&loop->posts_lock);
    mutex_done(&loop->waits_lock);
    condition_done(&loop->waits);
    rpc_timers_done(&loop->timers);
    vec_done(&loop->posts);
    vec_done(&loop->running);
    free(loop->scratch);
    free(loop);
}

void rpc_poll_apart(void)
{
    static const char variable[] = "GRPC_POLL_STRATEGY";
    if (getenv(variable))
        return;
    /* gRPC takes it from nothing else, looks at it in its first initialisation, which is this one, and keeps
     * it for the life of the process. Children would inherit it, and may have a gRPC of their own. */
    rpc_complaints_take();
    (void)setenv(variable, "poll", 1); /* fails only without memory: then all goes on as before */
    grpc_init();
    (void)unsetenv(variable); /* a good name: cannot fail */
}

static void make_kicker(struct rpc_loop *loop)
{
    loop->kick_tag.done = kick_done;
    loop->kick_channel = grpc_lame_client_channel_create("kick", GRPC_STATUS_INTERNAL, "never sent");
    loop->kick_call = grpc_channel_create_call(loop->kick_channel, NULL, GRPC_PROPAGATE_DEFAULTS, loop->queue,
        grpc_slice_from_static_string("/kick"), NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

int rpc_loop_new(const char *name, struct rpc_loop **ret_loop, struct err *err)
{
    rpc_complaints_take();
    grpc_init();
    struct rpc_loop *loop = xcalloc(1, sizeof(*loop));
    mutex_init(&loop->posts_lock, RPC_RANK_POSTS, "rpc posts");
    mutex_init(&loop->waits_lock, RPC_RANK_WAITS, "rpc waits");
    condition_init(&loop->waits);
    list_init(&loop->later);
    loop->busy_credit = BUSY_CREDIT_MAX;
    loop->queue = grpc_completion_queue_create_for_next(NULL);
    make_kicker(loop);
    if (thread_start(&loop->thread, name, run_loop, loop, err) < 0) {
        grpc_completion_queue_shutdown(loop->queue);
        (void)grpc_completion_queue_next(loop->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        loop_destroy(loop);
        return -1;
    }
    *ret_loop = loop;
    return 0;
}

static void want_stop(void *ctx)
{
    struct rpc_loop *loop = ctx;
    loop->stop_wanted = true;
}

void rpc_loop_free(struct rpc_loop *loop)
{
    if (!loop)
        return;
    assert(!rpc_loop_is_current(loop));
    rpc_loop_post(loop, want_stop, loop);
    thread_join(loop->thread);
    loop_destroy(loop);
}

void rpc_loop_set_busy_poll(struct rpc_loop *loop, unsigned microseconds)
{
    atomic_store_explicit(
        &loop->busy_poll_us, microseconds, memory_order_relaxed); /* read at the next round */
}

void rpc_loop_post(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx)
{
    mutex_lock(&loop->posts_lock);
    vec_push(&loop->posts, ((struct rpc_post){.run = run, .ctx = ctx}));
    bool needs_kick = !loop->is_kicked && !rpc_loop_is_current(loop);
    loop->is_kicked = loop->is_kicked || needs_kick;
    mutex_unlock(&loop->posts_lock);
    if (needs_kick) {
        rpc_tag_post(&loop->kick_tag);
        grpc_call_error error = grpc_call_start_batch(loop->kick_call, NULL, 0, &loop->kick_tag, NULL);
        assert(error == GRPC_CALL_OK);
        (void)error;
    }
}

struct call_from_outside {
    struct rpc_loop *loop;
    void (*run)(void *ctx);
    void *ctx;
    bool is_done;
};

static void run_and_wake(void *ctx)
{
    struct call_from_outside *call = ctx;
    call->run(call->ctx);
    rpc_loop_wake(call->loop, &call->is_done);
}

void rpc_loop_call(struct rpc_loop *loop, void (*run)(void *ctx), void *ctx)
{
    struct call_from_outside call = {.loop = loop, .run = run, .ctx = ctx};
    rpc_loop_post(loop, run_and_wake, &call);
    rpc_loop_wait(loop, &call.is_done);
}

bool rpc_loop_is_current(const struct rpc_loop *loop)
{
    return pthread_equal(atomic_load_explicit(&loop->self, memory_order_relaxed), pthread_self()) != 0;
}

grpc_completion_queue *rpc_loop_queue(struct rpc_loop *loop)
{
    return loop->queue;
}

struct rpc_timers *rpc_loop_timers(struct rpc_loop *loop)
{
    return &loop->timers;
}

void rpc_loop_hold(struct rpc_loop *loop)
{
    atomic_fetch_add_explicit(
        &loop->holds, 1, memory_order_relaxed); /* before the post that asks for the end */
}

void rpc_loop_release(struct rpc_loop *loop)
{
    size_t before =
        atomic_fetch_sub_explicit(&loop->holds, 1, memory_order_release); /* pairs with is_finished() */
    assert(before > 0);
    (void)before;
}

void rpc_loop_later(struct rpc_loop *loop, struct rpc_later *later)
{
    assert(rpc_loop_is_current(loop));
    if (!list_node_is_linked(&later->node))
        list_push_back(&loop->later, &later->node);
}

uint8_t *rpc_loop_scratch(struct rpc_loop *loop, size_t size)
{
    if (size > loop->scratch_size) {
        free(loop->scratch);
        loop->scratch = xmalloc(size);
        loop->scratch_size = size;
    }
    return loop->scratch;
}

void rpc_loop_wait(struct rpc_loop *loop, const bool *done)
{
    assert(!rpc_loop_is_current(loop));
    mutex_lock(&loop->waits_lock);
    while (!*done)
        condition_wait(&loop->waits, &loop->waits_lock);
    mutex_unlock(&loop->waits_lock);
}

void rpc_loop_wake(struct rpc_loop *loop, bool *done)
{
    mutex_lock(&loop->waits_lock);
    *done = true;
    condition_broadcast(&loop->waits);
    mutex_unlock(&loop->waits_lock);
}
