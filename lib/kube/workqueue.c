#include "kube/workqueue.h"

#include <assert.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/mutex.h"
#include "kube/heap.h"

struct item {
    struct list_node working; /* linked between get and done */
    struct heap_node ready;
    struct heap_node delayed;
    bool is_dirty;    /* added while it was worked on */
    int priority;     /* of the ready or dirty one */
    int run_priority; /* of the run under way */
    int delayed_priority;
    uint64_t number; /* of the addition: order within a priority */
    int64_t ready_ms;
    int64_t due_ms;
    int64_t began_ms;
    unsigned failures;
    char key[];
};

struct kube_workqueue {
    struct clock *clock;
    struct kube_workqueue_config config;
    struct mutex lock;
    struct condition changed;              /* something is ready, due earlier, or shut down */
    struct condition idle;                 /* nothing is worked on any more */
    struct map items GUARDED_BY(&lock);    /* key -> item; an item that says nothing is not kept */
    struct list working GUARDED_BY(&lock); /* oldest first */
    struct heap ready GUARDED_BY(&lock);   /* most urgent first */
    struct heap delayed GUARDED_BY(&lock); /* by due_ms */
    uint64_t numbers GUARDED_BY(&lock);
    double tokens GUARDED_BY(&lock); /* retries that may be now; below 0 what is promised already */
    int64_t tokens_ms GUARDED_BY(&lock);
    bool is_shut_down GUARDED_BY(&lock);
    struct kube_workqueue_stats stats GUARDED_BY(&lock);
};

static bool is_more_urgent(const struct heap_node *left_node, const struct heap_node *right_node)
{
    const struct item *left = list_entry(left_node, struct item, ready);
    const struct item *right = list_entry(right_node, struct item, ready);
    return left->priority > right->priority ||
           (left->priority == right->priority && left->number < right->number);
}

static bool is_due_earlier(const struct heap_node *left, const struct heap_node *right)
{
    return list_entry(left, struct item, delayed)->due_ms < list_entry(right, struct item, delayed)->due_ms;
}

/* ---- items ---- */

static struct item *item_need(struct kube_workqueue *queue, const char *key) REQUIRES(&queue->lock)
{
    struct item *item = map_get(&queue->items, key);
    if (item)
        return item;
    size_t size = strlen(key) + 1;
    item = xcalloc(1, sizeof(*item) + size);
    memcpy(item->key, key, size);
    (void)map_put(&queue->items, key, item); /* there was none */
    return item;
}

static void item_drop_if_idle(struct kube_workqueue *queue, struct item *item) REQUIRES(&queue->lock)
{
    if (heap_has(&item->ready) || heap_has(&item->delayed) || list_node_is_linked(&item->working) ||
        item->failures > 0)
        return;
    free(map_remove(&queue->items, item->key));
}

static void item_ready(struct kube_workqueue *queue, struct item *item, int priority, int64_t now_ms)
    REQUIRES(&queue->lock)
{
    bool has_addition = item->is_dirty || heap_has(&item->ready);
    if (has_addition && item->priority >= priority)
        return;
    item->priority = priority;
    if (list_node_is_linked(&item->working)) {
        item->is_dirty = true;
        return;
    }
    if (has_addition) {
        heap_raise(&queue->ready, &item->ready);
        return;
    }
    item->number = queue->numbers++;
    item->ready_ms = now_ms;
    queue->stats.adds++;
    heap_add(&queue->ready, &item->ready);
    condition_signal(&queue->changed);
}

static void item_delay(struct kube_workqueue *queue, struct item *item, int64_t due_ms, int priority)
    REQUIRES(&queue->lock)
{
    if (heap_has(&item->delayed)) {
        if (item->delayed_priority < priority)
            item->delayed_priority = priority;
        if (item->due_ms <= due_ms)
            return;
        item->due_ms = due_ms;
        heap_raise(&queue->delayed, &item->delayed);
    } else {
        item->due_ms = due_ms;
        item->delayed_priority = priority;
        heap_add(&queue->delayed, &item->delayed);
    }
    if (heap_first(&queue->delayed) == &item->delayed)
        condition_signal(&queue->changed);
}

static void add_at(struct kube_workqueue *queue, const char *key, int64_t now_ms, int64_t due_ms,
    int priority) REQUIRES(&queue->lock)
{
    if (queue->is_shut_down)
        return;
    struct item *item = item_need(queue, key);
    if (due_ms <= now_ms)
        item_ready(queue, item, priority, now_ms);
    else
        item_delay(queue, item, due_ms, priority);
}

static struct item *first_delayed(const struct kube_workqueue *queue) REQUIRES(&queue->lock)
{
    struct heap_node *node = heap_first(&queue->delayed);
    return node ? list_entry(node, struct item, delayed) : NULL;
}

