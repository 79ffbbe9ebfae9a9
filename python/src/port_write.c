#include "core.h"

#include <stdlib.h>
#include <string.h>

int buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer->begin > 0 && buffer->end + bytes > buffer->capacity) {
        memmove(buffer->data, buffer->data + buffer->begin, buffer->end - buffer->begin);
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    if (buffer->end + bytes <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_BYTES;
    while (capacity < buffer->end + bytes)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        PyErr_NoMemory();
        return -1;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

static void buffer_put(struct buffer *buffer, const void *data, size_t size)
{
    if (size > 0)
        memcpy(buffer->data + buffer->end, data, size);
    buffer->end += size;
}

int port_add(struct port *port, struct header *header, const void *first, size_t first_size,
    const void *second, size_t second_size)
{
    header->size = (uint32_t)(sizeof(*header) + first_size + second_size);
    if (buffer_reserve(&port->out, header->size) < 0)
        return -1;
    buffer_put(&port->out, header, sizeof(*header));
    buffer_put(&port->out, first, first_size);
    buffer_put(&port->out, second, second_size);
    return 0;
}

/* ---- texts ---- */

/* The next number; the text that has it gives it up. */
static PyObject *take_number(struct port *port)
{
    port->last_number = port->last_number % (TEXTS_MAX - 1) + 1;
    PyObject *number = PyLong_FromUnsignedLong(port->last_number);
    PyObject *old = number ? PyDict_GetItemWithError(port->names, number) : NULL;
    if (old && PyDict_DelItem(port->numbers, old) < 0) {
        Py_DECREF(number);
        return NULL;
    }
    return number;
}

int64_t port_number_of(struct port *port, PyObject *text)
{
    if (PyUnicode_GetLength(text) <= 0)
        return PyErr_Occurred() ? -1 : 0; /* it is none, or no text */
    PyObject *number = PyDict_GetItemWithError(port->numbers, text);
    if (number)
        return PyLong_AsLong(number);
    if (PyErr_Occurred())
        return -1;
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    if (!bytes)
        return -1;
    if (size > TEXT_BYTES_MAX) {
        PyErr_Format(PyExc_ValueError, "a name of %zd bytes is too long: %.40U...", size, text);
        return -1;
    }
    number = take_number(port);
    if (!number)
        return -1;
    struct header header = {.kind = FRAME_INTERN, .method = port->last_number};
    int failed = PyDict_SetItem(port->numbers, text, number) < 0 ||
                 PyDict_SetItem(port->names, number, text) < 0 ||
                 port_add(port, &header, bytes, (size_t)size, NULL, 0) < 0;
    Py_DECREF(number);
    return failed ? -1 : (int64_t)port->last_number;
}

/* ---- sending ---- */

/* A payload that has a descriptor. */
static int add_attached(struct port *port, struct header *header, PyObject *payload)
{
    char *bytes;
    Py_ssize_t size;
    header->flags = HAS_BUFFERS;
    if (PyBytes_AsStringAndSize(payload, &bytes, &size) < 0 || buffers_add(port, payload) < 0)
        return -1;
    return port_add(port, header, bytes, (size_t)size, NULL, 0);
}

static int add_large_pickle(struct port *port, struct header *header, PyObject *pickled)
{
    PyObject *payload = PyObject_CallFunctionObjArgs(port->core->encode_pickle, pickled, NULL);
    int failed = payload ? add_attached(port, header, payload) : -1;
    Py_XDECREF(payload);
    return failed;
}

PyObject *port_send(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "kind", "code", "actor", "method", "number", "timeout_ms", "name", "node", "id", "payload", NULL};
    struct port *port = (struct port *)self;
    unsigned kind, code = 0, actor = 0, timeout_ms = 0;
    unsigned long long number = 0, node = 0, id = 0;
    PyObject *method = NULL, *name = NULL, *payload = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "I|IIUKIUKKS", names, &kind, &code, &actor, &method,
            &number, &timeout_ms, &name, &node, &id, &payload))
        return NULL;
    Py_ssize_t payload_size = payload ? PyBytes_Size(payload) : 0;
    if (payload_size > FRAME_BYTES_MAX - HEADER_BYTES) {
        PyErr_SetString(PyExc_ValueError, "the payload is too large");
        return NULL;
    }
    int64_t method_number = method ? port_number_of(port, method) : 0;
    int64_t name_number = method_number >= 0 && name ? port_number_of(port, name) : 0;
    if (method_number < 0 || name_number < 0)
        return NULL;
    struct header header = {.kind = (uint8_t)kind,
        .code = (uint8_t)code,
        .actor = actor,
        .method = (uint32_t)method_number,
        .number = number,
        .timeout_ms = timeout_ms,
        .name = (uint32_t)name_number,
        .node = node,
        .id = id};
    bool has_buffers = payload && buffers_are_in(port, payload);
    int failed = has_buffers ? add_attached(port, &header, payload)
                             : port_add(port, &header, payload ? PyBytes_AsString(payload) : NULL,
                                   (size_t)payload_size, NULL, 0);
    if (failed < 0)
        return NULL;
    return PyBool_FromLong(port_has_much(port));
}

