/* Looks at processes now and then: handlers that do not return, memory, waits that are over. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "host/private.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LOOK_MS = 50,
    MEMORY_LOOK_MS = 500,
    STUCK_DEFAULT_MS = 10 * 1000, /* as for handlers in the node */
    STACK_WAIT_MS = 100,          /* from the signal until the stack is read */
};

/* ---- small files of the kernel ---- */

static bool read_small(const char *path, char *ret_text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, ret_text, size - 1);
    (void)close(fd); /* only read */
    ret_text[got > 0 ? got : 0] = 0;
    return got > 0;
}

/* A file of our control group. */
static bool read_of_group(const char *name, char *ret_text, size_t size)
{
    char own[512], path[600];
    if (!read_small("/proc/self/cgroup", own, sizeof(own)))
        return false;
    const char *group = strstr(own, "0::");
    if (!group)
        return false;
    (void)snprintf(
        path, sizeof(path), "/sys/fs/cgroup%.*s/%s", (int)strcspn(group + 3, "\n"), group + 3, name);
    return read_small(path, ret_text, size);
}

uint64_t looks_memory_max(void)
{
    char text[64];
    unsigned long long bytes;
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return read_of_group("memory.max", text, sizeof(text)) && sscanf(text, "%20llu", &bytes) == 1 &&
                   bytes < memory
               ? bytes
               : memory;
}

uint64_t looks_out_of_memory_kills(void)
{
    char events[512];
    unsigned long long kills = 0;
    if (!read_of_group("memory.events", events, sizeof(events)))
        return 0;
    const char *line = strstr(events, "oom_kill ");
    return line && sscanf(line, "oom_kill %20llu", &kills) == 1 ? kills : 0;
}

