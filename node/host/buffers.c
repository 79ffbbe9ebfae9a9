#include "host/buffers.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "host/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXT_BYTES = 6,                              /* 0xc9, size, type */
    NEEDED_SEALS = F_SEAL_SHRINK | F_SEAL_GROW, /* who maps it must not find less */
    CLOSE_HERE_BYTES = 1024 * 1024,
};

/* One file. */
struct buffers {
    struct attachment attachment;
    struct host *host;
    int fd;
    uint64_t bytes;
};

/* ---- how much ---- */

void buffers_account_init(struct buffers_account *account, uint64_t bytes_max)
{
    struct rlimit files = {0};
    (void)getrlimit(RLIMIT_NOFILE, &files); /* cannot fail; 0: none may be held */
    /* The soft limit is low for programs that use select(), which we do not. */
    struct rlimit all = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &all) == 0)
        files = all;
    *account = (struct buffers_account){.bytes_max = bytes_max ? bytes_max : looks_memory_max() / 2,
        .files_max = (uint32_t)(files.rlim_cur < UINT32_MAX ? files.rlim_cur / 2 : UINT32_MAX / 2)};
}

static void account_for(struct host *host, uint64_t bytes, uint32_t files)
{
    host->buffers.bytes += bytes;
    host->buffers.files += files;
    HOST_COUNT(host->counters.shared_bytes, bytes);
    HOST_COUNT(host->counters.shared_files, files);
}

/* ---- one file ---- */

static void buffers_free(struct attachment *attachment)
{
    struct buffers *buffers = (struct buffers *)attachment;
    account_for(buffers->host, -buffers->bytes, (uint32_t)-1);
    if (buffers->bytes > CLOSE_HERE_BYTES)
        closer_close(&buffers->host->closer, buffers->fd);
    else
        (void)close(buffers->fd); /* nothing is written back */
    free(buffers);
}

/* The same ext value with the file's bytes behind its own. */
static bool put_inline(const struct attachment *attachment, const void *value, size_t size, struct str *out)
{
    const struct buffers *buffers = (const struct buffers *)attachment;
    if (buffers->bytes > LIMIT_VALUE_BYTES - size)
        return false;
    size_t whole = size - EXT_BYTES + buffers->bytes;
    const uint8_t head[EXT_BYTES] = {0xc9, (uint8_t)(whole >> 24), (uint8_t)(whole >> 16),
        (uint8_t)(whole >> 8), (uint8_t)whole, BUFFERS_EXT};
    str_append_bytes(out, head, sizeof(head));
    str_append_bytes(out, (const uint8_t *)value + EXT_BYTES, size - EXT_BYTES);
    uint8_t *place = str_extend(out, buffers->bytes);
    for (uint64_t at = 0; at < buffers->bytes;) {
        ssize_t got = pread(buffers->fd, place + at, buffers->bytes - at, (off_t)at);
        if (got <= 0 && errno != EINTR)
            return false;
        at += got > 0 ? (uint64_t)got : 0;
    }
    return true;
}

/* What the value says that the file has; 0: it is no such value. */
static uint64_t told_bytes(const uint8_t *value, size_t size)
{
    uint64_t bytes = 0;
    if (size < EXT_BYTES + sizeof(bytes) || value[0] != 0xc9 || value[EXT_BYTES - 1] != BUFFERS_EXT)
        return 0;
    size_t inside = (size_t)value[1] << 24 | (size_t)value[2] << 16 | (size_t)value[3] << 8 | value[4];
    if (inside == size - EXT_BYTES)
        memcpy(&bytes, value + EXT_BYTES, sizeof(bytes));
    return bytes;
}

static bool is_as_told(int fd, uint64_t bytes)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & NEEDED_SEALS) == NEEDED_SEALS && fstat(fd, &status) == 0 &&
           (uint64_t)status.st_size == bytes;
}

static const char *why_refused(const struct host *host, int fd, uint64_t bytes)
{
    if (fd == BUFFERS_LOST)
        return "the node has no more descriptors for large data";
    if (host->buffers.bytes + bytes > host->buffers.bytes_max)
        return "the large data that waits in the node takes all memory that it may take";
    if (host->buffers.files >= host->buffers.files_max)
        return "too many messages with large data wait in the node";
    return NULL;
}

/* ---- descriptors that come ---- */

/* None, one, or more than one, which is too many; what the system cut off (it has no more descriptors, or
 * they are too many) is counted as well. */
static unsigned read_descriptors(const struct msghdr *message, int ret_fds[BUFFERS_ARRIVED_MAX])
{
    bool was_cut = (message->msg_flags & MSG_CTRUNC) != 0;
    const struct cmsghdr *control = CMSG_FIRSTHDR(message);
    unsigned count = 0;
    ret_fds[0] = BUFFERS_LOST;
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS) {
        count = (unsigned)((control->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret_fds, CMSG_DATA(control), count * sizeof(int));
    }
    for (unsigned i = 0; i < count && (count > 1 || was_cut); i++)
        (void)close(ret_fds[i]); /* not used */
    return count + was_cut;
}

