/* The process that imports an app's modules once, and forks worker processes. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "host/private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MESSAGE_BYTES_MAX = 64 * 1024,
    READY_WAIT_MS = 120 * 1000, /* imports may take their time */
    MESSAGES_IN_A_ROW = 64,
};

/* ---- its end ---- */

/* It is reaped. */
static void forget(struct zygote *zygote)
{
    struct host *host = zygote->host;
    host_unwatch(host, &zygote->socket);
    host_unwatch(host, &zygote->output);
    host_unwatch(host, &zygote->exit);
    zygote->state = ZYGOTE_OVER;
    list_remove(&zygote->node);
    if (host->zygote == zygote)
        host->zygote = NULL;
    vec_push(&host->zygote_garbage, zygote); /* events of this round may still name it */
}

static void kill_now(struct zygote *zygote)
{
    if (zygote->pid > 0) {
        (void)kill(zygote->pid, SIGKILL); /* ours, and not reaped yet */
        (void)waitpid(zygote->pid, NULL, 0);
    }
    forget(zygote);
}

void zygote_empty_garbage(struct host *host)
{
    vec_for_each (zygote, &host->zygote_garbage) {
        str_done(&(*zygote)->output_line);
        free(*zygote);
    }
    vec_clear(&host->zygote_garbage);
}

/* Its processes end with it, and nobody tells how. */
static void lose_processes(struct zygote *zygote)
{
    list_for_each (process, &zygote->host->processes, struct process, node) {
        if (process->zygote != zygote)
            continue;
        process->zygote = NULL;
        process->is_orphan = true;
        process->others_are_free = true;
        process_kill(process, "its zygote ended");
    }
}

void zygote_end_all(struct host *host)
{
    list_for_each (process, &host->processes, struct process, node)
        process->zygote = NULL;
    list_for_each_safe (zygote, &host->zygotes, struct zygote, node)
        kill_now(zygote);
    zygote_empty_garbage(host);
}

void zygote_release(struct process *process)
{
    struct zygote *zygote = process->zygote;
    process->zygote = NULL;
    if (zygote && --zygote->process_count == 0 && zygote != zygote->host->zygote)
        kill_now(zygote);
}

void zygote_retire(struct host *host)
{
    struct zygote *zygote = host->zygote;
    host->zygote = NULL;
    host->zygote_why[0] = 0;
    host->zygote_not_before_ns = 0;
    if (zygote && zygote->process_count == 0)
        kill_now(zygote);
}

/* It ended, or could not be started: `how` in words. */
static void failed(struct zygote *zygote, const char *how)
{
    struct host *host = zygote->host;
    bool was_ready = zygote->state == ZYGOTE_READY, is_present = host->zygote == zygote;
    int64_t now_ms = clock_now_ms(clock_system());
    char why[REASON_BYTES * 2];
    (void)snprintf(why, sizeof(why), "%s%s%s", how, zygote->last_line[0] ? ": " : "", zygote->last_line);
    why[REASON_BYTES - 1] = 0;
    log_event(LOG_ERROR, was_ready ? "the zygote ended" : "the zygote did not start", "error", why, NULL);
    forget(zygote);
    lose_processes(zygote);
    if (!is_present)
        return;
    host->zygote_not_before_ns = (now_ms + backoff_next(&host->zygote_backoff, now_ms, NULL)) * NS_PER_MS;
    if (was_ready)
        return; /* processes that are wanted wait for the next one */
    (void)snprintf(host->zygote_why, sizeof(host->zygote_why), "%.255s", why);
    processes_refuse(host, why);
}

static void exit_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct zygote *zygote = list_entry(watched, struct zygote, exit);
    int status = 0;
    (void)events;
    if (waitpid(zygote->pid, &status, WNOHANG) <= 0)
        return;
    if (zygote->output.fd >= 0)
        zygote->output.ready(host, &zygote->output, EPOLLIN); /* its last words */
    char end[64], how[REASON_BYTES];
    struct reason_facts facts = {.has_status = true, .status = status, .trace = ""};
    reason_write(&facts, end, sizeof(end));
    (void)snprintf(how, sizeof(how), "\"%.80s -P -m histrio._zygote\" ended with %s%s",
        host->app->interpreter, end,
        zygote->state == ZYGOTE_READY ? "" : " (needs Python with the package histrio)");
    failed(zygote, how);
}