/* What is due becomes ready. */
static void move_due(struct kube_workqueue *queue, int64_t now_ms) REQUIRES(&queue->lock)
{
    struct item *item;
    while ((item = first_delayed(queue)) && item->due_ms <= now_ms) { /* each round takes one out */
        heap_remove(&queue->delayed, &item->delayed);
        item_ready(queue, item, item->delayed_priority, now_ms);
    }
}

/* ---- the queue ---- */

struct kube_workqueue *kube_workqueue_new(struct clock *clock, const struct kube_workqueue_config *config)
{
    struct kube_workqueue *queue = xcalloc(1, sizeof(*queue));
    queue->clock = clock;
    if (config)
        queue->config = *config;
    if (queue->config.retry_initial_ms == 0)
        queue->config.retry_initial_ms = 5;
    if (queue->config.retry_max_ms == 0)
        queue->config.retry_max_ms = 1000 * 1000;
    if (queue->config.retries_per_s <= 0)
        queue->config.retries_per_s = 10;
    if (queue->config.retries_burst <= 0)
        queue->config.retries_burst = 100;
    mutex_init(&queue->lock, 320, "kube workqueue");
    condition_init(&queue->changed);
    condition_init(&queue->idle);
    mutex_lock(&queue->lock);
    list_init(&queue->working);
    queue->ready.comes_before = is_more_urgent;
    queue->delayed.comes_before = is_due_earlier;
    queue->tokens = queue->config.retries_burst;
    queue->tokens_ms = clock_now_ms(clock);
    mutex_unlock(&queue->lock);
    return queue;
}

void kube_workqueue_free(struct kube_workqueue *queue)
{
    if (!queue)
        return;
    mutex_lock(&queue->lock);
    heap_done(&queue->ready);
    heap_done(&queue->delayed);
    map_done(&queue->items, free);
    mutex_unlock(&queue->lock);
    condition_done(&queue->idle);
    condition_done(&queue->changed);
    mutex_done(&queue->lock);
    free(queue);
}

void kube_workqueue_add(struct kube_workqueue *queue, const char *key, int priority)
{
    kube_workqueue_add_after(queue, key, 0, priority);
}

void kube_workqueue_add_after(struct kube_workqueue *queue, const char *key, int64_t delay_ms, int priority)
{
    int64_t now_ms = clock_now_ms(queue->clock);
    mutex_lock(&queue->lock);
    add_at(queue, key, now_ms, now_ms + delay_ms, priority);
    mutex_unlock(&queue->lock);
}

/* Until when one more retry of all has to wait. */
static int64_t bucket_take_ms(struct kube_workqueue *queue, int64_t now_ms) REQUIRES(&queue->lock)
{
    double rate = queue->config.retries_per_s;
    queue->tokens += (double)(now_ms - queue->tokens_ms) * rate / (double)MS_PER_S;
    queue->tokens_ms = now_ms;
    if (queue->tokens > queue->config.retries_burst)
        queue->tokens = queue->config.retries_burst;
    queue->tokens -= 1;
    return queue->tokens < 0 ? (int64_t)(-queue->tokens / rate * (double)MS_PER_S) : 0;
}

static int64_t item_retry_ms(const struct kube_workqueue *queue, const struct item *item)
{
    int64_t delay_ms = queue->config.retry_initial_ms;
    for (unsigned i = 0; i < item->failures && delay_ms < queue->config.retry_max_ms; i++)
        delay_ms *= 2;
    return delay_ms < queue->config.retry_max_ms ? delay_ms : queue->config.retry_max_ms;
}

void kube_workqueue_retry(struct kube_workqueue *queue, const char *key, int priority)
{
    int64_t now_ms = clock_now_ms(queue->clock);
    mutex_lock(&queue->lock);
    if (!queue->is_shut_down) {
        struct item *item = item_need(queue, key);
        int64_t own_ms = item_retry_ms(queue, item);
        int64_t all_ms = bucket_take_ms(queue, now_ms);
        if (item->failures < 63) /* any initial wait is at its maximum by then */
            item->failures++;
        queue->stats.retries++;
        item_delay(queue, item, now_ms + (own_ms > all_ms ? own_ms : all_ms), priority);
    }
    mutex_unlock(&queue->lock);
}

void kube_workqueue_forget(struct kube_workqueue *queue, const char *key)
{
    mutex_lock(&queue->lock);
    struct item *item = map_get(&queue->items, key);
    if (item) {
        item->failures = 0;
        item_drop_if_idle(queue, item);
    }
    mutex_unlock(&queue->lock);
}