ssize_t buffers_receive(struct process *process, void *data, size_t size)
{
    struct buffers_port *port = &process->buffers;
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(BUFFERS_ARRIVED_MAX * sizeof(int))];
    } control;
    struct iovec piece = {data, size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(process->socket.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got <= 0 || (message.msg_controllen == 0 && (message.msg_flags & MSG_CTRUNC) == 0))
        return got;
    int fds[BUFFERS_ARRIVED_MAX];
    unsigned count = read_descriptors(&message, fds);
    if (count == 1 && port->arrived_count < BUFFERS_ARRIVED_MAX) {
        port->arrived[port->arrived_count++] = fds[0];
        return got;
    }
    if (count == 1 && fds[0] >= 0)
        (void)close(fds[0]); /* not used */
    if (count > 0)
        receive_violation(process, "more descriptors than frames that have one");
    return got;
}

bool buffers_begin_frame(struct process *process, const struct frame *frame, const uint8_t *payload)
{
    struct buffers_port *port = &process->buffers;
    struct host *host = process->host;
    if (frame->flags == 0)
        return true;
    bool may_have = frame->kind == FRAME_TELL || frame->kind == FRAME_ASK || frame->kind == FRAME_REPLY;
    uint64_t bytes = told_bytes(payload, frame_payload_bytes(frame));
    if (frame->flags != FRAME_HAS_BUFFERS || !may_have || port->arrived_count == 0 || bytes == 0 ||
        bytes > LIMIT_HOST_SHARED_BYTES)
        return false;
    int fd = port->arrived[0];
    port->arrived[0] = port->arrived[1];
    port->arrived_count--;
    port->refused = why_refused(host, fd, bytes);
    if (fd >= 0 && (port->refused || !is_as_told(fd, bytes))) {
        (void)close(fd); /* not used */
        return port->refused != NULL;
    }
    if (fd < 0)
        return true;
    struct buffers *buffers = xcalloc(1, sizeof(*buffers));
    *buffers =
        (struct buffers){.attachment = {1, buffers_free, put_inline}, .host = host, .fd = fd, .bytes = bytes};
    account_for(host, bytes, 1);
    port->came = &buffers->attachment;
    return true;
}

void buffers_end_frame(struct process *process)
{
    attachment_unref(process->buffers.came);
    process->buffers.came = NULL;
    process->buffers.refused = NULL;
}

bool buffers_are_matched(const struct process *process)
{
    return process->buffers.arrived_count == 0;
}

/* ---- descriptors that go ---- */

static bool append_inline(struct process *process, struct frame *header, const void *payload, size_t size,
    const struct attachment *attachment)
{
    struct str value = STR_INIT(LIMIT_VALUE_BYTES);
    bool fits = attachment->put_inline(attachment, payload, size, &value);
    if (fits)
        process_append(process, header, value.data, value.size);
    str_done(&value);
    return fits;
}

bool buffers_append(struct process *process, struct frame *header, const void *payload, size_t size,
    struct attachment *attachment)
{
    if (attachment && process->is_c)
        return append_inline(process, header, payload, size, attachment);
    if (attachment && process->socket.fd >= 0) {
        struct buffers_outgoing outgoing = {
            process->buffers.sent + process_buffered(process), attachment_ref(attachment)};
        vec_push(&process->buffers.outgoing, outgoing);
        header->flags = FRAME_HAS_BUFFERS;
    }
    process_append(process, header, payload, size);
    return true;
}

/* With the descriptor of the first of outgoing. */
static ssize_t send_with_descriptor(struct process *process, const void *data, size_t size)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    const struct buffers *buffers = (const struct buffers *)process->buffers.outgoing.items[0].attachment;
    memcpy(CMSG_DATA(&control.header), &buffers->fd, sizeof(int));
    struct iovec piece = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(sizeof(int))};
    ssize_t sent = sendmsg(process->socket.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        attachment_unref(process->buffers.outgoing.items[0].attachment);
        vec_remove_at(&process->buffers.outgoing, 0);
    } else if (sent < 0 && errno == ETOOMANYREFS) {
        process_kill(process, "no more descriptors may be on their way");
    }
    return sent;
}

ssize_t buffers_send(struct process *process, const void *data, size_t size)
{
    struct buffers_port *port = &process->buffers;
    ssize_t sent;
    if (port->outgoing.count == 0) {
        sent = send(process->socket.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        /* Up to the next frame that has a descriptor, which begins a call of its own. */
        bool is_next = port->outgoing.items[0].position == port->sent;
        size_t end = is_next ? 1 : 0;
        size_t most =
            end < port->outgoing.count ? (size_t)(port->outgoing.items[end].position - port->sent) : size;
        size = size < most ? size : most;
        sent = is_next ? send_with_descriptor(process, data, size)
                       : send(process->socket.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    port->sent += sent > 0 ? (uint64_t)sent : 0;
    return sent;
}

void buffers_done(struct process *process)
{
    struct buffers_port *port = &process->buffers;
    vec_for_each (outgoing, &port->outgoing)
        attachment_unref(outgoing->attachment);
    vec_done(&port->outgoing);
    for (unsigned i = 0; i < port->arrived_count; i++)
        if (port->arrived[i] >= 0)
            (void)close(port->arrived[i]); /* its frame never came */
    port->arrived_count = 0;
}
