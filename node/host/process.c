/* One connection: descriptors, buffers, numbered texts. */
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "capi/intern.h"
#include "host/private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    IN_BYTES = 256 * 1024,
    OUT_BYTES = 64 * 1024,
    OUT_KEPT_BYTES = 1024 * 1024, /* a larger buffer is given back when it is empty */
    SOCKET_BYTES = 1024 * 1024,
    READS_IN_A_ROW = 4,
};

/* ---- life ---- */

struct process *process_new(struct host *host)
{
    struct process *process = xcalloc(1, sizeof(*process));
    process->host = host;
    process->number = ++host->last_process;
    process->isolation = ACTOR_ISOLATION_PROCESS;
    process->generation = host->generation;
    process->pid_fd = -1;
    process->socket.fd = process->output.fd = process->exit.fd = -1;
    process->page = (struct page){-1, -1, NULL};
    process->free_delivery = DELIVERY_NONE;
    str_init(&process->output_line, LIMIT_LOG_LINE_BYTES);
    list_init(&process->proxies);
    list_push_back(&host->processes, &process->node);
    host->process_count++;
    looks_start(host);
    return process;
}

void process_free(struct process *process)
{
    struct host *host = process->host;
    host_unwatch(host, &process->socket);
    host_unwatch(host, &process->output);
    host_unwatch(host, &process->exit);
    cprocess_done(process);
    page_done(&process->page);
    if (process->pid_fd >= 0)
        (void)close(process->pid_fd); /* only a handle */
    list_remove(&process->node);
    list_remove(&process->dirty);
    host->process_count--;
    if (!process->is_spare)
        HOST_COUNT(host->counters.processes, (uint32_t)-1);
    HOST_COUNT(host->counters.buffered, (uint64_t)-process_buffered(process));
    vec_for_each (text, &process->texts)
        free(text->text);
    vec_done(&process->texts);
    vec_done(&process->told);
    vec_done(&process->told_by);
    vec_done(&process->slots);
    vec_done(&process->free_slots);
    vec_done(&process->deliveries);
    str_done(&process->output_line);
    buffers_done(process);
    free(process->recent_asks);
    free(process->in);
    free(process->out);
    free(process->group);
    free(process);
}

static int make_output(struct process *process, int *ret_remote, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set_errno(err, errno, "pipe");
    process->output = (struct watched){.fd = ends[0], .ready = output_ready};
    *ret_remote = ends[1];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, errno, "pipe");
    return host_watch(process->host, &process->output, EPOLLIN, err);
}

int process_make_descriptors(struct process *process, int ret_remote[HOST_REMOTE_FDS], struct err *err)
{
    int ends[2];
    const int size = SOCKET_BYTES;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_set_errno(err, errno, "socket pair");
    ret_remote[0] = ends[1];
    process->socket.fd = ends[0];
    for (size_t i = 0; i < 2; i++) /* as much of it as the system allows */
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (page_init(&process->page, err) < 0)
        return -1;
    ret_remote[1] = process->page.page_fd;
    ret_remote[2] = process->page.trace_fd;
    return make_output(process, &ret_remote[3], err);
}

static void socket_ready(struct host *host, struct watched *watched, uint32_t events)
{
    struct process *process = list_entry(watched, struct process, socket);
    if ((events & EPOLLOUT) != 0) {
        process->is_blocked = false;
        host_rewatch(host, watched, EPOLLIN);
        process_flush(process);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !process_read(process))
        death_closed(process);
}

void process_connect(struct process *process)
{
    struct err err = {0};
    process->socket.ready = socket_ready;
    if (fcntl(process->socket.fd, F_SETFL, O_NONBLOCK) < 0 ||
        host_watch(process->host, &process->socket, EPOLLIN, &err) < 0)
        process_kill(process, "its socket cannot be watched"); /* out of memory in the kernel */
}

void process_remember_pid(struct process *process, pid_t pid)
{
    if (process->pid != 0)
        return;
    process->pid = pid;
    process->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0); /* -1: it has ended already, or an old kernel */
    looks_limit_memory(process);
    if (process->host->is_suspended)
        process_send_signal(process, SIGSTOP);
}

void process_send_signal(struct process *process, int signal)
{
    if (process->pid_fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, process->pid_fd, signal, NULL, 0); /* it may be gone */
    else if (process->pid > 0 && !process->has_status && !process->is_script)
        (void)kill(process->pid, signal); /* reaped by the zygote, which tells it first */
}

void process_kill(struct process *process, const char *why)
{
    if (process->killed[0])
        return;
    (void)snprintf(process->killed, sizeof(process->killed), "%s", why); /* cut */
    process_send_signal(process, SIGKILL);
    if (process->socket.fd >= 0 && (process->pid == 0 || process->is_script))
        (void)shutdown(process->socket.fd, SHUT_RDWR); /* its end is read like any */
}

/* ---- out ---- */

static void *out_extend(struct process *process, size_t size)
{
    if (process->out_capacity - process->out_end < size) {
        size_t used = process_buffered(process);
        if (process->out_begin >= used && process->out_capacity - used >= size) {
            memcpy(process->out, process->out + process->out_begin, used);
        } else {
            size_t capacity = process->out_capacity ? process->out_capacity : OUT_BYTES;
            while (capacity - used < size)
                capacity *= 2; /* at most the limit of the buffer and one frame */
            uint8_t *larger = xmalloc(capacity);
            if (used > 0)
                memcpy(larger, process->out + process->out_begin, used);
            free(process->out);
            process->out = larger;
            process->out_capacity = capacity;
        }
        process->out_begin = 0;
        process->out_end = used;
    }
    uint8_t *place = process->out + process->out_end;
    process->out_end += size;
    return place;
}

