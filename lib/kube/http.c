#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/vec.h"
#include "kube/http_private.h"

enum {
    LOCK_RANK = 960,
    WAIT_MAX_MS = 60 * 1000, /* nothing is missed without it: a net below */
    IDLE_CONNECTIONS_MAX = 16,
};

/* ---- posts ---- */

void kube_http_post(struct kube_http *http, void (*function)(void *ctx), void *ctx)
{
    mutex_lock(&http->lock);
    struct kube_http_post post = {function, ctx};
    vec_push(&http->posts, post);
    bool must_wake = !http->has_waker;
    http->has_waker = true;
    mutex_unlock(&http->lock);
    if (must_wake)
        (void)curl_multi_wakeup(http->multi); /* fails only when many wake-ups wait already */
}

static void run_posts(struct kube_http *http)
{
    mutex_lock(&http->lock);
    struct kube_http_posts posts = http->posts;
    http->posts = http->running;
    http->has_waker = false;
    mutex_unlock(&http->lock);
    for (size_t at = 0; at < posts.count; at++)
        posts.items[at].function(posts.items[at].ctx);
    posts.count = 0;
    http->running = posts;
}

static bool has_posts(struct kube_http *http)
{
    mutex_lock(&http->lock);
    bool has = http->posts.count > 0;
    mutex_unlock(&http->lock);
    return has;
}

bool kube_http_is_own_thread(const struct kube_http *http)
{
    /* relaxed: only the thread itself finds its own id there */
    pthread_t self = atomic_load_explicit(&http->self, memory_order_relaxed);
    return self && pthread_equal(self, pthread_self());
}

/* ---- timers ---- */

void kube_http_timer_set(struct kube_http *http, struct kube_http_timer *timer, int64_t at_ms,
    void (*function)(void *ctx), void *ctx)
{
    assert(kube_http_is_own_thread(http));
    list_remove(&timer->node);
    if (http->is_stopped)
        return;
    timer->at_ms = at_ms;
    timer->function = function;
    timer->ctx = ctx;
    struct list_node *place = http->timers.head.previous;
    while (place != &http->timers.head && list_entry(place, struct kube_http_timer, node)->at_ms > at_ms)
        place = place->previous;
    list_insert_after(place, &timer->node);
}

void kube_http_timer_cancel(struct kube_http_timer *timer)
{
    list_remove(&timer->node);
}

/* Those that are set meanwhile wait for the next turn, even when they are due. */
static void run_timers(struct kube_http *http)
{
    int64_t now_ms = clock_now_ms(clock_system());
    struct list due;
    struct list_node *node;
    list_init(&due);
    while (!list_is_empty(&http->timers)) {
        struct kube_http_timer *timer = list_entry(list_first(&http->timers), struct kube_http_timer, node);
        if (timer->at_ms > now_ms)
            break;
        list_remove(&timer->node);
        list_push_back(&due, &timer->node);
    }
    while ((node = list_pop_front(&due))) {
        struct kube_http_timer *timer = list_entry(node, struct kube_http_timer, node);
        timer->function(timer->ctx);
    }
}

/* ---- the thread ---- */

static void add_begun(struct kube_http *http)
{
    struct list_node *node;
    while ((node = list_pop_front(&http->begun))) {
        struct kube_http_call *call = list_entry(node, struct kube_http_call, node);
        if (http->is_stopped)
            (void)err_set(&call->failure, ERR_CANCELED, "the client was stopped");
        kube_http_call_add(call);
    }
}

static void free_doomed(struct kube_http *http)
{
    struct list_node *node;
    while ((node = list_pop_front(&http->doomed)))
        kube_http_call_free(list_entry(node, struct kube_http_call, node));
}

static void end_finished(struct kube_http *http)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct kube_http_call *call = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&call);
        if (!call->is_canceled)
            kube_http_call_end(call, code);
    }
}

