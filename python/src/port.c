#include "core.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>
#include <sys/socket.h>

enum {
    READ_BYTES = 256 * 1024,
    SPIN_NS = 300 * 1000, /* an ask of another node takes longer when who asks sleeps */
    SPINS_IN_VAIN_MAX = 4,
    SPIN_ONE_IN = 32, /* then */
};

int port_close_error(struct port *port)
{
    PyErr_SetNone(port->core->closed);
    return -1;
}

static int broken(struct port *port, const char *what, unsigned long number)
{
    PyErr_Format(port->core->broken_frame, "%s %lu", what, number);
    return -1;
}

int port_receive(struct port *port, int timeout_ms)
{
    /* Space is made with the GIL and by one reader at a time, so the buffer stays where it is meanwhile. */
    if (buffer_reserve(&port->in, READ_BYTES) < 0)
        return -1;
    int fd = port->fd, error = 0, descriptor = NO_DESCRIPTOR;
    uint8_t *data = port->in.data + port->in.end;
    size_t room = port->in.capacity - port->in.end;
    ssize_t got;
    int flags = timeout_ms < 0 ? 0 : MSG_DONTWAIT;
    Py_BEGIN_ALLOW_THREADS got = buffers_receive(fd, data, room, flags, &descriptor);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && timeout_ms > 0) {
        struct pollfd poll_for = {.fd = fd, .events = POLLIN};
        if (poll(&poll_for, 1, timeout_ms) > 0)
            got = buffers_receive(fd, data, room, MSG_DONTWAIT, &descriptor);
    }
    error = errno;
    Py_END_ALLOW_THREADS if (got > 0)
    {
        port->in.end += (size_t)got;
        buffers_came(port, descriptor);
        port->received_ns = core_now_ns();
        return 1;
    }
    if (got == 0)
        return port_close_error(port);
    if (error == EINTR)
        return PyErr_CheckSignals() < 0 ? -1 : 0;
    return error == EAGAIN || error == EWOULDBLOCK ? 0 : port_close_error(port);
}

/* Looks for input for a moment, and lets others that want the core have it. */
static bool is_soon_there(int fd)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    uint64_t until = core_now_ns() + SPIN_NS;
    do {
        if (poll(&poll_for, 1, 0) != 0)
            return true;
        (void)sched_yield(); /* cannot fail */
    } while (core_now_ns() < until);
    return false;
}

/* Before sleeping: to be woken takes longer than a quick answer. Where that was in vain several times, only
 * now and then. */
static void spin(struct port *port)
{
    if (port->spins_in_vain >= SPINS_IN_VAIN_MAX && ++port->spins_skipped % SPIN_ONE_IN != 0)
        return;
    int fd = port->fd;
    bool is_there;
    Py_BEGIN_ALLOW_THREADS is_there = is_soon_there(fd);
    Py_END_ALLOW_THREADS if (is_there) port->spins_in_vain /= 2;
    else if (port->spins_in_vain < SPINS_IN_VAIN_MAX) port->spins_in_vain++;
}

/* ---- texts of the other side ---- */

static int learn_text(struct port *port, uint32_t number, const uint8_t *bytes, size_t size)
{
    if (number > TEXTS_MAX)
        return broken(port, "a text with number", number);
    if (number >= port->text_count) {
        size_t count = port->text_count ? port->text_count : 64;
        while (count <= number)
            count *= 2;
        PyObject **texts = realloc(port->texts, count * sizeof(PyObject *));
        if (!texts) {
            PyErr_NoMemory();
            return -1;
        }
        memset(texts + port->text_count, 0, (count - port->text_count) * sizeof(PyObject *));
        port->texts = texts;
        port->text_count = count;
    }
    PyObject *text = PyUnicode_DecodeUTF8((const char *)bytes, (Py_ssize_t)size, "replace");
    if (!text)
        return -1;
    PyUnicode_InternInPlace(&text);
    PyObject *old = port->texts[number];
    port->texts[number] = text;
    Py_XDECREF(old);
    return 0;
}

PyObject *port_text(struct port *port, uint32_t number)
{
    if (number < port->text_count && port->texts[number])
        return port->texts[number];
    (void)broken(port, "a frame names a text that was not told:", number);
    return NULL;
}

/* ---- frames ---- */

int port_peek(struct port *port, struct header *ret_header, const uint8_t **ret_payload)
{
    for (;;) {
        size_t there = port->in.end - port->in.begin;
        const uint8_t *at = port->in.data + port->in.begin;
        if (there < HEADER_BYTES)
            return 0;
        memcpy(ret_header, at, sizeof(*ret_header));
        if (ret_header->size < HEADER_BYTES || ret_header->size > FRAME_BYTES_MAX)
            return broken(port, "a frame of bytes:", ret_header->size);
        if (there < ret_header->size)
            return buffer_reserve(&port->in, ret_header->size) < 0 ? -1 : 0;
        *ret_payload = at + HEADER_BYTES;
        if (ret_header->kind != FRAME_INTERN)
            return 1;
        if (learn_text(port, ret_header->method, *ret_payload, ret_header->size - HEADER_BYTES) < 0)
            return -1;
        port_consume(port, ret_header);
    }
}

