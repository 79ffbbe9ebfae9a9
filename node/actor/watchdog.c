#include "actor/watchdog.h"

#include "actor/system_private.h"
#include "base/thread.h"

#include <stdlib.h>

enum { LOOKS_PER_LIMIT = 8 };

struct watched_worker {
    uint64_t steps;
    int64_t since_ns; /* when we first saw these steps with something executing */
    bool is_reported;
};

struct watchdog {
    struct actor_system *system;
    struct thread *thread;
    struct mutex lock;
    struct condition stop;
    bool is_stopping GUARDED_BY(&lock);
    struct watched_worker workers[];
};

static void look_at(struct watchdog *watchdog, unsigned number, int64_t now_ns, int64_t limit_ns)
{
    struct watched_worker *seen = &watchdog->workers[number];
    struct worker *worker = &watchdog->system->workers[number];
    /* Both only grow: their sum changes with each function of a behavior that is called. */
    uint64_t steps = atomic_load_explicit(&worker->watched.steps, memory_order_relaxed) +
                     atomic_load_explicit(&worker->counters.messages, memory_order_relaxed);
    const struct actor *executing = atomic_load_explicit(&worker->watched.executing, memory_order_relaxed);
    if (steps != seen->steps || !executing) {
        *seen = (struct watched_worker){.steps = steps, .since_ns = now_ns};
        return;
    }
    if (seen->is_reported || now_ns - seen->since_ns < limit_ns)
        return;
    seen->is_reported = true;
    const struct actor_events *events = &watchdog->system->config.events;
    if (events->stuck)
        events->stuck(events->ctx, intern_text(names_of(&watchdog->system->names, executing)),
            intern_text(atomic_load_explicit(&worker->watched.executing_type, memory_order_relaxed)),
            (uint64_t)((now_ns - seen->since_ns) / NS_PER_MS));
}

static void watchdog_run(void *ctx)
{
    struct watchdog *watchdog = ctx;
    int64_t limit_ns = watchdog->system->config.handler_timeout_ms * NS_PER_MS;
    int64_t period_ns = limit_ns / LOOKS_PER_LIMIT;
    mutex_lock(&watchdog->lock);
    while (!watchdog->is_stopping) {
        int64_t now_ns = clock_now_ns(clock_system());
        (void)condition_wait_until(&watchdog->stop, &watchdog->lock, now_ns + period_ns);
        if (watchdog->is_stopping)
            break;
        mutex_unlock(&watchdog->lock);
        now_ns = clock_now_ns(clock_system());
        for (unsigned i = 0; i < watchdog->system->worker_count; i++)
            look_at(watchdog, i, now_ns, limit_ns);
        mutex_lock(&watchdog->lock);
    }
    mutex_unlock(&watchdog->lock);
}

int watchdog_new(struct actor_system *system, struct watchdog **ret_watchdog, struct err *err)
{
    struct watchdog *watchdog =
        xcalloc(1, sizeof(*watchdog) + system->worker_count * sizeof(watchdog->workers[0]));
    watchdog->system = system;
    mutex_init(&watchdog->lock, 680, "watchdog");
    condition_init(&watchdog->stop);
    if (thread_start(&watchdog->thread, "watchdog", watchdog_run, watchdog, err) < 0) {
        watchdog_free(watchdog);
        return -1;
    }
    *ret_watchdog = watchdog;
    return 0;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    mutex_lock(&watchdog->lock);
    watchdog->is_stopping = true;
    condition_signal(&watchdog->stop);
    mutex_unlock(&watchdog->lock);
    thread_join(watchdog->thread);
    condition_done(&watchdog->stop);
    mutex_done(&watchdog->lock);
    free(watchdog);
}