void process_append(struct process *process, struct frame *header, const void *payload, size_t payload_size)
{
    if (process->socket.fd < 0)
        return;
    header->size = (uint32_t)(FRAME_HEADER_BYTES + payload_size);
    uint8_t *place = out_extend(process, header->size);
    memcpy(place, header, FRAME_HEADER_BYTES);
    if (payload_size > 0)
        memcpy(place + FRAME_HEADER_BYTES, payload, payload_size);
    HOST_COUNT(process->host->counters.buffered, header->size);
    if (!list_node_is_linked(&process->dirty) && !process->is_blocked)
        list_push_back(&process->host->dirty, &process->dirty);
    if (process_buffered(process) > LIMIT_HOST_BUFFER_BYTES)
        process->is_full = true;
}

void process_append_text(struct process *process, struct frame *header, const char *text)
{
    process_append(process, header, text, strlen(text));
}

/* Actors that paused because of the buffer go on. */
static void buffer_has_room(struct process *process)
{
    process->is_full = false;
    list_for_each (proxy, &process->proxies, struct proxy, node) {
        struct histrio_context ctx;
        if (proxy->waits_for_buffer && hosted_enter(process->host->worker, proxy->id, &ctx))
            proxy_went_on(&ctx, proxy);
    }
}

static void out_is_empty(struct process *process)
{
    process->out_begin = process->out_end = 0;
    if (process->out_capacity > OUT_KEPT_BYTES) {
        free(process->out);
        process->out = NULL;
        process->out_capacity = 0;
    }
}

void process_flush(struct process *process)
{
    list_remove(&process->dirty);
    if (process->state != PROCESS_RUNNING && process->state != PROCESS_FORKING)
        return;
    while (process->out_begin < process->out_end && !process->is_blocked && process->socket.fd >= 0) {
        ssize_t sent = buffers_send(process, process->out + process->out_begin, process_buffered(process));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return; /* closed: reading tells it as well, after what is still to be read */
        if (sent < 0) {
            process->is_blocked = true;
            host_rewatch(process->host, &process->socket, EPOLLIN | EPOLLOUT);
            break;
        }
        process->out_begin += (size_t)sent;
        HOST_COUNT(process->host->counters.buffered, (uint64_t)-sent);
    }
    if (process->out_begin == process->out_end)
        out_is_empty(process);
    if (process->is_full && process_buffered(process) < LIMIT_HOST_BUFFER_BYTES / 2)
        buffer_has_room(process);
}

/* ---- texts ---- */

uint32_t process_text(struct process *process, uint32_t number)
{
    if (number == 0)
        return 0;
    if (number < process->told.count && process->told.items[number] != 0)
        return process->told.items[number];
    while (process->told.count <= number)
        vec_push(&process->told, 0);
    uint32_t ours = process->next_text % LIMIT_HOST_TEXTS;
    process->next_text++;
    if (ours < process->told_by.count) { /* the oldest of them gives its number away */
        process->told.items[process->told_by.items[ours]] = 0;
        process->told_by.items[ours] = number;
    } else {
        vec_push(&process->told_by, number);
    }
    process->told.items[number] = ours + 1;
    struct frame header = {.kind = FRAME_INTERN, .method = ours + 1};
    const char *text = intern_text(number);
    process_append(process, &header, text, strnlen(text, LIMIT_HOST_TEXT_BYTES));
    return ours + 1;
}

/* ---- in ---- */

/* Room for the rest of a frame of that size. */
static void in_reserve(struct process *process, size_t size)
{
    size_t used = process->in_end - process->in_begin;
    size_t wanted = size > IN_BYTES ? size : IN_BYTES;
    if (process->in_capacity >= wanted && process->in_capacity <= LIMIT_HOST_FRAME_BYTES) {
        if (process->in_begin > 0)
            memmove(process->in, process->in + process->in_begin, used);
    } else {
        uint8_t *other = xmalloc(wanted);
        if (used > 0)
            memcpy(other, process->in + process->in_begin, used);
        free(process->in);
        process->in = other;
        process->in_capacity = wanted;
    }
    process->in_begin = 0;
    process->in_end = used;
}

static void handle_frames(struct process *process)
{
    struct frame frame = {0};
    while (process->in_begin < process->in_end) {
        struct err err = {0};
        const uint8_t *data = process->in + process->in_begin;
        int whole = frame_parse(data, process->in_end - process->in_begin, &frame, &err);
        if (whole < 0)
            receive_violation(process, "%s", err.text);
        if (whole <= 0)
            break;
        process->in_begin += frame.size;
        if (!buffers_begin_frame(process, &frame, data + FRAME_HEADER_BYTES))
            receive_violation(
                process, "%s with large data that is not as it should be", frame_kind_name(frame.kind));
        receive_frame(process, &frame, data + FRAME_HEADER_BYTES);
        buffers_end_frame(process);
    }
    if (process->in_begin == process->in_end && !buffers_are_matched(process))
        receive_violation(process, "a descriptor without its frame");
    if (process->in_begin == process->in_end)
        process->in_begin = process->in_end = 0;
    else if (process->in_capacity - process->in_end < IN_BYTES / 4 || frame.size > process->in_capacity)
        in_reserve(process, frame.size);
}

bool process_read(struct process *process)
{
    for (unsigned i = 0; i < READS_IN_A_ROW; i++) {
        if (process->in_capacity == 0)
            in_reserve(process, 0);
        size_t room = process->in_capacity - process->in_end;
        ssize_t got = buffers_receive(process, process->in + process->in_end, room);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0)
            return false;
        process->in_end += (size_t)got;
        handle_frames(process);
        if ((size_t)got < room || process->socket.fd < 0)
            return true;
    }
    return true; /* others are to be read, too: the descriptor is still ready */
}
