#include "drivers/process.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "drivers/log_file.h"
#include "drivers/process_spawn.h"
#include "drivers/report_reader.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum { LOG_BYTES_MAX = 10 * 1024 * 1024, LOGS_KEPT = 3, EVENTS_AT_ONCE = 32, READ_BYTES = 64 * 1024 };

/* What epoll watches of a node. */
enum source { SOURCE_REPORT, SOURCE_OUTPUT, SOURCE_PROCESS, SOURCE_RUNTIME, SOURCE_COUNT };

struct process_node;

struct watch {
    struct process_node *node;
    int fd; /* -1: not watched */
};

struct process_node {
    struct list_node link;
    struct process_driver *driver;
    char *name;
    char *folder;
    pid_t pid;
    struct watch watches[SOURCE_COUNT];
    struct report_reader reader;
    struct log_file log;
    uint64_t runtime_uid; /* of the runtime that lives now; 0: none */
    bool has_ended;       /* the node process is reaped */
    int exit_code, signal;
};

struct process_driver {
    struct driver driver;
    struct process_driver_config config; /* its strings are ours */
    int epoll_fd;
    struct list nodes;
    struct list gone; /* told, to be freed when no event of this round can name them */
};

static struct process_driver *process_driver_of(struct driver *driver)
{
    return (struct process_driver *)(void *)driver;
}

static struct process_node *find(struct process_driver *driver, const char *name)
{
    list_for_each (node, &driver->nodes, struct process_node, link) {
        if (text_equal(node->name, name))
            return node;
    }
    return NULL;
}

static void unwatch(struct process_node *node, enum source source)
{
    struct watch *watch = &node->watches[source];
    if (watch->fd < 0)
        return;
    (void)epoll_ctl(node->driver->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    (void)close(watch->fd);
    watch->fd = -1;
}

/* Takes fd. */
static int watch_take(struct process_node *node, enum source source, int fd, struct err *err)
{
    struct watch *watch = &node->watches[source];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    unwatch(node, source);
    watch->fd = fd;
    if (epoll_ctl(node->driver->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_set_errno(err, errno, "watch node \"%s\"", node->name);
    return 0;
}

static void node_free(struct process_node *node)
{
    list_remove(&node->link);
    for (int source = 0; source < SOURCE_COUNT; source++)
        unwatch(node, (enum source)source);
    report_reader_done(&node->reader);
    log_file_done(&node->log);
    free(node->name);
    free(node->folder);
    free(node);
}

static void tell(struct process_node *node, struct driver_event event)
{
    event.name = node->name;
    event.unit = event.unit ? event.unit : "";
    event.actor = event.actor ? event.actor : "";
    event.backtrace = event.backtrace ? event.backtrace : "";
    node->driver->config.listener(&event, node->driver->config.ctx);
}

static void runtime_is_dead(struct process_node *node, struct driver_event event)
{
    unwatch(node, SOURCE_RUNTIME);
    if (event.node_uid == node->runtime_uid)
        node->runtime_uid = 0;
    event.kind = DRIVER_RUNTIME_EXITED;
    tell(node, event);
}

static void take_report(const struct report_line *line, void *ctx)
{
    struct process_node *node = ctx;
    if (line->is_exit) {
        runtime_is_dead(node, (struct driver_event){.node_uid = line->node_uid,
                                  .exit_code = line->exit_code,
                                  .signal = line->signal,
                                  .unit = line->unit,
                                  .actor = line->actor,
                                  .backtrace = line->backtrace});
        return;
    }
    node->runtime_uid = line->node_uid;
    /* The pidfd matters only when the parent dies without a word. A runtime that is reaped already has none:
     * its exit is the parent's next line. */
    int fd = line->pid > 0 ? pidfd_open(line->pid, 0) : -1;
    if (fd >= 0)
        (void)watch_take(
            node, SOURCE_RUNTIME, fd, NULL); /* without it, the end of the parent counts as its end */
    tell(node,
        (struct driver_event){.kind = DRIVER_RUNTIME_STARTED, .node_uid = line->node_uid, .pid = line->pid});
}

static void read_report(struct process_node *node)
{
    char data[4096];
    for (;;) {
        ssize_t size = read(node->watches[SOURCE_REPORT].fd, data, sizeof(data));
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            unwatch(node, SOURCE_REPORT);
            return;
        }
        report_reader_feed(&node->reader, data, (size_t)size, take_report, node);
    }
}

/* Bounded by what a pipe holds, so that a chatty node does not keep the others waiting. */
static void read_output(struct process_node *node)
{
    static _Thread_local char data[READ_BYTES];
    for (size_t total = 0; total < 16 * sizeof(data);) {
        ssize_t size = read(node->watches[SOURCE_OUTPUT].fd, data, sizeof(data));
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            unwatch(node, SOURCE_OUTPUT);
            return;
        }
        log_file_write(&node->log, data, (size_t)size);
        total += (size_t)size;
    }
}

/* The node process has ended and so has its last runtime: everything it said was read before. */
static void tell_gone(struct process_node *node)
{
    if (node->watches[SOURCE_OUTPUT].fd >= 0)
        read_output(node);
    tell(node, (struct driver_event){.kind = DRIVER_NODE_GONE,
                   .pid = node->pid,
                   .exit_code = node->exit_code,
                   .signal = node->signal});
    list_remove(&node->link);
    list_push_back(&node->driver->gone, &node->link);
    for (int source = 0; source < SOURCE_COUNT; source++)
        unwatch(node, (enum source)source);
}

static void process_ended(struct process_node *node)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)node->watches[SOURCE_PROCESS].fd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid == 0)
        return;
    node->has_ended = true;
    node->exit_code = info.si_code == CLD_EXITED ? info.si_status : 0;
    node->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
    unwatch(node, SOURCE_PROCESS);
    if (node->watches[SOURCE_REPORT].fd >= 0)
        read_report(node);
    if (node->watches[SOURCE_RUNTIME].fd >= 0) {
        /* The kernel kills an orphaned runtime; this makes it certain, and its pidfd tells when it is done.
         */
        (void)pidfd_send_signal(node->watches[SOURCE_RUNTIME].fd, SIGKILL, NULL, 0);
        return;
    }
    if (node->runtime_uid)
        runtime_is_dead(node, (struct driver_event){.node_uid = node->runtime_uid, .signal = SIGKILL});
    tell_gone(node);
}

