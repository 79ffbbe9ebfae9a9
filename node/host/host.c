#include "host/host.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "host/private.h"
#include "host/program.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOKS_WHEN_BUSY = 2, FORK_BACKOFF_MS = 50, FORK_BACKOFF_MAX_MS = 5000 };

/* ---- what is watched ---- */

int host_watch(struct host *host, struct watched *watched, uint32_t events, struct err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watched};
    watched->events = events;
    if (epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, watched->fd, &event) < 0)
        return err_set_errno(err, errno, "epoll");
    return 0;
}

void host_rewatch(struct host *host, struct watched *watched, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watched};
    if (watched->fd < 0 || watched->events == events)
        return;
    watched->events = events;
    (void)epoll_ctl(host->epoll_fd, EPOLL_CTL_MOD, watched->fd, &event); /* it is in the set */
}

void host_unwatch(struct host *host, struct watched *watched)
{
    if (watched->fd < 0)
        return;
    (void)epoll_ctl(host->epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL); /* or it never was in the set */
    (void)close(watched->fd);                                          /* nothing is buffered in it */
    watched->fd = -1;
}

static void wait_for_events(struct host *host, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
    int got = epoll_pwait2(
        host->epoll_fd, host->events, EVENTS_MAX, timeout_ns == INT64_MAX ? NULL : &timeout, NULL);
    if (got < 0 && errno == ENOSYS) { /* kernels before 5.11: to the millisecond */
        int64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
        got = epoll_wait(host->epoll_fd, host->events, EVENTS_MAX,
            timeout_ns == INT64_MAX ? -1 : (int)(ms < INT32_MAX ? ms : INT32_MAX));
    }
    host->event_count = got > 0 ? got : 0; /* interrupted: the caller looks around and comes back */
}

static void handle_events(struct host *host)
{
    const struct epoll_event *events = host->events;
    int count = host->event_count;
    host->event_count = 0;
    for (int i = 0; i < count; i++) {
        struct watched *watched = events[i].data.ptr;
        if (watched && watched->fd >= 0) /* else the wake-up, or closed by an event before */
            watched->ready(host, watched, events[i].events);
    }
}

/* ---- the app ---- */

void app_free(struct app *app)
{
    if (!app)
        return;
    for (size_t i = 0; i < app->path_count; i++)
        free(app->paths[i]);
    for (size_t i = 0; i < app->preload_count; i++)
        free(app->preload[i]);
    free(app->paths);
    free(app->preload);
    free(app->interpreter);
    free(app->script);
    free(app);
}

static char **copy_texts(const char *const *texts, size_t count)
{
    char **copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = xstrdup(texts[i]);
    return copy;
}

static void fill_workers(struct host_limits *limits)
{
    if (limits->workers > 0)
        return;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    limits->workers = cores > 0 ? (unsigned)cores : 1;
}

void host_configure(struct host *host, const struct host_app *from)
{
    struct app *app = xcalloc(1, sizeof(*app));
    *app = (struct app){.paths = copy_texts(from->paths, from->path_count),
        .path_count = from->path_count,
        .preload = copy_texts(from->preload, from->preload_count),
        .preload_count = from->preload_count,
        .interpreter = xstrdup(from->interpreter && *from->interpreter ? from->interpreter : "python3"),
        .script = from->script && *from->script ? xstrdup(from->script) : NULL,
        .python = {from->workers, from->handler_timeout_ms, from->memory_bytes_max}};
    app->c = from->c ? *from->c : app->python;
    fill_workers(&app->python);
    fill_workers(&app->c);
    mutex_lock(&host->lock);
    struct app *former = host->new_app;
    host->new_app = app;
    atomic_store_explicit(&host->has_new_app, true, memory_order_relaxed);
    mutex_unlock(&host->lock);
    app_free(former);
    host->hosting.wake(host);
}

static bool texts_equal(char *const *left, size_t left_count, char *const *right, size_t right_count)
{
    for (size_t i = 0; i < left_count && i < right_count; i++)
        if (strcmp(left[i], right[i]) != 0)
            return false;
    return left_count == right_count;
}

static bool limits_equal(const struct host_limits *left, const struct host_limits *right)
{
    return left->workers == right->workers && left->handler_timeout_ms == right->handler_timeout_ms &&
           left->memory_bytes_max == right->memory_bytes_max;
}