static uint64_t resident_bytes(pid_t pid)
{
    char path[64], text[128];
    unsigned long long pages = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (!read_small(path, text, sizeof(text)) || sscanf(text, "%*20u %20llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- handlers ---- */

/* What is on the stack of the process, for a line of the log. */
static void describe(struct process *process, const struct page_view *page, char *ret_path, size_t path_size,
    char *ret_method, size_t method_size)
{
    const struct delivery *delivery = delivery_find(process, page->executing);
    struct histrio_context ctx;
    ret_path[0] = ret_method[0] = 0;
    for (size_t i = 0; i < PAGE_ENTRIES && !delivery;
         i++) /* the event loop's: one of those that have begun */
        delivery = delivery_find(process, page->entries[i]);
    if (!delivery || !hosted_enter(process->host->worker, delivery->proxy->id, &ctx))
        return;
    (void)snprintf(ret_path, path_size, "%s", histrio_path(&ctx)); /* cut */
    (void)snprintf(ret_method, method_size, "%s", histrio_type_name(delivery->method));
}

static void log_stack(struct process *process, const struct page_view *page, int64_t now_ns)
{
    char path[256], method[160], place[REASON_PLACE_BYTES];
    char *trace = xmalloc(TRACE_BYTES + 1);
    describe(process, page, path, sizeof(path), method, sizeof(method));
    trace_read(process, trace);
    log_event(LOG_WARNING, "a handler runs for long", "actor", path, "type", method, "runningMs",
        log_number((now_ns - (int64_t)page->busy_since_ns) / NS_PER_MS), "place",
        reason_place(trace, place, sizeof(place)) ? place : NULL, "stack", trace, NULL);
    free(trace);
}

/* Once for each handler: first its stack is asked for, then it is read, then the process is killed, if the
 * app wants that. */
static void look_at_handler(struct process *process, int64_t now_ns)
{
    uint32_t limit_ms = app_limits(process->host->app, process->is_c)->handler_timeout_ms;
    int64_t stuck_ns = (limit_ms ? limit_ms : STUCK_DEFAULT_MS) * NS_PER_MS;
    struct page_view page;
    if (!process->page.words || process->killed[0])
        return;
    page_look(&process->page, &page);
    int64_t running_ns = now_ns - (int64_t)page.busy_since_ns;
    if (page.busy_since_ns == 0 || running_ns < stuck_ns) {
        process->stuck_since_ns = 0;
        return;
    }
    if (process->stuck_since_ns != page.busy_since_ns) {
        process->stuck_since_ns = page.busy_since_ns;
        process->stack_wanted_ns = now_ns;
        page_clear_trace(&process->page);
        process_send_signal(process, SIGUSR1);
    } else if (process->stack_wanted_ns != 0 &&
               now_ns - process->stack_wanted_ns > STACK_WAIT_MS * NS_PER_MS) {
        process->stack_wanted_ns = 0;
        log_stack(process, &page, now_ns);
        if (limit_ms)
            process_kill(process, "timeout");
    }
}

/* ---- memory ---- */

void looks_limit_memory(struct process *process)
{
    uint64_t bytes = app_limits(process->host->app, process->is_c)->memory_bytes_max;
    if (bytes == 0)
        return;
    if (process->is_c)
        bytes *=
            2; /* code in C seldom survives that memory is refused: the watch shall come first, and say why */
    /* Where the interpreter can still say MemoryError, it should. The other half of the check is what is
     * really used: look_at_memory(). */
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    (void)prlimit(process->pid, RLIMIT_DATA, &limit, NULL); /* it may be gone */
}

static void look_at_memory(struct process *process)
{
    uint64_t limit = app_limits(process->host->app, process->is_c)->memory_bytes_max;
    if (limit == 0 || process->pid == 0 || process->killed[0])
        return;
    uint64_t used = resident_bytes(process->pid);
    if (used <= limit)
        return;
    char why[REASON_PLACE_BYTES];
    (void)snprintf(why, sizeof(why), "memory %llu MiB of %llu MiB", (unsigned long long)(used >> 20),
        (unsigned long long)(limit >> 20));
    process_kill(process, why);
}

/* ---- all ---- */

static void look_at(struct process *process, int64_t now_ns, bool with_memory)
{
    switch (process->state) {
    case PROCESS_WANTED: break;
    case PROCESS_FORKING:
        if (now_ns > process->deadline_ns)
            process_kill(process, "said nothing after its start");
        break;
    case PROCESS_RUNNING:
        if (process->is_script)
            break;
        look_at_handler(process, now_ns);
        if (with_memory)
            look_at_memory(process);
        break;
    case PROCESS_DYING: death_look(process, now_ns); break;
    }
}

void looks_fire(struct worker *worker, struct timer *timer)
{
    struct host *host = list_entry(timer, struct host, timer);
    int64_t now_ns = clock_now_ns(clock_system());
    bool with_memory = now_ns > host->next_memory_look_ns;
    if (with_memory)
        host->next_memory_look_ns = now_ns + MEMORY_LOOK_MS * NS_PER_MS;
    VEC(uint32_t) numbers = {0}; /* what is done to one may end another */
    list_for_each (process, &host->processes, struct process, node)
        vec_push(&numbers, process->number);
    vec_for_each (number, &numbers) {
        struct process *process = processes_find(host, *number);
        if (process)
            look_at(process, now_ns, with_memory);
    }
    vec_done(&numbers);
    zygote_look(host, now_ns);
    processes_go_on(host);
    host->timer_runs = host->process_count > 0 || host->zygote;
    if (host->timer_runs)
        wheel_start(&worker->wheel, &host->timer, worker_now(worker) + LOOK_MS * NS_PER_MS, looks_fire);
}

void looks_start(struct host *host)
{
    if (host->timer_runs || !host->worker)
        return; /* the first poll comes back */
    host->timer_runs = true;
    wheel_start(
        &host->worker->wheel, &host->timer, worker_now(host->worker) + LOOK_MS * NS_PER_MS, looks_fire);
}
