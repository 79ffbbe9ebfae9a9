/* The caller's side: an ask is pickled and sent, and its answer read and given to its Call, without frames of
 * Python's in between. Whatever is not as usual is left to Python, which does the same and says what is
 * wrong. */
#include "core.h"

enum { ARGUMENTS = 9 };

/* As codec.dumps(): what is large in it does not go the short way. */
static PyObject *pickle(struct port *port, PyObject *call)
{
    PyObject *args = PyTuple_Pack(2, call, port->core->protocol);
    PyObject *pickled = args ? PyObject_Call(port->core->dumps, args, port->core->refuse_large) : NULL;
    Py_XDECREF(args);
    return pickled;
}

/* send_call(kind, actor, method, number, timeout_ms, name, node, id, call): as send(), `call` pickled. */
PyObject *port_send_call(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct port *port = (struct port *)self;
    if (count != ARGUMENTS) {
        PyErr_Format(PyExc_TypeError, "send_call() takes %d arguments", ARGUMENTS);
        return NULL;
    }
    struct header header = {.kind = (uint8_t)PyLong_AsUnsignedLong(args[0]),
        .actor = (uint32_t)PyLong_AsUnsignedLong(args[1]),
        .number = PyLong_AsUnsignedLongLong(args[3]),
        .timeout_ms = (uint32_t)PyLong_AsUnsignedLong(args[4]),
        .node = PyLong_AsUnsignedLongLong(args[6]),
        .id = PyLong_AsUnsignedLongLong(args[7])};
    PyObject *pickled = PyErr_Occurred() ? NULL : pickle(port, args[8]);
    int64_t method = pickled ? port_number_of(port, args[2]) : -1;
    int64_t name = method >= 0 ? port_number_of(port, args[5]) : -1;
    int failed = -1;
    if (name >= 0) {
        header.method = (uint32_t)method;
        header.name = (uint32_t)name;
        failed = port_add_pickle(port, &header, pickled);
    }
    Py_XDECREF(pickled);
    return failed < 0 ? NULL : PyBool_FromLong(port_has_much(port));
}

/* The call that waits for it, taken out of the requests; NULL: nobody, or an exception. */
static PyObject *take_call(PyObject *calls, uint64_t number)
{
    PyObject *key = PyLong_FromUnsignedLongLong(number);
    PyObject *call = key ? PyDict_GetItemWithError(calls, key) : NULL;
    Py_XINCREF(call);
    if (call && PyDict_DelItem(calls, key) < 0)
        Py_CLEAR(call);
    Py_XDECREF(key);
    return call;
}

/* Takes the present exception, which unpickling has raised. */
static PyObject *say_unreadable(struct port *port, PyObject *call)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace)
        (void)PyException_SetTraceback(error, trace); /* a traceback: cannot fail */
    PyObject *done = PyObject_CallMethodObjArgs(call, port->core->unreadable, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return done;
}

/* What is unpickled may run code that reads from this port: the frame has been taken before. */
static PyObject *unpickle(struct port *port, PyObject *payload)
{
    Py_ssize_t size = PyBytes_Size(payload) - EXT_BYTES;
    PyObject *view = PyMemoryView_FromMemory(PyBytes_AsString(payload) + EXT_BYTES, size, PyBUF_READ);
    PyObject *value = view ? PyObject_CallFunctionObjArgs(port->core->loads, view, NULL) : NULL;
    Py_XDECREF(view);
    return value;
}

/* 1: it was an answer, and is taken and told to its call of that dict; 0: it is for Python; -1 error. */
static int answer(struct port *port, PyObject *calls, const struct header *header, const uint8_t *payload)
{
    size_t size = header->size - HEADER_BYTES;
    if (header->kind != FRAME_REPLY || (header->flags & HAS_BUFFERS) != 0)
        return 0;
    bool is_pickled = core_is_pickle(payload, size);
    PyObject *held = is_pickled ? PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)size)
                                : plain_read(payload, size);
    if (!held) {
        PyErr_Clear(); /* Python reads it once more, and says what is wrong */
        return 0;
    }
    uint64_t number = header->number;
    port_consume(port, header);
    PyObject *call = take_call(calls, number), *done = NULL;
    if (call) {
        PyObject *value = is_pickled ? unpickle(port, held) : held;
        done = value ? PyObject_CallMethodObjArgs(call, port->core->complete, value, NULL)
                     : say_unreadable(port, call);
        if (value != held)
            Py_XDECREF(value);
    }
    Py_XDECREF(done);
    Py_XDECREF(call);
    Py_DECREF(held);
    return PyErr_Occurred() ? -1 : 1;
}

Py_ssize_t port_take(struct port *port, PyObject *frames, PyObject *calls)
{
    struct header header;
    const uint8_t *payload;
    long long role = port->role;
    Py_ssize_t answers = 0;
    int there;
    while (port->role == role && (there = port_peek(port, &header, &payload)) != 0) {
        int taken = there > 0 && calls ? answer(port, calls, &header, payload) : 0;
        if (there < 0 || taken < 0)
            return -1;
        answers += taken;
        if (taken > 0)
            continue;
        PyObject *frame = port_frame(port, &header, payload, header.size - HEADER_BYTES);
        int failed = frame ? PyList_Append(frames, frame) : -1;
        Py_XDECREF(frame);
        if (failed < 0)
            return -1;
        port_consume(port, &header);
    }
    return answers;
}
