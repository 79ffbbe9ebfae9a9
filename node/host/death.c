/* A process is gone: what it was doing is answered, what it had not begun goes to the next incarnations, and
 * each of its actors ends with a reason that says what happened. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/private.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* Late: when it has ended, and who tells how waits for a core, as on a busy machine. */
enum { STATUS_WAIT_MS = 250, LATE_STATUS_WAIT_MS = 5000, READS_MAX = 1024 };

/* ---- what happened ---- */

struct verdict {
    char reason[REASON_BYTES];
    const struct proxy *executing;    /* as the page says; NULL: nobody's */
    char culprit[REASON_PLACE_BYTES]; /* path of an actor that was executing; "": nobody was */
    bool is_start;                    /* no actor has ever run in it */
    bool is_charged_to_all;
    char *stack; /* of the fault, as faulthandler wrote it; "": none */
};

static void find_reason(struct process *process, struct verdict *verdict)
{
    struct host *host = process->host;
    char *trace = xmalloc(TRACE_BYTES + 1);
    trace[0] = 0;
    if (process->page.trace_fd >= 0)
        trace_read(process, trace);
    uint64_t kills = looks_out_of_memory_kills();
    struct reason_facts facts = {.has_status = process->has_status,
        .status = process->status,
        .is_out_of_memory = kills > host->out_of_memory_kills,
        .killed = process->killed[0] ? process->killed : NULL,
        .trace = trace};
    host->out_of_memory_kills = kills;
    reason_write(&facts, verdict->reason, sizeof(verdict->reason));
    verdict->stack = xstrdup(reason_stack(trace, STACK_BYTES - 1));
    free(trace);
}

const char *death_stack(const struct host *host, uint64_t actor)
{
    for (size_t i = 0; i < RECENT_STACKS; i++)
        if (host->recent_stacks[i].actor == actor && host->recent_stacks[i].stack)
            return host->recent_stacks[i].stack;
    return "";
}

void death_remember_stack(struct host *host, uint64_t actor, const char *stack, size_t size)
{
    if (size == 0)
        return;
    struct recent_stack *place = &host->recent_stacks[host->next_stack++ % RECENT_STACKS];
    free(place->stack);
    *place = (struct recent_stack){actor, xstrndup(stack, size < STACK_BYTES ? size : STACK_BYTES - 1)};
}

static void path_of(struct host *host, const struct proxy *proxy, char *ret_path, size_t size)
{
    struct histrio_context ctx;
    if (hosted_enter(host->worker, proxy->id, &ctx))
        (void)snprintf(ret_path, size, "%s", *histrio_path(&ctx) ? histrio_path(&ctx) : "an actor"); /* cut */
}

static void judge(struct process *process, struct verdict *verdict)
{
    struct page_view page = {0};
    if (process->page.words)
        page_look(&process->page, &page);
    const struct proxy *culprit = deliveries_mark(process, &page);
    *verdict = (struct verdict){.executing = culprit,
        .is_start = process->state == PROCESS_DYING && !process->was_welcomed,
        .is_charged_to_all = !culprit && !process->others_are_free};
    find_reason(process, verdict);
    if (culprit && !process->others_are_free) /* else it was executing, and has done nothing wrong */
        path_of(process->host, culprit, verdict->culprit, sizeof(verdict->culprit));
}

/* ---- one actor ---- */

static void reason_of(const struct process *process, const struct verdict *verdict, bool was_executing,
    bool is_start, char *ret_reason, size_t size)
{
    if (was_executing)
        (void)snprintf(ret_reason, size, "%s%s", is_start ? "start failed: " : "", verdict->reason);
    else if (verdict->is_start)
        (void)snprintf(ret_reason, size, "no host process: %s%s%s", verdict->reason,
            process->last_line[0] ? ": " : "", process->last_line);
    else if (verdict->culprit[0])
        (void)snprintf(
            ret_reason, size, "host process ended: %.*s in %s", 120, verdict->reason, verdict->culprit);
    else
        (void)snprintf(ret_reason, size, "host process ended: %s", verdict->reason);
}

static void end_actor(struct process *process, struct proxy *proxy, const struct verdict *verdict)
{
    struct histrio_context ctx;
    char reason[REASON_BYTES * 2]; /* the runtime cuts it */
    bool is_alive = hosted_enter(process->host->worker, proxy->id, &ctx);
    bool is_starting = proxy->state == PROXY_STARTING;
    if (!is_alive) { /* only while its own stop function runs */
        proxy_detach(proxy);
        return;
    }
    bool was_executing =
        deliveries_settle(&ctx, proxy, verdict->reason, verdict->stack) > 0 || proxy == verdict->executing;
    if (was_executing)
        death_remember_stack(process->host, proxy->id, verdict->stack, strlen(verdict->stack));
    reason_of(
        process, verdict, was_executing && !process->others_are_free, is_starting, reason, sizeof(reason));
    if (proxy->stop_reason)
        (void)snprintf(reason, sizeof(reason), "%s", proxy->stop_reason); /* it was on its way out */
    reason[REASON_BYTES - 1] = 0;
    proxy->state = PROXY_OVER;
    requests_cancel_all(&ctx, proxy);
    proxy_detach(proxy);
    proxy_end(
        &ctx, proxy, reason, process->others_are_free || (!was_executing && !verdict->is_charged_to_all));
}

