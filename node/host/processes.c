/* Which process an actor gets, and when processes begin and end. */
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/value.h"
#include "host/private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DISMISSED_WAIT_MS = 5000 };
/* HELLO comes after imports that the zygote could not do, on a machine that may be busy. */
enum { HELLO_WAIT_MS = 120 * 1000 };

/* ---- choice ---- */

static bool is_open(const struct process *process)
{
    return process->state != PROCESS_DYING && !process->killed[0] && !process->is_script &&
           process->generation == process->host->generation && process->proxy_count < LIMIT_HOST_ACTORS;
}

/* The one with the fewest actors; NULL when a further process may be made that would have none. */
static struct process *find_shared(struct host *host, bool is_c)
{
    struct process *least = NULL;
    unsigned count = 0;
    list_for_each (process, &host->processes, struct process, node) {
        if (process->isolation != ACTOR_ISOLATION_SHARED || process->is_c != is_c || !is_open(process))
            continue;
        count++;
        if (!least || process->proxy_count < least->proxy_count)
            least = process;
    }
    return count < app_limits(host->app, is_c)->workers && least && least->proxy_count > 0 ? NULL : least;
}

static struct process *find_group(struct host *host, bool is_c, const char *unit)
{
    list_for_each (process, &host->processes, struct process, node)
        if (process->isolation == ACTOR_ISOLATION_GROUP && process->is_c == is_c && is_open(process) &&
            strcmp(process->group, unit) == 0)
            return process;
    return NULL;
}

/* The one of who spawns just now; NULL: a restart, or it is of another language. */
static struct process *find_spawner(struct host *host, bool is_c)
{
    struct process *process = host->spawning ? host->spawning->process : NULL;
    return process && process->is_c == is_c && is_open(process) ? process : NULL;
}

static struct process *find_process(
    struct host *host, struct histrio_context *ctx, const struct actor_child_spec *spec)
{
    switch (spec->isolation) {
    case ACTOR_ISOLATION_NODE:
    case ACTOR_ISOLATION_SHARED: return find_shared(host, child_is_in_c(spec));
    case ACTOR_ISOLATION_GROUP: return find_group(host, child_is_in_c(spec), histrio_unit(ctx));
    case ACTOR_ISOLATION_SPAWNER: return find_spawner(host, child_is_in_c(spec));
    case ACTOR_ISOLATION_PROCESS: break;
    }
    return NULL;
}

static void set_spare(struct host *host, struct process *process)
{
    host->spare = process;
    atomic_store_explicit(&host->counters.spares, process != NULL, memory_order_relaxed);
}

static struct process *usable_spare(struct host *host)
{
    return host->spare && is_open(host->spare) ? host->spare : NULL;
}

/* The spare one, else a new one. */
static struct process *for_actor(
    struct host *host, struct histrio_context *ctx, const struct actor_child_spec *spec)
{
    bool is_c = child_is_in_c(spec);
    struct process *process = is_c ? NULL : usable_spare(host); /* which a zygote forked */
    if (process)
        set_spare(host, NULL);
    else
        process = process_new(host);
    process->is_spare = false;
    process->is_c = is_c;
    process->isolation = spec->isolation == ACTOR_ISOLATION_NODE ? ACTOR_ISOLATION_SHARED : spec->isolation;
    process->group = process->isolation == ACTOR_ISOLATION_GROUP ? xstrdup(histrio_unit(ctx)) : NULL;
    HOST_COUNT(host->counters.processes, 1);
    HOST_COUNT(host->counters.started, 1);
    return process;
}

static struct process *make_process(struct host *host, struct histrio_context *ctx,
    const struct actor_child_spec *spec, char *ret_why, size_t size)
{
    int64_t now_ns = clock_now_ns(clock_system());
    bool is_c = child_is_in_c(spec);
    if (!is_c && host->zygote_why[0] && now_ns < host->zygote_not_before_ns) {
        (void)snprintf(ret_why, size, "%s", host->zygote_why);
        return NULL;
    }
    if (host->process_count >= LIMIT_HOST_PROCESSES && (is_c || !usable_spare(host))) {
        (void)snprintf(ret_why, size, "this node has %d worker processes already", LIMIT_HOST_PROCESSES);
        return NULL;
    }
    return for_actor(host, ctx, spec);
}

