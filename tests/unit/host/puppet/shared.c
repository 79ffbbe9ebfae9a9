#include "shared.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_BYTES = 8192, EXT_BYTES = 6, EXT = 82, FDS_MAX = 3, SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

static int came = -1;

ssize_t shared_receive(int socket, void *data, size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {data, size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(socket, &message, 0);
    const struct cmsghdr *rights = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (rights)
        memcpy(&came, CMSG_DATA(rights), sizeof(came));
    return got;
}

const char *shared_text(const struct frame *frame, const uint8_t *payload)
{
    static char text[64];
    size_t size = frame_payload_bytes(frame);
    if ((frame->flags & FRAME_HAS_BUFFERS) == 0) {
        (void)snprintf(
            text, sizeof(text), "=%s", size > FILE_BYTES ? (const char *)payload + size - FILE_BYTES : "");
        return text;
    }
    char *memory = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, came, 0);
    (void)close(came);
    came = -1;
    if (memory == MAP_FAILED)
        return "not mapped";
    (void)snprintf(text, sizeof(text), "%s", memory);
    memory[0] = '!'; /* nobody else sees that */
    (void)munmap(memory, FILE_BYTES);
    return text;
}

static int make_file(const char *text, int seals)
{
    int fd = memfd_create("histrio-data", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, FILE_BYTES) < 0 || pwrite(fd, text, strlen(text), 0) < 0 ||
        fcntl(fd, F_ADD_SEALS, seals) < 0)
        _exit(9);
    return fd;
}

static void send_with(int socket, struct frame frame, uint64_t told_bytes, const int *fds, size_t count)
{
    uint8_t whole[FRAME_HEADER_BYTES + EXT_BYTES + sizeof(told_bytes)] = {0};
    const uint8_t ext[EXT_BYTES] = {0xc9, 0, 0, 0, sizeof(told_bytes), EXT};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = {
        .header = {
            .cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    frame.size = sizeof(whole);
    memcpy(whole, &frame, sizeof(frame));
    memcpy(whole + sizeof(frame), ext, sizeof(ext));
    memcpy(whole + sizeof(frame) + sizeof(ext), &told_bytes, sizeof(told_bytes));
    struct iovec part = {whole, sizeof(whole)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(whole))
        _exit(0); /* the node is gone */
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

void shared_send(int socket, struct frame frame, const char *text)
{
    int fd = make_file(text, SEALS);
    frame.flags = FRAME_HAS_BUFFERS;
    send_with(socket, frame, FILE_BYTES, &fd, 1);
}

bool shared_hostile(int socket, struct frame frame, const char *way)
{
    int fds[FDS_MAX];
    for (size_t i = 0; i < FDS_MAX; i++)
        fds[i] = make_file("x", strcmp(way, "unsealed") == 0 ? 0 : SEALS);
    frame.flags = FRAME_HAS_BUFFERS;
    if (strcmp(way, "unsealed") == 0) {
        send_with(socket, frame, FILE_BYTES, fds, 1);
    } else if (strcmp(way, "shorter") == 0) {
        send_with(socket, frame, FILE_BYTES * 2, fds, 1);
    } else if (strcmp(way, "empty") == 0) {
        send_with(socket, frame, 0, fds, 1);
    } else if (strcmp(way, "huge") == 0) {
        send_with(socket, frame, UINT64_MAX, fds, 1);
    } else if (strcmp(way, "two") == 0) {
        send_with(socket, frame, FILE_BYTES, fds, 2);
    } else if (strcmp(way, "three") == 0) {
        send_with(socket, frame, FILE_BYTES, fds, 3);
    } else if (strcmp(way, "none") == 0) {
        send_with(socket, frame, FILE_BYTES, NULL, 0);
    } else if (strcmp(way, "unasked") == 0) {
        frame.flags = 0;
        send_with(socket, frame, FILE_BYTES, fds, 1);
    } else if (strcmp(way, "unknown") == 0) {
        frame.flags = 2;
        send_with(socket, frame, FILE_BYTES, NULL, 0);
    } else if (strcmp(way, "kind") == 0) {
        frame.kind = FRAME_TRAP;
        send_with(socket, frame, FILE_BYTES, fds, 1);
    } else {
        return false;
    }
    return true;
}