void port_consume(struct port *port, const struct header *header)
{
    port->in.begin += header->size;
    if (port->in.begin == port->in.end)
        port->in.begin = port->in.end = 0;
}

PyObject *port_frame(
    struct port *port, const struct header *header, const uint8_t *payload, size_t payload_size)
{
    PyObject *method = port_text(port, header->method);
    PyObject *name = method ? port_text(port, header->name) : NULL;
    PyObject *frame = name ? PyStructSequence_New(port->core->frame_type) : NULL;
    if (!frame)
        return NULL;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)payload_size);
    if ((header->flags & HAS_BUFFERS) != 0)
        bytes = buffers_attach(port, bytes);
    Py_INCREF(method);
    Py_INCREF(name);
    PyObject *fields[] = {PyLong_FromLong(header->kind), PyLong_FromLong(header->code),
        PyLong_FromUnsignedLong(header->actor), method, PyLong_FromUnsignedLongLong(header->number),
        PyLong_FromUnsignedLong(header->timeout_ms), name, PyLong_FromUnsignedLongLong(header->node),
        PyLong_FromUnsignedLongLong(header->id), bytes};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        PyStructSequence_SetItem(frame, (Py_ssize_t)i, fields[i]);
    if (PyErr_Occurred())
        Py_CLEAR(frame);
    return frame;
}

/* ---- the type ---- */

static PyObject *port_read(PyObject *self, PyObject *args)
{
    struct port *port = (struct port *)self;
    PyObject *timeout = Py_None, *calls = NULL;
    if (!PyArg_ParseTuple(args, "|OO!", &timeout, &PyDict_Type, &calls))
        return NULL;
    double seconds = timeout == Py_None ? -1 : PyFloat_AsDouble(timeout);
    if (PyErr_Occurred())
        return NULL;
    uint64_t until = seconds < 0 ? 0 : core_now_ns() + (uint64_t)(seconds * 1e9);
    PyObject *frames = PyList_New(0);
    while (frames) {
        Py_ssize_t answers = port_take(port, frames, calls);
        if (answers > 0 || (answers == 0 && PyList_Size(frames) > 0))
            return frames;
        uint64_t now = seconds < 0 ? 0 : core_now_ns();
        int wait = seconds < 0 ? -1 : until <= now ? 0 : (int)((until - now) / 1000000) + 1;
        if (answers == 0 && wait != 0)
            spin(port);
        int came = answers < 0 ? -1 : port_receive(port, wait);
        if (came == 0 && seconds >= 0 && core_now_ns() >= until)
            return frames;
        if (came < 0)
            Py_CLEAR(frames);
    }
    return NULL;
}

static PyObject *port_fileno(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    return PyLong_FromLong(((struct port *)self)->fd);
}

static PyObject *port_pending(PyObject *self, PyObject *nothing)
{
    const struct port *port = (struct port *)self;
    (void)nothing;
    return PyBool_FromLong(port->out.end > port->out.begin);
}