/* How long nothing will happen unless curl or a post says so. */
static int wait_ms(struct kube_http *http)
{
    if (!list_is_empty(&http->begun) || !list_is_empty(&http->doomed))
        return 0;
    struct kube_http_timer *timer = list_first_entry(&http->timers, struct kube_http_timer, node);
    if (!timer)
        return WAIT_MAX_MS;
    int64_t left_ms = timer->at_ms - clock_now_ms(clock_system()) + 1; /* the part of a millisecond as well */
    if (left_ms <= 0)
        return 0;
    return left_ms < WAIT_MAX_MS ? (int)left_ms : WAIT_MAX_MS;
}

static bool is_over(struct kube_http *http)
{
    return http->is_ending && list_is_empty(&http->calls) && list_is_empty(&http->begun) && !has_posts(http);
}

static void thread_main(void *ctx)
{
    struct kube_http *http = ctx;
    int running;
    /* relaxed: see kube_http_is_own_thread */
    atomic_store_explicit(&http->self, pthread_self(), memory_order_relaxed);
    while (!is_over(http)) { /* kube_http_free ends it */
        run_posts(http);
        run_timers(http);
        add_begun(http);
        (void)curl_multi_perform(http->multi, &running); /* fails only for misuse */
        end_finished(http);
        free_doomed(http);
        if (!has_posts(http) && !is_over(http))
            (void)curl_multi_poll(http->multi, NULL, 0, wait_ms(http), NULL); /* for less than asked: fine */
    }
    free_doomed(http);
}

/* ---- life ---- */

static void stop_now(void *ctx)
{
    struct kube_http *http = ctx;
    http->is_stopped = true;
    while (!list_is_empty(&http->timers))
        list_remove(list_first(&http->timers));
    while (!list_is_empty(&http->calls)) {
        struct kube_http_call *call = list_entry(list_first(&http->calls), struct kube_http_call, node);
        (void)err_set(&call->failure, ERR_CANCELED, "the client was stopped");
        kube_http_call_end(call, CURLE_OK);
    }
}

static void end_now(void *ctx)
{
    struct kube_http *http = ctx;
    stop_now(http);
    http->is_ending = true;
}

static void release(struct kube_http *http)
{
    if (http->multi)
        (void)curl_multi_cleanup(http->multi); /* no call is left in it */
    vec_done(&http->running);
    mutex_lock(&http->lock); /* nobody else is here; the compiler cannot know */
    vec_done(&http->posts);
    mutex_unlock(&http->lock);
    mutex_done(&http->lock);
    curl_global_cleanup();
    free(http);
}

int kube_http_new(const char *thread_name, struct kube_http **ret_http, struct err *err)
{
    CURLcode code =
        curl_global_init(CURL_GLOBAL_DEFAULT); /* counted, and safe beside other threads since 7.84 */
    if (code != CURLE_OK)
        return err_set(err, ERR_SYSTEM, "libcurl: %s", curl_easy_strerror(code));
    struct kube_http *http = xcalloc(1, sizeof(*http));
    mutex_init(&http->lock, LOCK_RANK, "kube posts");
    list_init(&http->timers);
    list_init(&http->calls);
    list_init(&http->begun);
    list_init(&http->doomed);
    http->multi = curl_multi_init();
    if (!http->multi) {
        release(http);
        return err_set(err, ERR_SYSTEM, "libcurl gives no multi handle");
    }
    (void)curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
    if (thread_start(&http->thread, thread_name, thread_main, http, err) < 0) {
        release(http);
        return -1;
    }
    *ret_http = http;
    return 0;
}

void kube_http_stop(struct kube_http *http)
{
    kube_http_post(http, stop_now, http);
}

void kube_http_free(struct kube_http *http)
{
    if (!http)
        return;
    assert(!kube_http_is_own_thread(http));
    kube_http_post(http, end_now, http);
    thread_join(http->thread);
    release(http);
}

void kube_http_renew(struct kube_http *http)
{
    assert(kube_http_is_own_thread(http));
    http->generation++;
}