static void welcome(struct process *process)
{
    const struct host *host = process->host;
    struct str text = STR_INIT(4096);
    value_put_map(&text, 7);
    value_put_string(&text, "tracebacks");
    value_put_bool(&text, true);
    value_put_string(&text, "protocol");
    value_put_uint(&text, FRAME_PROTOCOL);
    value_put_string(&text, "system");
    value_put_string(&text, host->system);
    value_put_string(&text, "node");
    value_put_string(&text, host->node);
    value_put_string(&text, "worker");
    value_put_uint(&text, process->number);
    value_put_string(&text, "value_bytes_max");
    value_put_uint(&text, LIMIT_VALUE_BYTES);
    value_put_string(&text, "node_uid");
    value_put_uint(&text, host->node_uid);
    struct frame frame = {.kind = FRAME_WELCOME};
    process_append(process, &frame, text.data, text.size);
    str_done(&text);
}

bool processes_place(
    struct host *host, struct histrio_context *ctx, struct proxy *proxy, char *ret_why, size_t size)
{
    struct process *process;
    host_attach(host, ctx->worker);
    (void)host_take_app(host); /* this actor may be the first that is of it */
    if (strcmp(proxy->spec->behavior, HOST_SCRIPT_BEHAVIOR) == 0) {
        process = host->script && host->script->proxy_count == 0 ? host->script : NULL;
        if (!process)
            (void)snprintf(ret_why, size, "this node has no script");
    } else {
        process = find_process(host, ctx, proxy->spec);
        if (!process)
            process = make_process(host, ctx, proxy->spec, ret_why, size);
    }
    if (!process)
        return false;
    list_push_back(&process->proxies, &proxy->node);
    process->proxy_count++;
    proxy->process = process;
    if (process->state == PROCESS_RUNNING) {
        if (process->is_script)
            welcome(process);
        proxy_start_in(proxy, process);
        process_flush(process); /* before the next spare one takes time */
    }
    processes_go_on(host);
    return true;
}

struct process *processes_find(struct host *host, uint32_t number)
{
    list_for_each (process, &host->processes, struct process, node)
        if (process->number == number)
            return process;
    return NULL;
}

/* ---- beginning ---- */

static void start_one(struct host *host, struct process *process)
{
    struct err err = {0};
    int remote[HOST_REMOTE_FDS] = {-1, -1, -1, -1};
    bool done = process_make_descriptors(process, remote, &err) == 0 &&
                (process->is_c ? cprocess_start(process, remote, &err)
                               : zygote_fork(host->zygote, process, remote, &err)) == 0;
    if (remote[0] >= 0)
        (void)close(remote[0]); /* whoever got it has its own */
    if (remote[3] >= 0)
        (void)close(remote[3]);
    if (!process->is_c) {
        process->zygote = host->zygote;
        process->zygote->process_count++;
    }
    process->state = PROCESS_FORKING;
    process->deadline_ns = clock_now_ns(clock_system()) + HELLO_WAIT_MS * NS_PER_MS;
    if (done)
        process_connect(process);
    else
        process_kill(process, err.text);
    if (process->killed[0])
        death_closed(process);
}

static struct process *find_wanted(struct host *host, bool is_c)
{
    list_for_each (process, &host->processes, struct process, node)
        if (process->state == PROCESS_WANTED && process->is_c == is_c)
            return process;
    return NULL;
}

/* One process is ready for the next actor, whatever its isolation, from the first on that the zygote was
 * started for. Executed ones share no memory with it: they are too large to wait for nothing. */