static PyObject *port_flush_(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    if (port_flush((struct port *)self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *port_close(PyObject *self, PyObject *nothing)
{
    struct port *port = (struct port *)self;
    (void)nothing;
    port->fd = -1;
    return PyObject_CallMethod(port->socket, "close", NULL);
}

static PyObject *port_shutdown(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    (void)shutdown(((struct port *)self)->fd, SHUT_RDWR); /* it may be over already */
    Py_RETURN_NONE;
}

static PyObject *port_abandon(PyObject *self, PyObject *nothing)
{
    struct port *port = (struct port *)self;
    port->is_abandoned = true;
    port->write_lock = PyThread_allocate_lock(); /* the old one may be held by a thread that is not here */
    port->out.begin = port->out.end = 0;
    buffers_drop(&port->outgoing);
    return port->write_lock ? port_close(self, nothing) : PyErr_NoMemory();
}

static PyObject *port_serve(PyObject *self, PyObject *args)
{
    struct port *port = (struct port *)self;
    PyObject *page, *served[5];
    if (!PyArg_ParseTuple(args, "OOOOOO", &page, &served[0], &served[1], &served[2], &served[3], &served[4]))
        return NULL;
    if (port->page || !PyObject_TypeCheck(page, port->core->page_type)) {
        PyErr_SetString(PyExc_TypeError, "serve(page, ...) once, with a Page of this module");
        return NULL;
    }
    port->cleared = calloc(((struct page *)page)->count, sizeof(*port->cleared));
    if (!port->cleared)
        return PyErr_NoMemory();
    Py_INCREF(page);
    port->page = (struct page *)page;
    for (size_t i = 0; i < 5; i++) {
        Py_INCREF(served[i]);
        port->serve[i] = served[i];
    }
    Py_RETURN_NONE;
}

static PyObject *port_gate(PyObject *self, PyObject *args)
{
    struct port *port = (struct port *)self;
    unsigned slot;
    PyObject *gate = Py_None;
    if (!PyArg_ParseTuple(args, "I|O", &slot, &gate))
        return NULL;
    if (slot >= port->gate_count && gate != Py_None) {
        size_t count = port->gate_count ? port->gate_count : 64;
        while (count <= slot && count <= TEXTS_MAX)
            count *= 2;
        struct gate **gates = count > slot ? realloc(port->gates, count * sizeof(struct gate *)) : NULL;
        if (!gates)
            Py_RETURN_FALSE; /* so high a slot goes the long way */
        memset(gates + port->gate_count, 0, (count - port->gate_count) * sizeof(struct gate *));
        port->gates = gates;
        port->gate_count = count;
    }
    if (slot < port->gate_count) {
        PyObject *old = (PyObject *)port->gates[slot];
        Py_XINCREF(gate == Py_None ? NULL : gate);
        port->gates[slot] = gate == Py_None ? NULL : (struct gate *)gate;
        Py_XDECREF(old);
    }
    Py_RETURN_TRUE;
}

static int port_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct port *port = (struct port *)self;
    PyObject *sock;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O", &sock))
        return -1;
    /* Who waits does so in one system call. */
    PyObject *done = port->socket ? NULL : PyObject_CallMethod(sock, "setblocking", "i", 1);
    Py_XDECREF(done);
    PyObject *fd = done ? PyObject_CallMethod(sock, "fileno", NULL) : NULL;
    port->fd = fd ? (int)PyLong_AsLong(fd) : -1;
    Py_XDECREF(fd);
    port->numbers = PyDict_New();
    port->names = PyDict_New();
    port->write_lock = PyThread_allocate_lock();
    port->core = PyType_GetModuleState(Py_TYPE(self));
    if (!port->numbers || !port->names || !port->write_lock || !port->core || port->fd < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "Port(socket)");
        return -1;
    }
    Py_INCREF(sock);
    port->socket = sock;
    return learn_text(port, 0, (const uint8_t *)"", 0); /* number 0: no text */
}

static int port_clear(PyObject *self)
{
    struct port *port = (struct port *)self;
    buffers_done(port);
    Py_CLEAR(port->socket);
    Py_CLEAR(port->numbers);
    Py_CLEAR(port->names);
    Py_CLEAR(port->page);
    for (size_t i = 0; i < 5; i++)
        Py_CLEAR(port->serve[i]);
    for (size_t i = 0; i < port->gate_count; i++)
        Py_CLEAR(port->gates[i]);
    for (size_t i = 0; i < port->text_count; i++)
        Py_CLEAR(port->texts[i]);
    return 0;
}

static int port_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct port *port = (struct port *)self;
    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; i < 5; i++)
        Py_VISIT(port->serve[i]);
    for (size_t i = 0; i < port->gate_count; i++)
        Py_VISIT(port->gates[i]);
    return 0;
}

static void port_dealloc(PyObject *self)
{
    struct port *port = (struct port *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)port_clear(self);
    if (port->write_lock)
        PyThread_free_lock(port->write_lock);
    free(port->in.data);
    free(port->out.data);
    free(port->writing.data);
    free(port->cleared);
    free(port->gates);
    free(port->texts);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef port_methods[] = {
    {"read", port_read, METH_VARARGS, NULL},
    {"send", (PyCFunction)(void (*)(void))port_send, METH_VARARGS | METH_KEYWORDS, NULL},
    {"send_call", (PyCFunction)(void (*)(void))port_send_call, METH_FASTCALL, NULL},
    {"flush", port_flush_, METH_NOARGS, NULL},
    {"pending", port_pending, METH_NOARGS, NULL},
    {"fileno", port_fileno, METH_NOARGS, NULL},
    {"close", port_close, METH_NOARGS, NULL},
    {"shutdown", port_shutdown, METH_NOARGS, NULL},
    {"abandon", port_abandon, METH_NOARGS, NULL},
    {"serve", port_serve, METH_VARARGS, NULL},
    {"gate", port_gate, METH_VARARGS, NULL},
    {"next", port_next, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef port_members[] = {
    {"role", T_LONGLONG, offsetof(struct port, role), 0, NULL},
    {"slow", T_BOOL, offsetof(struct port, is_slow), 0, NULL},
    {"dirty", T_BOOL, offsetof(struct port, is_dirty), 0, NULL},
    {"starving", T_BOOL, offsetof(struct port, is_starving), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot port_slots[] = {
    {Py_tp_doc, "See Port in histrio/_frames.py."},
    {Py_tp_init, port_init},
    {Py_tp_traverse, port_traverse},
    {Py_tp_clear, port_clear},
    {Py_tp_dealloc, port_dealloc},
    {Py_tp_methods, port_methods},
    {Py_tp_members, port_members},
    {0, NULL},
};

PyType_Spec port_spec = {
    .name = "histrio._core.Port",
    .basicsize = sizeof(struct port),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = port_slots,
};