/* The operator tells it again now and then. */
static bool app_equals(const struct app *left, const struct app *right)
{
    return texts_equal(left->paths, left->path_count, right->paths, right->path_count) &&
           texts_equal(left->preload, left->preload_count, right->preload, right->preload_count) &&
           strcmp(left->interpreter, right->interpreter) == 0 && text_equal(left->script, right->script) &&
           limits_equal(&left->python, &right->python) && limits_equal(&left->c, &right->c);
}

bool host_take_app(struct host *host)
{
    if (!atomic_load_explicit(&host->has_new_app, memory_order_relaxed))
        return false;
    mutex_lock(&host->lock);
    struct app *app = host->new_app;
    host->new_app = NULL;
    atomic_store_explicit(&host->has_new_app, false, memory_order_relaxed);
    mutex_unlock(&host->lock);
    if (host->app && app_equals(host->app, app)) {
        app_free(app);
        return true;
    }
    app_free(host->app);
    host->app = app;
    host->generation++;
    processes_configured(host);
    return true;
}

/* ---- worker 0's thread ---- */

/* A node that may not act stops the code of its actors as well: only messages go through us. */
static void follow_suspension(struct host *host, bool is_suspended)
{
    if (host->is_suspended == is_suspended)
        return;
    host->is_suspended = is_suspended;
    list_for_each (process, &host->processes, struct process, node)
        process_send_signal(process, is_suspended ? SIGSTOP : SIGCONT);
}

static void empty_garbage(struct host *host)
{
    vec_for_each (process, &host->garbage)
        process_free(*process);
    vec_clear(&host->garbage);
    zygote_empty_garbage(host);
}

void host_attach(struct host *host, struct worker *worker)
{
    if (host->worker)
        return;
    host->worker = worker;
    looks_start(host);
}

static bool host_poll(void *ctx, struct worker *worker, bool is_idle)
{
    struct host *host = ctx;
    host_attach(host, worker);
    follow_suspension(host, hosted_is_suspended(worker));
    if (host->is_suspended)
        return false;
    bool any = host_take_app(host);
    if (host->event_count == 0 && !is_idle && host->process_count > 0 && ++host->polls % LOOKS_WHEN_BUSY == 0)
        wait_for_events(host, 0);
    any |= host->event_count > 0;
    handle_events(host);
    while (!list_is_empty(&host->dirty))
        process_flush(list_first_entry(&host->dirty, struct process, dirty));
    empty_garbage(host);
    hosted_watch_processes(worker, host->process_count > 0);
    return any;
}

static void host_wait(void *ctx, struct worker *worker, int64_t timeout_ns)
{
    struct host *host = ctx;
    (void)worker;
    if (!host->is_suspended) {
        wait_for_events(host, timeout_ns);
        return;
    }
    /* What came from processes stays where it is. */
    struct pollfd polled = {.fd = host->event_fd, .events = POLLIN};
    uint64_t count;
    int64_t ms = timeout_ns / NS_PER_MS + 1;
    if (poll(&polled, 1, ms < INT32_MAX ? (int)ms : -1) > 0)
        (void)!read(host->event_fd, &count, sizeof(count)); /* resets it */
}

static void host_wake(void *ctx)
{
    const struct host *host = ctx;
    const uint64_t one = 1;
    (void)!write(host->event_fd, &one, sizeof(one)); /* when it is full it is readable, too */
}

static void host_stop(void *ctx, struct worker *worker)
{
    struct host *host = ctx;
    host->is_over = true;
    wheel_cancel(&worker->wheel, &host->timer);
    list_for_each (process, &host->processes, struct process, node) {
        list_for_each_safe (proxy, &process->proxies, struct proxy, node) {
            deliveries_forget(host, proxy);
            proxy_detach(proxy);
            proxy_free_state(proxy);
        }
        process_send_signal(process, SIGKILL);
    }
    zygote_end_all(host);
}

/* ---- the object ---- */

static uint64_t snapshot_bytes_default(void)
{
    uint64_t quarter = looks_memory_max() / 4;
    return quarter < LIMIT_HOST_SNAPSHOT_BYTES ? quarter : LIMIT_HOST_SNAPSHOT_BYTES;
}

static const char *stack_of(void *host, uint64_t actor)
{
    return death_stack(host, actor);
}