static void keep_spare(struct host *host)
{
    const struct zygote *zygote = host->zygote;
    if (host->spare || !zygote || zygote->state != ZYGOTE_READY || !zygote->forks ||
        zygote->process_count == 0 || host->process_count >= LIMIT_HOST_PROCESSES ||
        clock_now_ns(clock_system()) < host->spare_not_before_ns)
        return;
    struct process *process = process_new(host);
    process->is_spare = true;
    set_spare(host, process);
    HOST_COUNT(host->counters.spares_started, 1);
    start_one(host, process);
}

void processes_lose_spare(struct process *process)
{
    struct host *host = process->host;
    int64_t now_ms = clock_now_ms(clock_system());
    set_spare(host, NULL);
    host->spare_not_before_ns = (now_ms + backoff_next(&host->spare_backoff, now_ms, NULL)) * NS_PER_MS;
}

void processes_go_on(struct host *host)
{
    if (host->is_over || clock_now_ns(clock_system()) < host->start_not_before_ns)
        return;
    for (struct process *process; (process = find_wanted(host, true));) /* each is no longer wanted then */
        start_one(host, process);
    for (struct process *process; (process = find_wanted(host, false));) { /* as above */
        if (!host->zygote || host->zygote->state != ZYGOTE_READY) {
            zygote_want(host);
            return; /* it comes back when it is ready, or refuses all */
        }
        start_one(host, process);
    }
    keep_spare(host);
}

void processes_hello(struct process *process)
{
    process->state = PROCESS_RUNNING;
    if (process->is_script && list_is_empty(&process->proxies))
        return; /* welcomed once its actor is there: what it sends next is from that */
    welcome(process);
    list_for_each (proxy, &process->proxies, struct proxy, node)
        if (proxy->state == PROXY_WAITING)
            proxy_start_in(proxy, process);
}

void processes_script(struct host *host, int fd)
{
    struct process *process = process_new(host);
    HOST_COUNT(host->counters.processes, 1);
    HOST_COUNT(host->counters.started, 1);
    process->is_script = true;
    process->socket.fd = fd;
    process->state = PROCESS_FORKING; /* its HELLO is to come */
    process->deadline_ns = INT64_MAX;
    host->script = process;
    process_connect(process);
}

/* ---- ending ---- */

void processes_forget(struct process *process)
{
    list_remove(&process->node);
    list_remove(&process->dirty);
    zygote_release(process);
    vec_push(&process->host->garbage, process); /* events of this round may still name it */
}

/* It has no actors any more and gets no new ones: a closed socket ends it. */
static void dismiss(struct process *process)
{
    struct host *host = process->host;
    process->was_told_to_end = true;
    if (process->is_spare)
        set_spare(host, NULL);
    if (process->state == PROCESS_WANTED) {
        processes_forget(process);
        return;
    }
    process_flush(process);
    process->state = PROCESS_DYING;
    list_remove(&process->dirty);
    host_unwatch(host, &process->socket);
    process->deadline_ns = clock_now_ns(clock_system()) + DISMISSED_WAIT_MS * NS_PER_MS;
}

void processes_left(struct process *process)
{
    bool is_kept =
        process->isolation == ACTOR_ISOLATION_SHARED && process->generation == process->host->generation;
    if (process->proxy_count == 0 && process->state != PROCESS_DYING && !process->is_script && !is_kept &&
        !process->host->is_over)
        dismiss(process);
}

void processes_configured(struct host *host)
{
    zygote_retire(host); /* the next one is of this app */
    list_for_each_safe (process, &host->processes, struct process, node) {
        if (process->state == PROCESS_WANTED)
            process->generation = host->generation;
        processes_left(process);
    }
    processes_go_on(host);
}

void processes_refuse(struct host *host, const char *why)
{
    for (struct process *process; (process = find_wanted(host, false));) { /* as above */
        process_kill(process, why);
        process->was_told_to_end = true; /* it never was one: nothing is lost */
        process->state = PROCESS_DYING;
        death_settle(process);
    }
}
