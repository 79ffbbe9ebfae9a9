/* The loop of the dispatcher: messages to plain handlers are read, run and answered here, in pickle or
 * msgpack as they came; all else goes to Python.
 *
 * Invariants:
 * 1. A handler may block, and another thread may dispatch meanwhile, on this very port. So nothing of the
 * input is kept over a handler, and after it we go on only when the role is still ours.
 * 2. A delivery is in the page from before its handler until its answer is written. */
#include "core.h"

#include <string.h>
#include <time.h>

enum { SLOW_NS = 100 * 1000, FRAMES_MAX = 256 };
enum run { RUN_ERROR = -1, RUN_DONE = 0, RUN_NOT_OURS = 1 };

/* One message on its way. */
struct delivery {
    struct gate *gate;
    struct gate_method *method;
    struct header header;
    uint32_t entry;
    bool is_pickled; /* else it is msgpack */
    PyObject *payload;
    PyObject *arguments; /* (object, ...) */
    PyObject *named;     /* NULL: none */
    PyObject *chain;     /* borrowed of `call`; NULL: none */
    PyObject *trace;
    PyObject *call; /* (args, kwargs) or (args, kwargs, context) */
};

uint64_t core_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void delivery_done(struct delivery *delivery)
{
    Py_CLEAR(delivery->arguments);
    Py_CLEAR(delivery->call);
    Py_CLEAR(delivery->payload);
    Py_CLEAR(delivery->gate);
}

/* ---- whether it is one for this loop ---- */

static struct gate *gate_of(struct port *port, const struct header *header)
{
    if ((header->kind != FRAME_ASK && header->kind != FRAME_TELL) || header->actor >= port->gate_count ||
        (header->flags & HAS_BUFFERS) != 0)
        return NULL;
    struct gate *gate = port->gates[header->actor];
    if (!gate || gate->is_busy || gate->is_closed || gate->attention || gate->has_ended)
        return NULL;
    return gate;
}

/* The context of (args, kwargs, context): true when it holds nothing but what messages inherit. */
static bool read_context(struct delivery *delivery, PyObject *context)
{
    if (!PyDict_Check(context))
        return false;
    delivery->chain = PyDict_GetItemString(context, "chain");
    delivery->trace = PyDict_GetItemString(context, "trace");
    return PyDict_Size(context) == (delivery->chain != NULL) + (delivery->trace != NULL);
}

/* What came as Python's (args, kwargs, ...); NULL: it is for Python to read. */
static PyObject *decode(struct port *port, struct delivery *delivery)
{
    char *bytes = PyBytes_AsString(delivery->payload);
    Py_ssize_t size = PyBytes_Size(delivery->payload);
    delivery->is_pickled = core_is_pickle((const uint8_t *)bytes, (size_t)size);
    if (!delivery->is_pickled)
        return plain_read_call((const uint8_t *)bytes, (size_t)size);
    PyObject *view = PyMemoryView_FromMemory(bytes + EXT_BYTES, size - EXT_BYTES, PyBUF_READ);
    PyObject *call = view ? PyObject_CallFunctionObjArgs(port->core->loads, view, NULL) : NULL;
    Py_XDECREF(view);
    return call;
}

static bool read_call(struct port *port, struct delivery *delivery)
{
    PyObject *call = delivery->call = decode(port, delivery);
    if (!call || !PyTuple_Check(call) || PyTuple_Size(call) < 2)
        return false;
    PyObject *args = PyTuple_GetItem(call, 0), *named = PyTuple_GetItem(call, 1);
    if (!PyTuple_Check(args) || !PyDict_Check(named))
        return false;
    if (PyTuple_Size(call) > 2 && !read_context(delivery, PyTuple_GetItem(call, 2)))
        return false;
    Py_ssize_t count = PyTuple_Size(args);
    delivery->arguments = PyTuple_New(count + 1);
    if (!delivery->arguments)
        return false;
    Py_INCREF(delivery->gate->object);
    PyTuple_SetItem(delivery->arguments, 0, delivery->gate->object);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GetItem(args, i);
        Py_INCREF(item);
        PyTuple_SetItem(delivery->arguments, i + 1, item);
    }
    delivery->named = PyDict_Size(named) > 0 ? named : NULL;
    return true;
}

/* ---- what the handler sees ---- */