unsigned kube_workqueue_failures(struct kube_workqueue *queue, const char *key)
{
    mutex_lock(&queue->lock);
    const struct item *item = map_get(&queue->items, key);
    unsigned failures = item ? item->failures : 0;
    mutex_unlock(&queue->lock);
    return failures;
}

static struct item *take(struct kube_workqueue *queue, int64_t now_ms) REQUIRES(&queue->lock)
{
    move_due(queue, now_ms);
    struct heap_node *node = heap_first(&queue->ready);
    if (!node)
        return NULL;
    struct item *item = list_entry(node, struct item, ready);
    heap_remove(&queue->ready, node);
    item->run_priority = item->priority;
    item->began_ms = now_ms;
    list_push_back(&queue->working, &item->working);
    queue->stats.gets++;
    queue->stats.working++;
    queue->stats.latency_ms_sum += now_ms - item->ready_ms;
    /* This worker may have been the one that waited for what comes next. */
    condition_signal(&queue->changed);
    return item;
}

static bool hand_out(const struct item *item, char **ret_key, int *ret_priority)
{
    if (!item)
        return false;
    *ret_key = xstrdup(item->key);
    if (ret_priority)
        *ret_priority = item->run_priority;
    return true;
}

bool kube_workqueue_get(struct kube_workqueue *queue, char **ret_key, int *ret_priority)
{
    mutex_lock(&queue->lock);
    struct item *item;
    for (;;) { /* until there is an item or the queue is shut down */
        int64_t now_ms = clock_now_ms(queue->clock);
        item = take(queue, now_ms);
        if (item || queue->is_shut_down)
            break;
        const struct item *next = first_delayed(queue);
        if (next)
            (void)condition_wait_until(&queue->changed, &queue->lock,
                clock_now_ns(clock_system()) + (next->due_ms - now_ms) * NS_PER_MS); /* looks again anyway */
        else
            condition_wait(&queue->changed, &queue->lock);
    }
    bool has_key = hand_out(item, ret_key, ret_priority);
    mutex_unlock(&queue->lock);
    return has_key;
}

bool kube_workqueue_try_get(struct kube_workqueue *queue, char **ret_key, int *ret_priority)
{
    int64_t now_ms = clock_now_ms(queue->clock);
    mutex_lock(&queue->lock);
    bool has_key = hand_out(take(queue, now_ms), ret_key, ret_priority);
    mutex_unlock(&queue->lock);
    return has_key;
}

void kube_workqueue_done(struct kube_workqueue *queue, const char *key)
{
    int64_t now_ms = clock_now_ms(queue->clock);
    mutex_lock(&queue->lock);
    struct item *item = map_get(&queue->items, key);
    assert(item && list_node_is_linked(&item->working));
    list_remove(&item->working);
    queue->stats.working--;
    queue->stats.work_ms_sum += now_ms - item->began_ms;
    if (item->is_dirty) {
        item->is_dirty = false;
        item_ready(queue, item, item->priority, now_ms);
    }
    item_drop_if_idle(queue, item);
    if (queue->stats.working == 0)
        condition_broadcast(&queue->idle);
    mutex_unlock(&queue->lock);
}

void kube_workqueue_shut_down(struct kube_workqueue *queue)
{
    mutex_lock(&queue->lock);
    queue->is_shut_down = true;
    struct item *item;
    while ((item = first_delayed(queue))) { /* each round takes one out */
        heap_remove(&queue->delayed, &item->delayed);
        item_drop_if_idle(queue, item);
    }
    condition_broadcast(&queue->changed);
    mutex_unlock(&queue->lock);
}

void kube_workqueue_drain(struct kube_workqueue *queue)
{
    kube_workqueue_shut_down(queue);
    mutex_lock(&queue->lock);
    struct heap_node *node;
    while ((node = heap_first(&queue->ready))) { /* each round takes one out */
        heap_remove(&queue->ready, node);
        item_drop_if_idle(queue, list_entry(node, struct item, ready));
    }
    list_for_each (item, &queue->working, struct item, working)
        item->is_dirty = false;
    while (queue->stats.working > 0) /* workers end their runs, and nothing new begins */
        condition_wait(&queue->idle, &queue->lock);
    mutex_unlock(&queue->lock);
}

void kube_workqueue_stats(struct kube_workqueue *queue, struct kube_workqueue_stats *ret_stats)
{
    int64_t now_ms = clock_now_ms(queue->clock);
    mutex_lock(&queue->lock);
    *ret_stats = queue->stats;
    ret_stats->ready = queue->ready.nodes.count;
    ret_stats->delayed = queue->delayed.nodes.count;
    const struct item *oldest = list_first_entry(&queue->working, struct item, working);
    ret_stats->oldest_work_ms = oldest ? now_ms - oldest->began_ms : 0;
    mutex_unlock(&queue->lock);
}