int host_new(const struct host_config *config, struct host **ret_host, struct err *err)
{
    struct host *host = xcalloc(1, sizeof(*host));
    host->hosting = (struct actor_hosting){.behavior = &host_proxy,
        .exit = proxy_exit,
        .cancel = request_cancelled,
        .poll = host_poll,
        .wait = host_wait,
        .wake = host_wake,
        .stack = stack_of,
        .stop = host_stop,
        .ctx = host};
    host->system = xstrdup(config->system);
    host->node = xstrdup(config->node);
    host->program = config->program ? xstrdup(config->program) : program_beside_us();
    host->node_uid = config->node_uid;
    host->script_ended = config->script_ended;
    host->ctx = config->ctx;
    buffers_account_init(&host->buffers, config->shared_bytes_max);
    host->snapshot_bytes_max =
        config->snapshot_bytes_max ? config->snapshot_bytes_max : snapshot_bytes_default();
    closer_init(&host->closer);
    host->events = xcalloc(EVENTS_MAX, sizeof(struct epoll_event));
    mutex_init(&host->lock, 650, "host");
    list_init(&host->zygotes);
    list_init(&host->processes);
    list_init(&host->dirty);
    backoff_init(&host->start_backoff, FORK_BACKOFF_MS, FORK_BACKOFF_MAX_MS, 60 * MS_PER_S);
    backoff_init(&host->spare_backoff, FORK_BACKOFF_MS, FORK_BACKOFF_MAX_MS, 60 * MS_PER_S);
    backoff_init(&host->zygote_backoff, FORK_BACKOFF_MS * 2, FORK_BACKOFF_MAX_MS, 60 * MS_PER_S);
    host->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    host->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* Edge-triggered, so that a wake-up is never read. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (host->epoll_fd < 0 || host->event_fd < 0 ||
        epoll_ctl(host->epoll_fd, EPOLL_CTL_ADD, host->event_fd, &event) < 0) {
        err_set_errno(err, errno, "descriptors of the host");
        if (config->script_fd >= 0)
            (void)close(config->script_fd); /* not used yet */
        host_free(host);
        return -1;
    }
    if (config->script_fd >= 0)
        processes_script(host, config->script_fd);
    host_configure(host, &(struct host_app){0}); /* until the real one comes */
    *ret_host = host;
    return 0;
}

void host_free(struct host *host)
{
    if (!host)
        return;
    zygote_end_all(host);
    empty_garbage(host);
    list_for_each_safe (process, &host->processes, struct process, node)
        process_free(process);
    closer_done(&host->closer);
    vec_done(&host->garbage);
    vec_done(&host->zygote_garbage);
    app_free(host->app);
    mutex_lock(&host->lock); /* nobody else is there any more: for the compiler */
    app_free(host->new_app);
    mutex_unlock(&host->lock);
    if (host->epoll_fd >= 0)
        (void)close(host->epoll_fd);
    if (host->event_fd >= 0)
        (void)close(host->event_fd);
    for (size_t i = 0; i < RECENT_STACKS; i++)
        free(host->recent_stacks[i].stack);
    free(host->events);
    free(host->system);
    free(host->node);
    free(host->program);
    mutex_done(&host->lock);
    free(host);
}

const struct actor_hosting *host_hosting(struct host *host)
{
    return &host->hosting;
}

void host_counters(struct host *host, struct host_counters *ret)
{
    *ret = (struct host_counters){
        .actors = atomic_load_explicit(&host->counters.actors, memory_order_relaxed),
        .processes = atomic_load_explicit(&host->counters.processes, memory_order_relaxed),
        .spares = atomic_load_explicit(&host->counters.spares, memory_order_relaxed),
        .spares_started = atomic_load_explicit(&host->counters.spares_started, memory_order_relaxed),
        .processes_started = atomic_load_explicit(&host->counters.started, memory_order_relaxed),
        .processes_lost = atomic_load_explicit(&host->counters.lost, memory_order_relaxed),
        .deliveries = atomic_load_explicit(&host->counters.deliveries, memory_order_relaxed),
        .deliveries_open = atomic_load_explicit(&host->counters.open, memory_order_relaxed),
        .buffered_bytes = atomic_load_explicit(&host->counters.buffered, memory_order_relaxed),
        .shared_bytes = atomic_load_explicit(&host->counters.shared_bytes, memory_order_relaxed),
        .shared_files = atomic_load_explicit(&host->counters.shared_files, memory_order_relaxed),
    };
}