/* The parent tells how its runtime ended; we only speak for one that has no parent any more. */
static void runtime_ended(struct process_node *node)
{
    if (!node->has_ended) {
        unwatch(node, SOURCE_RUNTIME);
        return;
    }
    runtime_is_dead(node, (struct driver_event){.node_uid = node->runtime_uid, .signal = SIGKILL});
    tell_gone(node);
}

static void handle(struct watch *watch)
{
    struct process_node *node = watch->node;
    if (watch->fd < 0)
        return;
    switch ((enum source)(watch - node->watches)) {
    case SOURCE_REPORT: read_report(node); break;
    case SOURCE_OUTPUT: read_output(node); break;
    case SOURCE_PROCESS: process_ended(node); break;
    case SOURCE_RUNTIME: runtime_ended(node); break;
    case SOURCE_COUNT: break;
    }
}

static void free_gone(struct process_driver *driver)
{
    list_for_each_safe (node, &driver->gone, struct process_node, link)
        node_free(node);
}

static void process_dispatch(struct driver *base)
{
    struct process_driver *driver = process_driver_of(base);
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(driver->epoll_fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr);
    free_gone(driver);
}

static int process_fd(struct driver *driver)
{
    return process_driver_of(driver)->epoll_fd;
}

static char *node_folder(struct process_driver *driver, const char *name)
{
    size_t prefix = strlen(driver->config.system);
    if (text_starts_with(name, driver->config.system) && text_starts_with(name + prefix, "-nodes-"))
        name += prefix + strlen("-nodes-");
    return xasprintf("%s/nodes/%s", driver->config.folder, name);
}

static int open_log(struct process_driver *driver, struct process_node *node, struct err *err)
{
    _cleanup_(cleanup_free) char *folder = xasprintf("%s/logs", driver->config.folder);
    _cleanup_(cleanup_free) char *path = xasprintf("%s/%s.log", folder, node->name);
    if (file_make_folder(folder, 0700, err) < 0)
        return -1;
    return log_file_open(&node->log, path, LOG_BYTES_MAX, LOGS_KEPT, err);
}