/* ---- the process ---- */

static void log_end(const struct process *process, const struct verdict *verdict)
{
    if (process->was_told_to_end || (process->is_script && !process->is_hostile))
        return;
    log_event(LOG_WARNING, "a worker process ended", "process", log_number(process->number), "pid",
        log_number(process->pid), "reason", verdict->reason, "actor",
        verdict->culprit[0] ? verdict->culprit : NULL, "actors", log_number(process->proxy_count), NULL);
}

void death_settle(struct process *process)
{
    struct host *host = process->host;
    struct verdict verdict;
    if (!process->has_status)
        process_send_signal(process, SIGKILL); /* it closed its socket, and may go on */
    if (process->output.fd >= 0)
        output_ready(host, &process->output, 0); /* its last words */
    judge(process, &verdict);
    log_end(process, &verdict);
    if (process->is_spare && !process->was_told_to_end) {
        processes_lose_spare(process);
    } else if (!process->was_told_to_end && !process->is_script) {
        HOST_COUNT(host->counters.lost, 1);
        int64_t now_ms = clock_now_ms(clock_system());
        if (!process->has_started_one && !process->others_are_free)
            host->start_not_before_ns =
                (now_ms + backoff_next(&host->start_backoff, now_ms, NULL)) * NS_PER_MS;
    }
    while (!list_is_empty(&process->proxies))
        end_actor(process, list_first_entry(&process->proxies, struct proxy, node), &verdict);
    free(verdict.stack);
    if (process->is_script) {
        host->script = NULL;
        if (host->script_ended)
            host->script_ended(host->ctx);
    }
    processes_forget(process);
}

static void read_rest(struct process *process)
{
    int left = 0;
    for (unsigned i = 0; i < READS_MAX && process->socket.fd >= 0; i++)
        if (ioctl(process->socket.fd, FIONREAD, &left) < 0 || left == 0 || !process_read(process))
            return;
}

void death_closed(struct process *process)
{
    if (process->state == PROCESS_DYING)
        return;
    process->was_welcomed = process->state == PROCESS_RUNNING;
    process->state = PROCESS_DYING;
    list_remove(&process->dirty);
    host_unwatch(process->host, &process->socket);
    list_for_each (proxy, &process->proxies, struct proxy, node) {
        struct histrio_context ctx;
        proxy->is_paused = true;
        if (hosted_enter(process->host->worker, proxy->id, &ctx))
            hosted_pause(&ctx, true);
    }
    process->deadline_ns = clock_now_ns(clock_system()) + STATUS_WAIT_MS * NS_PER_MS;
    /* How it ended is worth a moment's wait, which a process that never was one has not to tell. One that
     * said HELLO is one, also when its zygote has not said yet that it forked. */
    bool never_was = process->pid == 0 && !process->was_welcomed;
    if (process->has_status || process->is_script || process->is_orphan || never_was)
        death_settle(process);
}

/* Somebody will, and it is not known already. */
static bool will_be_told(const struct process *process)
{
    struct pollfd ended = {.fd = process->pid_fd, .events = POLLIN};
    if ((!process->zygote && !process->is_c) || process->was_told_to_end || process->killed[0])
        return false;
    if (process->pid_fd < 0) /* its zygote has not said yet that it forked, or it was gone by then */
        return process->pid == 0 || kill(process->pid, 0) < 0;
    return poll(&ended, 1, 0) > 0;
}

void death_look(struct process *process, int64_t now_ns)
{
    int64_t late_ns = now_ns - process->deadline_ns;
    if (process->host->is_suspended)
        return; /* what was told meanwhile has not been read */
    if (late_ns > LATE_STATUS_WAIT_MS * NS_PER_MS || (late_ns > 0 && !will_be_told(process)))
        death_settle(process);
}

void death_told(struct process *process, int status)
{
    process->has_status = true;
    process->status = status;
    if (process->state != PROCESS_DYING) {
        read_rest(process); /* a child of it may hold the socket open for ever */
        if (process->state != PROCESS_DYING)
            death_closed(process);
    } else {
        death_settle(process);
    }
}
