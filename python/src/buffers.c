#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what comes ---- */

ssize_t buffers_receive(int fd, void *data, size_t size, int flags, int *ret_fd)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {data, size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    *ret_fd = NO_DESCRIPTOR;
    if (got <= 0)
        return got;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd)); /* the node sends one at a time */
    else if ((message.msg_flags & MSG_CTRUNC) != 0)
        *ret_fd = -1;
    return got;
}

void buffers_came(struct port *port, int fd)
{
    if (fd == NO_DESCRIPTOR)
        return;
    if (port->descriptor_count < DESCRIPTORS_MAX)
        port->descriptors[port->descriptor_count++] = fd;
    else if (fd >= 0)
        (void)close(fd); /* its frame finds none, and that is told */
}

PyObject *buffers_attach(struct port *port, PyObject *payload)
{
    if (port->descriptor_count == 0) {
        Py_XDECREF(payload);
        PyErr_SetString(port->core->broken_frame, "a frame without its descriptor");
        return NULL;
    }
    int fd = port->descriptors[0];
    port->descriptors[0] = port->descriptors[1];
    port->descriptor_count--;
    PyObject *number = payload ? PyLong_FromLong(fd) : NULL;
    PyObject *attached =
        number ? PyObject_CallFunctionObjArgs(port->core->attach, payload, number, NULL) : NULL;
    if (!attached && fd >= 0)
        (void)close(fd); /* nobody has it */
    Py_XDECREF(number);
    Py_XDECREF(payload);
    return attached;
}

/* ---- what goes ---- */

bool buffers_are_in(const struct port *port, PyObject *payload)
{
    return (PyObject *)Py_TYPE(payload) == port->core->attached;
}

int buffers_add(struct port *port, PyObject *payload)
{
    struct outgoing *outgoing = &port->outgoing;
    PyObject *number = PyObject_GetAttrString(payload, "fd");
    int fd = number ? (int)PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (PyErr_Occurred())
        return -1;
    void *items = realloc(outgoing->items, (outgoing->count + 1) * sizeof(*outgoing->items));
    if (!items) {
        PyErr_NoMemory();
        return -1;
    }
    outgoing->items = items;
    outgoing->items[outgoing->count].place = port->out.end;
    outgoing->items[outgoing->count].fd = fd;
    outgoing->items[outgoing->count++].payload = payload;
    Py_INCREF(payload);
    return 0;
}

static ssize_t send_some(int fd, const uint8_t *data, size_t size, int descriptor)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    if (descriptor < 0)
        return send(fd, data, size, MSG_NOSIGNAL);
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
    struct iovec piece = {(void *)(uintptr_t)data, size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* A descriptor goes with the first of the bytes. */
static int write_all(int fd, const uint8_t *data, size_t size, int descriptor)
{
    while (size > 0) {
        ssize_t wrote = send_some(fd, data, size, descriptor);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        descriptor = -1;
        data += wrote;
        size -= (size_t)wrote;
    }
    return 0;
}

int buffers_write(int fd, const struct buffer *buffer, const struct outgoing *outgoing)
{
    size_t at = buffer->begin;
    int descriptor = -1, failed = 0;
    for (size_t i = 0; i <= outgoing->count && failed == 0; i++) {
        size_t next = i < outgoing->count ? outgoing->items[i].place : buffer->end;
        failed = write_all(fd, buffer->data + at, next - at, descriptor);
        at = next;
        descriptor = i < outgoing->count ? outgoing->items[i].fd : -1;
    }
    return failed;
}

void buffers_drop(struct outgoing *outgoing)
{
    struct outgoing dropped = *outgoing;
    *outgoing = (struct outgoing){0};
    for (size_t i = 0; i < dropped.count; i++)
        Py_DECREF(dropped.items[i].payload);
    free(dropped.items);
}

void buffers_done(struct port *port)
{
    buffers_drop(&port->outgoing);
    for (unsigned i = 0; i < port->descriptor_count; i++)
        if (port->descriptors[i] >= 0)
            (void)close(port->descriptors[i]); /* its frame never came */
    port->descriptor_count = 0;
}