/* ---- what ends a delivery ---- */

int port_done(struct port *port, const struct header *delivery)
{
    struct header header = {.kind = FRAME_DONE, .actor = delivery->actor, .number = delivery->number};
    return port_add(port, &header, NULL, 0, NULL, 0);
}

int port_reply_plain(struct port *port, const struct header *delivery, PyObject *value)
{
    struct header header = {.kind = FRAME_REPLY, .actor = delivery->actor, .number = delivery->number};
    size_t begin = port->out.end;
    if (port_add(port, &header, NULL, 0, NULL, 0) < 0)
        return -1;
    if (plain_write(&port->out, value) < 0) {
        port->out.end = begin;
        return -1;
    }
    header.size = (uint32_t)(port->out.end - begin);
    memcpy(port->out.data + begin, &header, sizeof(header));
    return 0;
}

int port_reply(struct port *port, const struct header *delivery, PyObject *pickled)
{
    struct header header = {.kind = FRAME_REPLY, .actor = delivery->actor, .number = delivery->number};
    static const uint8_t nil = 0xc0;
    return pickled ? port_add_pickle(port, &header, pickled) : port_add(port, &header, &nil, 1, NULL, 0);
}

int port_add_pickle(struct port *port, struct header *header, PyObject *pickled)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(pickled, &bytes, &size) < 0)
        return -1;
    if (size >= LARGE_PICKLE_BYTES)
        return add_large_pickle(port, header, pickled);
    uint8_t ext[EXT_BYTES] = {
        0xc9, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, EXT_PICKLE};
    return port_add(port, header, ext, sizeof(ext), bytes, (size_t)size);
}

/* ---- writing ---- */

bool port_has_much(const struct port *port)
{
    return port->out.end - port->out.begin >= FLUSH_BYTES || port->outgoing.count >= FLUSH_DESCRIPTORS;
}

int port_flush(struct port *port)
{
    /* An entry may have been marked after another thread wrote its answer: then it is told, and free. */
    bool tells = port->page && port->page->over_count > 0;
    if (port->out.begin == port->out.end && !tells)
        return 0;
    if (PyThread_acquire_lock(port->write_lock, NOWAIT_LOCK) == 0) {
        Py_BEGIN_ALLOW_THREADS PyThread_acquire_lock(port->write_lock, WAIT_LOCK);
        Py_END_ALLOW_THREADS
    }
    struct buffer taken = port->out;
    struct outgoing outgoing = port->outgoing;
    port->outgoing = (struct outgoing){0};
    port->out = port->writing;
    port->out.begin = port->out.end = 0;
    port->writing = taken;
    size_t cleared = port->page ? page_take_over(port->page, port->cleared) : 0;
    int fd = port->fd, failed;
    Py_BEGIN_ALLOW_THREADS failed = buffers_write(fd, &taken, &outgoing);
    Py_END_ALLOW_THREADS if (port->page) page_clear(port->page, port->cleared, cleared);
    PyThread_release_lock(port->write_lock);
    buffers_drop(&outgoing);
    return failed < 0 ? port_close_error(port) : 0;
}