/* ---- what it says ---- */

static void note_line(void *ctx, const char *text)
{
    struct zygote *zygote = ctx;
    (void)snprintf(zygote->last_line, sizeof(zygote->last_line), "%s", text); /* cut */
    log_event(LOG_INFO, text, "logger", "zygote", NULL);
}

static void zygote_output_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct zygote *zygote = list_entry(watched, struct zygote, output);
    (void)events;
    if (!output_read(watched->fd, &zygote->output_line, note_line, zygote))
        host_unwatch(host, watched);
}

static void copy_text(struct value map, const char *key, char *ret_text, size_t size)
{
    const char *text = "";
    size_t length = 0;
    (void)value_get_string(value_find(map, key), &text, &length); /* none: empty */
    (void)snprintf(ret_text, size, "%.*s", (int)length, text);
}

static void said_ready(struct zygote *zygote, struct value message)
{
    struct host *host = zygote->host;
    bool forks = true;
    char why[256];
    copy_text(message, "why", why, sizeof(why));
    if (value_get_bool(value_find(message, "forks"), &forks) && !forks)
        log_event(LOG_WARNING, "worker processes are executed anew, not forked", "why", why, NULL);
    zygote->state = ZYGOTE_READY;
    zygote->forks = forks;
    zygote->last_line[0] = 0;
    host->zygote_why[0] = 0;
    processes_go_on(host);
}

static void said_of_worker(struct zygote *zygote, struct value message, bool is_death)
{
    struct host *host = zygote->host;
    uint64_t number = 0, pid = 0;
    int64_t status = 0;
    if (!value_get_uint(value_find(message, "worker"), &number) || number > UINT32_MAX ||
        !value_get_uint(value_find(message, "pid"), &pid) || pid == 0 || pid > INT32_MAX)
        return;
    struct process *process = processes_find(host, (uint32_t)number);
    if (process && process->zygote != zygote)
        return;
    if (!is_death && process)
        process_remember_pid(process, (pid_t)pid);
    if (!is_death && (!process || process->state == PROCESS_DYING || process->killed[0]))
        (void)kill((pid_t)pid, SIGKILL); /* it came too late; the zygote has not reaped it, or just now */
    if (is_death && process && !process->is_script && value_get_int(value_find(message, "status"), &status))
        death_told(process, (int)status);
}

static void handle_message(struct zygote *zygote, struct value message)
{
    struct value kind = value_find(message, "kind");
    char why[256];
    if (value_is_string(kind, "ready")) {
        said_ready(zygote, message);
    } else if (value_is_string(kind, "forked")) {
        said_of_worker(zygote, message, false);
    } else if (value_is_string(kind, "died")) {
        said_of_worker(zygote, message, true);
    } else if (value_is_string(kind, "failed")) {
        copy_text(message, "why", why, sizeof(why));
        log_event(
            LOG_ERROR, "a module could not be imported before worker processes start", "error", why, NULL);
    }
}

static void socket_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct zygote *zygote = list_entry(watched, struct zygote, socket);
    uint8_t *data = xmalloc(MESSAGE_BYTES_MAX);
    (void)events;
    for (unsigned i = 0; i < MESSAGES_IN_A_ROW && watched->fd >= 0; i++) {
        ssize_t got = recv(watched->fd, data, MESSAGE_BYTES_MAX, MSG_DONTWAIT);
        if (got > 0) {
            handle_message(zygote, value_of(data, (size_t)got));
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            (void)kill(zygote->pid, SIGKILL); /* its end comes by its pidfd */
            host_unwatch(host, watched);
        }
        break;
    }
    free(data);
}

/* ---- its beginning ---- */

static void put_texts(struct str *text, const char *key, char *const *texts, size_t count)
{
    value_put_string(text, key);
    value_put_array(text, count);
    for (size_t i = 0; i < count; i++)
        value_put_string(text, texts[i]);
}