static int call_served(struct port *port, enum served which, PyObject *argument)
{
    PyObject *done = PyObject_CallFunctionObjArgs(port->serve[which], argument, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int set_take(struct port *port, PyObject *execution, enum attribute attribute, PyObject *value)
{
    int failed = value ? PyObject_SetAttr(execution, port->core->attributes[attribute], value) : -1;
    Py_XDECREF(value);
    return failed;
}

static PyObject *new_ref(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static PyObject *origin_of(struct port *port, const struct header *header)
{
    if (header->name == 0 && header->node == 0 && header->id == 0)
        return new_ref(Py_None);
    PyObject *name = port_text(port, header->name);
    return name ? Py_BuildValue(
                      "(OKK)", name, (unsigned long long)header->node, (unsigned long long)header->id)
                : NULL;
}

/* An execution for each message: contexts that were copied (contextvars.copy_context(), tasks, threads) go on
 * having that of theirs, and nothing tells whether there are any. All of its attributes are set here, so its
 * constructor need not be called. */
static int describe(struct port *port, struct delivery *delivery, uint64_t now)
{
    const struct header *header = &delivery->header;
    PyObject *execution = PyType_GenericAlloc((PyTypeObject *)port->serve[SERVED_EXECUTION], 0);
    if (!execution)
        return -1;
    double deadline = (double)now / 1e9 + (double)header->timeout_ms / 1e3;
    PyObject *until = header->timeout_ms > 0 ? PyFloat_FromDouble(deadline) : new_ref(Py_None);
    PyObject *chain = delivery->chain ? new_ref(delivery->chain) : PyTuple_New(0);
    PyObject *trace = delivery->trace ? new_ref(delivery->trace) : new_ref(port->texts[0]);
    int failed = set_take(port, execution, ATTRIBUTE_CELL, new_ref(delivery->gate->cell));
    failed |= set_take(port, execution, ATTRIBUTE_NUMBER, PyLong_FromUnsignedLongLong(header->number));
    failed |= set_take(port, execution, ATTRIBUTE_DEADLINE, until);
    failed |= set_take(port, execution, ATTRIBUTE_CHAIN, chain);
    failed |= set_take(port, execution, ATTRIBUTE_TRACE, trace);
    failed |= set_take(port, execution, ATTRIBUTE_ORIGIN, origin_of(port, header));
    if (failed == 0)
        failed = call_served(port, SERVED_SET, execution);
    Py_DECREF(execution);
    return failed;
}

/* ---- its answer ---- */

/* What the loop cannot end by itself: an exception, or a value that is not to be sent. Takes the present
 * exception. */
static int leave_to_python(struct port *port, struct delivery *delivery, PyObject *value)
{
    PyObject *type = NULL, *error = NULL, *trace = NULL;
    if (!value) {
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        if (trace)
            PyException_SetTraceback(error, trace);
    }
    PyObject *frame = port_frame(port, &delivery->header, NULL, 0);
    PyObject *entry = frame ? PyLong_FromUnsignedLong(delivery->entry) : NULL;
    PyObject *done = entry ? PyObject_CallFunctionObjArgs(port->serve[SERVED_FINISH], delivery->gate->cell,
                                 frame, entry, value ? value : Py_None, error ? error : Py_None,
                                 delivery->call, delivery->is_pickled ? Py_True : Py_False, NULL)
                           : NULL;
    delivery->entry = 0;
    Py_XDECREF(frame);
    Py_XDECREF(entry);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* True: the answer is in the buffer, or nobody wants it. */
static bool answer(struct port *port, struct delivery *delivery, PyObject *value)
{
    if (delivery->header.kind == FRAME_TELL)
        return port_done(port, &delivery->header) == 0;
    PyObject *pickled = NULL;
    if (!delivery->is_pickled) {
        bool is_added = port_reply_plain(port, &delivery->header, value) == 0;
        PyErr_Clear(); /* as below */
        return is_added;
    }
    if (PyObject_CheckBuffer(value) && !PyBytes_CheckExact(value))
        return false; /* it may be large: Python looks */
    if (value != Py_None)
        pickled = PyObject_CallFunctionObjArgs(port->core->dumps, value, port->core->protocol, NULL);
    bool is_added = (pickled || value == Py_None) && port_reply(port, &delivery->header, pickled) == 0;
    PyErr_Clear(); /* Python says what is wrong with the value */
    Py_XDECREF(pickled);
    return is_added;
}

/* ---- running ---- */

/* After the handler: the frame that ends the delivery. */
static int end(struct port *port, struct delivery *delivery, PyObject *value)
{
    struct gate *gate = delivery->gate;
    int failed = 0;
    if (port->is_dirty && !gate->has_ended) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace); /* the handler's */
        if (call_served(port, SERVED_DIRTY, NULL) < 0)
            PyErr_Clear(); /* a line that is lost is no reason to leave the delivery without its end */
        PyErr_Restore(type, error, trace);
    }
    if (!gate->has_ended && (!value || port->is_abandoned || !answer(port, delivery, value)))
        failed = leave_to_python(port, delivery, value);
    else if (gate->has_ended)
        PyErr_Clear();
    gate->is_busy = false;
    if (delivery->entry)
        page_over(port->page, delivery->entry);
    if (failed == 0 && (gate->attention || port->is_starving)) {
        gate->attention = false;
        failed = call_served(port, SERVED_ATTEND, gate->cell);
    }
    return failed;
}

/* Runs the handler of a delivery that is in the page; it takes the delivery. */
static enum run handle(struct port *port, struct delivery *delivery)
{
    struct gate_method *method = delivery->method;
    long long role = port->role;
    uint64_t began = core_now_ns();
    PyObject *value = NULL;
    port->is_slow = method->is_slow;
    page_on_stack(port->page, delivery->header.number, began);
    delivery->gate->is_busy = true;
    if (describe(port, delivery, began) == 0)
        value = PyObject_Call(method->function, delivery->arguments, delivery->named);
    port->ended_ns = core_now_ns();
    method->is_slow = port->ended_ns - began > SLOW_NS;
    int failed = end(port, delivery, value);
    Py_XDECREF(value);
    delivery_done(delivery);
    if (failed == 0 && port->role != role)
        failed = port_flush(port);
    return failed < 0 ? RUN_ERROR : RUN_DONE;
}

/* Runs the message at the front of the input, which it takes. RUN_NOT_OURS: *ret_frame is for Python. */
static enum run run(struct port *port, struct gate *gate, const struct header *header, const uint8_t *payload,
    PyObject **ret_frame)
{
    struct delivery delivery = {.gate = gate, .header = *header};
    PyObject *name = port_text(port, header->method);
    if (!name)
        return RUN_ERROR;
    size_t size = header->size - HEADER_BYTES;
    delivery.method = gate_find(gate, name);
    delivery.payload = PyBytes_FromStringAndSize((const char *)payload, (Py_ssize_t)size);
    if (!delivery.payload)
        return RUN_ERROR;
    Py_INCREF((PyObject *)gate);
    port_consume(port, header);
    bool is_slow = !delivery.method || delivery.method->is_slow;
    if ((is_slow || port_has_much(port)) && port_flush(port) < 0) {
        delivery_done(&delivery);
        return RUN_ERROR;
    }
    if (delivery.method && read_call(port, &delivery))
        delivery.entry = page_begin(port->page, header->number);
    if (delivery.entry == 0) {
        PyErr_Clear(); /* Python reads it once more, and says what is wrong */
        uint8_t *bytes = (uint8_t *)PyBytes_AsString(delivery.payload);
        *ret_frame = port_frame(port, &delivery.header, bytes, size);
        delivery_done(&delivery);
        return *ret_frame ? RUN_NOT_OURS : RUN_ERROR;
    }
    return handle(port, &delivery);
}

/* Waits for input, with nothing left to tell. */
static int wait_for_input(struct port *port)
{
    page_on_stack(port->page, 0, 0);
    return port_flush(port) < 0 ? -1 : port_receive(port, -1);
}

/* Whether its time ran out before it began: then nobody wants it. */
static bool has_expired(const struct port *port, const struct header *header)
{
    return header->timeout_ms > 0 && port->ended_ns > port->received_ns &&
           port->ended_ns - port->received_ns >= header->timeout_ms * (uint64_t)1000000;
}

/* Runs handlers, and appends to frames what is for Python, up to the next handler. */
static int gather(struct port *port, long long lane, PyObject *frames, bool *ret_has_run)
{
    while (port->role == lane && PyList_Size(frames) < FRAMES_MAX) {
        struct header header;
        const uint8_t *payload;
        int there = port_peek(port, &header, &payload);
        if (there < 0)
            return -1;
        if (there == 0) {
            if (PyList_Size(frames) > 0)
                return 0;
            if (wait_for_input(port) < 0)
                return -1;
            continue;
        }
        struct gate *gate = gate_of(port, &header);
        if (gate && PyList_Size(frames) > 0)
            return 0; /* what came before comes first */
        PyObject *frame = NULL;
        if (gate && has_expired(port, &header)) {
            port_consume(port, &header);
            if (port_done(port, &header) < 0)
                return -1;
            continue;
        }
        if (gate) {
            enum run ran = run(port, gate, &header, payload, &frame);
            *ret_has_run = true;
            if (ran == RUN_DONE)
                continue;
        } else {
            frame = port_frame(port, &header, payload, header.size - HEADER_BYTES);
            port_consume(port, &header);
        }
        int failed = frame ? PyList_Append(frames, frame) : -1;
        Py_XDECREF(frame);
        if (failed < 0)
            return -1;
    }
    return 0;
}

PyObject *port_next(PyObject *self, PyObject *lane)
{
    struct port *port = (struct port *)self;
    long long number = PyLong_AsLongLong(lane);
    if (PyErr_Occurred())
        return NULL;
    if (!port->page) {
        PyErr_SetString(PyExc_RuntimeError, "serve() comes first");
        return NULL;
    }
    PyObject *frames = PyList_New(0);
    bool has_run = false;
    if (frames && gather(port, number, frames, &has_run) < 0)
        Py_CLEAR(frames);
    if (has_run) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        if (call_served(port, SERVED_SET, Py_None) < 0)
            PyErr_Clear(); /* out of memory: the next message sets it */
        PyErr_Restore(type, error, trace);
    }
    if (port->role == number)
        page_on_stack(port->page, 0, 0);
    return frames;
}