static int process_create(struct driver *base, const struct driver_node *wanted, struct err *err)
{
    struct process_driver *driver = process_driver_of(base);
    struct process_spawned spawned;
    if (find(driver, wanted->name))
        return err_set(err, ERR_CONFLICT, "node \"%s\" runs already", wanted->name);
    struct process_node *node = xcalloc(1, sizeof(*node));
    for (int source = 0; source < SOURCE_COUNT; source++)
        node->watches[source] = (struct watch){node, -1};
    node->driver = driver;
    node->log.fd = -1;
    node->name = xstrdup(wanted->name);
    node->folder = node_folder(driver, wanted->name);
    report_reader_init(&node->reader);
    /* What a former run left there is in the way of the new sockets. */
    if (file_remove_tree(node->folder, err) < 0 || file_make_folder(node->folder, 0700, err) < 0 ||
        open_log(driver, node, err) < 0 ||
        process_spawn(&driver->config, wanted, node->folder, &spawned, err) < 0) {
        node_free(node);
        return -1;
    }
    node->pid = spawned.pid;
    list_push_back(&driver->nodes, &node->link);
    int failed = watch_take(node, SOURCE_PROCESS, spawned.pid_fd, err);
    failed |= watch_take(node, SOURCE_REPORT, spawned.report_fd, failed ? NULL : err);
    failed |= watch_take(node, SOURCE_OUTPUT, spawned.output_fd, failed ? NULL : err);
    if (failed) {
        (void)kill(spawned.pid, SIGKILL);
        (void)waitpid(spawned.pid, NULL, 0);
        node_free(node);
        return -1;
    }
    return 0;
}

static void kill_node(struct process_node *node)
{
    /* First the process that would start another runtime. */
    if (node->watches[SOURCE_PROCESS].fd >= 0)
        (void)pidfd_send_signal(node->watches[SOURCE_PROCESS].fd, SIGKILL, NULL, 0);
    if (node->watches[SOURCE_RUNTIME].fd >= 0)
        (void)pidfd_send_signal(node->watches[SOURCE_RUNTIME].fd, SIGKILL, NULL, 0);
}

static int process_remove(struct driver *base, const char *name, enum driver_removal how, struct err *err)
{
    struct process_node *node = find(process_driver_of(base), name);
    if (!node)
        return err_set(err, ERR_NOT_FOUND, "node \"%s\" does not run", name);
    if (how == DRIVER_KILL)
        kill_node(node);
    else if (node->watches[SOURCE_PROCESS].fd >= 0)
        (void)pidfd_send_signal(node->watches[SOURCE_PROCESS].fd, SIGTERM, NULL, 0);
    return 0;
}

static char *process_control_address(struct driver *base, const char *name)
{
    _cleanup_(cleanup_free) char *folder = node_folder(process_driver_of(base), name);
    return xasprintf("unix:%s/control.sock", folder);
}

static void process_free(struct driver *base)
{
    struct process_driver *driver = process_driver_of(base);
    list_for_each (node, &driver->nodes, struct process_node, link)
        kill_node(node);
    /* After SIGKILL the kernel owes us their ends; without this wait a process could outlive the run. */
    while (!list_is_empty(&driver->nodes)) {
        struct pollfd wait = {.fd = driver->epoll_fd, .events = POLLIN};
        if (poll(&wait, 1, 5000) == 0)
            break; /* stuck in the kernel, e.g. on a dead network file system: nothing more can be done */
        process_dispatch(base);
    }
    list_for_each_safe (node, &driver->nodes, struct process_node, link)
        node_free(node);
    free_gone(driver);
    if (driver->epoll_fd >= 0)
        (void)close(driver->epoll_fd);
    free((char *)(uintptr_t)driver->config.program);
    free((char *)(uintptr_t)driver->config.folder);
    free((char *)(uintptr_t)driver->config.system);
    free((char *)(uintptr_t)driver->config.system_uid);
    free((char *)(uintptr_t)driver->config.credential);
    free((char *)(uintptr_t)driver->config.code_folders);
    free(driver);
}

int process_driver_new(
    const struct process_driver_config *config, struct driver **ret_driver, struct err *err)
{
    if (access(config->program, X_OK) < 0)
        return err_set_errno(err, errno, "node program \"%s\"", config->program);
    struct process_driver *driver = xcalloc(1, sizeof(*driver));
    driver->driver = (struct driver){
        .create = process_create,
        .remove = process_remove,
        .control_address = process_control_address,
        .fd = process_fd,
        .dispatch = process_dispatch,
        .free = process_free,
    };
    driver->config = (struct process_driver_config){
        .program = xstrdup(config->program),
        .folder = xstrdup(config->folder),
        .system = xstrdup(config->system),
        .system_uid = xstrdup(config->system_uid),
        .credential = xstrdup(config->credential),
        .code_folders = xstrdup(config->code_folders),
        .listener = config->listener,
        .ctx = config->ctx,
    };
    list_init(&driver->nodes);
    list_init(&driver->gone);
    driver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (driver->epoll_fd < 0) {
        int number = errno;
        process_free(&driver->driver);
        return err_set_errno(err, number, "watch node processes");
    }
    *ret_driver = &driver->driver;
    return 0;
}