static int send_setup(struct zygote *zygote, struct err *err)
{
    const struct app *app = zygote->host->app;
    _cleanup_(str_done) struct str text = STR_INIT(MESSAGE_BYTES_MAX);
    value_put_map(&text, 4);
    value_put_string(&text, "kind");
    value_put_string(&text, "setup");
    put_texts(&text, "path", app->paths, app->path_count);
    put_texts(&text, "preload", app->preload, app->preload_count);
    value_put_string(&text, "script");
    value_put_string(&text, app->script); /* none: nil */
    if (str_check(&text, "the app's paths and modules", err) < 0)
        return -1;
    if (send(zygote->socket.fd, text.data, text.size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return err_set_errno(err, errno, "set up the zygote");
    return 0;
}

/* Descriptors above the one that the zygote gets, so that none is written over. */
static int above(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, INTERPRETER_FD + 1);
    (void)close(fd);
    return moved;
}

static int begin(struct zygote *zygote, struct err *err)
{
    struct host *host = zygote->host;
    int sockets[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return err_set_errno(err, errno, "socket pair");
    zygote->socket = (struct watched){.fd = sockets[0], .ready = socket_ready};
    _cleanup_(cleanup_close) int remote = above(sockets[1]);
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "pipe");
    zygote->output = (struct watched){.fd = pipes[0], .ready = zygote_output_ready};
    _cleanup_(cleanup_close) int writer = above(pipes[1]);
    (void)fcntl(pipes[0], F_SETFL, O_NONBLOCK); /* a pipe can be that */
    if (interpreter_start(host->app->interpreter, remote, writer, &zygote->pid, err) < 0)
        return -1;
    zygote->exit = (struct watched){.fd = (int)syscall(SYS_pidfd_open, zygote->pid, 0), .ready = exit_ready};
    if (zygote->exit.fd < 0)
        return err_set_errno(err, errno, "pidfd_open");
    (void)fcntl(zygote->exit.fd, F_SETFD, FD_CLOEXEC); /* it is from birth; so say kernels before 5.10, too */
    if (host_watch(host, &zygote->socket, EPOLLIN, err) < 0 ||
        host_watch(host, &zygote->output, EPOLLIN, err) < 0 ||
        host_watch(host, &zygote->exit, EPOLLIN, err) < 0)
        return -1;
    return send_setup(zygote, err);
}

void zygote_want(struct host *host)
{
    struct err err = {0};
    int64_t now_ns = clock_now_ns(clock_system());
    if (host->zygote || now_ns < host->zygote_not_before_ns)
        return; /* looks.c comes again */
    struct zygote *zygote = xcalloc(1, sizeof(*zygote));
    zygote->host = host;
    zygote->socket.fd = zygote->output.fd = zygote->exit.fd = -1;
    zygote->deadline_ns = now_ns + READY_WAIT_MS * NS_PER_MS;
    str_init(&zygote->output_line, LIMIT_LOG_LINE_BYTES);
    list_push_back(&host->zygotes, &zygote->node);
    host->zygote = zygote;
    if (begin(zygote, &err) == 0)
        return;
    if (zygote->pid > 0) {
        (void)kill(zygote->pid, SIGKILL); /* ours */
        (void)waitpid(zygote->pid, NULL, 0);
    }
    failed(zygote, err.text);
}

void zygote_look(struct host *host, int64_t now_ns)
{
    const struct zygote *zygote = host->zygote;
    if (zygote && zygote->state == ZYGOTE_STARTING && now_ns > zygote->deadline_ns)
        (void)kill(zygote->pid, SIGKILL); /* its end comes by its pidfd */
}

/* ---- forks ---- */

int zygote_fork(
    struct zygote *zygote, const struct process *process, const int remote[HOST_REMOTE_FDS], struct err *err)
{
    _cleanup_(str_done) struct str text = STR_INIT(256);
    value_put_map(&text, 2);
    value_put_string(&text, "kind");
    value_put_string(&text, "fork");
    value_put_string(&text, "worker");
    value_put_uint(&text, process->number);
    struct iovec part = {.iov_base = text.data, .iov_len = text.size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * HOST_REMOTE_FDS)];
    } control = {0};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof(control.space)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * HOST_REMOTE_FDS);
    memcpy(CMSG_DATA(rights), remote, sizeof(int) * HOST_REMOTE_FDS);
    if (sendmsg(zygote->socket.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return err_set_errno(err, errno, "ask the zygote for a process");
    return 0;
}
