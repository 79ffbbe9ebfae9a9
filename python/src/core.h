/* histrio._core: frames, batching and the dispatch loop of worker processes, in C (limited API of
 * CPython 3.11). histrio/_frames.py and histrio/_page.py are the same in Python, and say what each method
 * does. docs/host.md is the protocol.
 *
 * Threads: everything is guarded by the GIL, which is given up only in system calls and handlers; what a
 * pointer into a buffer refers to is not used across those. */
#ifndef HISTRIO_CORE_H
#define HISTRIO_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pythread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    BUFFER_BYTES = 64 * 1024,
    FLUSH_BYTES = 32 * 1024, /* so many are sent while others are made: some hundred small asks */
    FLUSH_DESCRIPTORS = 16,  /* the same: a process has few, and large data is behind each */
};

enum frame_kind {
    FRAME_INTERN = 3,
    FRAME_TELL = 7,
    FRAME_ASK = 8,
    FRAME_REPLY = 9,
    FRAME_DONE = 11,
};

enum {
    HEADER_BYTES = 48,
    PAYLOAD_BYTES_MAX = 4 * 1024 * 1024,
    FRAME_BYTES_MAX = PAYLOAD_BYTES_MAX + 64 * 1024,
    TEXT_BYTES_MAX = 512,
    TEXTS_MAX = 65536,
    EXT_BYTES = 6, /* before the bytes of an ext value: 0xc9, size, type */
    EXT_PICKLE = 80,
    LARGE_PICKLE_BYTES = 1024 * 1024, /* from here on it goes beside the frame, as in histrio/_buffers.py */
    HAS_BUFFERS = 1,                  /* flag: a descriptor comes with the frame */
    DESCRIPTORS_MAX = 2,
    NO_DESCRIPTOR = -2,
};

/* As it is on the socket, little endian as all machines that this is built for. */
struct header {
    uint32_t size;
    uint8_t kind;
    uint8_t code;
    uint16_t flags;
    uint32_t actor;
    uint32_t method;
    uint64_t number;
    uint32_t timeout_ms;
    uint32_t name;
    uint64_t node;
    uint64_t id;
} __attribute__((packed));

/* Of Execution in histrio/_runtime.py. */
enum attribute {
    ATTRIBUTE_CELL,
    ATTRIBUTE_NUMBER,
    ATTRIBUTE_DEADLINE,
    ATTRIBUTE_CHAIN,
    ATTRIBUTE_TRACE,
    ATTRIBUTE_ORIGIN,
    ATTRIBUTE_COUNT
};

/* Of the module: types, and what it uses of Python's. */
struct core {
    PyTypeObject *frame_type;
    PyTypeObject *port_type;
    PyTypeObject *page_type;
    PyTypeObject *gate_type;
    PyTypeObject *methods_type;
    PyObject *closed; /* exceptions of histrio._frames */
    PyObject *broken_frame;
    PyObject *loads; /* pickle.loads, pickle.dumps */
    PyObject *dumps;
    PyObject *protocol; /* 5 */
    PyObject *attach;   /* histrio._buffers.attach, and the class it makes */
    PyObject *attached;
    PyObject *encode_pickle; /* of histrio._buffers */
    PyObject *refuse_large;  /* {"buffer_callback": histrio._buffers.refuse_large} */
    PyObject *complete;      /* names of Call's methods */
    PyObject *unreadable;
    PyObject *attributes[ATTRIBUTE_COUNT];
};

/* ---- page.c: see histrio/_page.py ---- */

struct page {
    PyObject_HEAD uint64_t *words;
    size_t bytes;
    size_t count;
    bool is_heap;
    uint32_t *free_entries;
    size_t free_count;
    uint32_t *over; /* marked, and not yet taken by a flush */
    size_t over_count;
};

extern PyType_Spec page_spec;

uint32_t page_begin(struct page *page, uint64_t number);
void page_over(struct page *page, uint32_t entry);
/* The handler of the delivery runs on the dispatcher since now_ns; 0, 0: none. */
void page_on_stack(struct page *page, uint64_t number, uint64_t now_ns);
/* Moves the marked entries to ret_entries (room for all words) and returns how many. */
size_t page_take_over(struct page *page, uint32_t *ret_entries);
void page_clear(struct page *page, const uint32_t *entries, size_t count);

/* ---- gate.c: an actor whose plain handlers the loop may run ---- */

struct gate_method {
    PyObject *name; /* interned */
    PyObject *function;
    bool is_slow; /* it lately ran for long: answers before it are not held back */
};

/* Of a class: all of its actors share it. */
struct methods {
    PyObject_HEAD struct gate_method *items;
    size_t count;
};

struct gate {
    PyObject_HEAD PyObject *cell;
    PyObject *object;
    struct methods *methods;
    bool is_busy;   /* a handler is on some stack: deliveries wait in the cell */
    bool is_closed; /* the same of handlers that Python runs, or of deliveries that wait */
    bool attention; /* the cell has something to do when the handler is over */
    bool has_ended;
};

extern PyType_Spec methods_spec, gate_spec;

struct gate_method *gate_find(const struct gate *gate, PyObject *name);

/* ---- port.c, port_write.c: the socket ---- */

struct buffer {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
};

/* Frames with a descriptor, in order. */
struct outgoing {
    struct {
        size_t place; /* in the buffer */
        int fd;
        PyObject *payload; /* has it */
    } * items;
    size_t count;
};

struct port {
    PyObject_HEAD struct core *core;
    PyObject *socket;
    int fd;
    struct buffer in;
    PyObject **texts; /* by number */
    size_t text_count;
    struct buffer out;
    struct buffer writing; /* guarded by write_lock */
    struct outgoing outgoing;
    int descriptors[DESCRIPTORS_MAX]; /* that came before their frames were taken; -1: there was no room for
                                         it */
    unsigned descriptor_count;
    uint32_t *cleared; /* guarded by write_lock: entries of the page that the write tells */
    PyObject *numbers; /* text to number */
    PyObject *names;   /* number to text: the same backwards */
    uint32_t last_number;
    PyThread_type_lock write_lock;
    bool is_abandoned;
    bool is_slow;           /* the method of the handler that is on the dispatcher's stack */
    bool is_dirty;          /* somebody printed without an end of line */
    bool is_starving;       /* deliveries wait for room in the page */
    uint32_t spins_in_vain; /* before sleeps; less for each in which something came */
    uint32_t spins_skipped;

    /* of workers, set by serve() */
    struct page *page;
    PyObject *serve[5];  /* enum served */
    struct gate **gates; /* by slot */
    size_t gate_count;
    long long role;       /* which lane dispatches */
    uint64_t received_ns; /* when what is in the input came */
    uint64_t ended_ns;    /* when the last handler was over */
};

enum served {
    SERVED_EXECUTION, /* Execution, the class */
    SERVED_SET,       /* executing.set */
    SERVED_FINISH,    /* (cell, frame, entry, value, error, call, pickled): the loop could not end it */
    SERVED_ATTEND,    /* (cell): see struct gate.attention, and is_starving */
    SERVED_DIRTY,     /* (): finish lines */
};

extern PyType_Spec port_spec;

int buffer_reserve(struct buffer *buffer, size_t bytes);

/* Reads once: 1 something came, 0 the time (ms, -1: none) passed or a signal came, -1 error. */
int port_receive(struct port *port, int timeout_ms);
/* The next whole frame: 1, with its header and payload in the buffer; 0: not there yet; -1 error. Takes
 * INTERN by itself. */
int port_peek(struct port *port, struct header *ret_header, const uint8_t **ret_payload);
/* What port_peek() gave is done with. */
void port_consume(struct port *port, const struct header *header);
PyObject *port_text(struct port *port, uint32_t number);
/* A Frame of it. payload_size: what to copy of the payload. */
PyObject *port_frame(
    struct port *port, const struct header *header, const uint8_t *payload, size_t payload_size);
/* Adds a frame; the payload is `first` and `second` behind one another. */
int port_add(struct port *port, struct header *header, const void *first, size_t first_size,
    const void *second, size_t second_size);
/* DONE, or a REPLY, of a delivery with that header: a value in msgpack, which may be not for us (plain.c), or
 * the bytes of a pickle (NULL: None). */
int port_done(struct port *port, const struct header *delivery);
int port_reply_plain(struct port *port, const struct header *delivery, PyObject *value);
int port_reply(struct port *port, const struct header *delivery, PyObject *pickled);
/* A frame with the bytes of a pickle, or with a descriptor of a file that has them. */
int port_add_pickle(struct port *port, struct header *header, PyObject *pickled);
/* The number of a text that we say, which is told before; -1: an exception. */
int64_t port_number_of(struct port *port, PyObject *text);
int port_flush(struct port *port);
/* Whether enough was added for a flush to be worth it. */
bool port_has_much(const struct port *port);
PyObject *port_send(PyObject *self, PyObject *args, PyObject *kwargs);
int port_close_error(struct port *port);

/* ---- plain.c: values in msgpack ---- */

/* A value; NULL: it is not for us, with or without an exception. */
PyObject *plain_read(const uint8_t *data, size_t size);
/* (args, kwargs) of a message; NULL as above. */
PyObject *plain_read_call(const uint8_t *data, size_t size);
/* Adds the value, at most as much as a message holds. -1: it is not for us, as above; a part of it may have
 * been added. Runs no code of Python's. */
int plain_write(struct buffer *out, PyObject *value);

/* ---- buffers.c: descriptors beside the bytes, see histrio/_buffers.py ---- */

/* As recv(), without the GIL; *ret_fd: the descriptor that came, -1 when it was lost, NO_DESCRIPTOR for none.
 */
ssize_t buffers_receive(int fd, void *data, size_t size, int flags, int *ret_fd);
/* That descriptor is for a frame to come. */
void buffers_came(struct port *port, int fd);
/* The payload of a frame, which it takes, with the descriptor that came for it. */
PyObject *buffers_attach(struct port *port, PyObject *payload);
/* Whether a payload has a descriptor. */
bool buffers_are_in(const struct port *port, PyObject *payload);
/* The next frame of the output goes with it. */
int buffers_add(struct port *port, PyObject *payload);
/* Writes all of the buffer, without the GIL. 0, or -1: the connection is over. */
int buffers_write(int fd, const struct buffer *buffer, const struct outgoing *outgoing);
void buffers_drop(struct outgoing *outgoing);
void buffers_done(struct port *port);

/* ---- memory.c: functions of the module ---- */

PyObject *memory_populate(PyObject *module, PyObject *args);
PyObject *memory_copy(PyObject *module, PyObject *args);

/* ---- call.c: asks and their answers ---- */

PyObject *port_send_call(PyObject *self, PyObject *const *args, Py_ssize_t count);
/* Appends the frames that are there; answers to calls of that dict (NULL: none) are told to them instead.
 * Returns how many of these there were; -1 error. */
Py_ssize_t port_take(struct port *port, PyObject *frames, PyObject *calls);
/* Whether a payload is Python's: (args, kwargs, ...), or a result. */
static inline bool core_is_pickle(const uint8_t *payload, size_t size)
{
    return size > EXT_BYTES && payload[0] == 0xc9 && payload[5] == EXT_PICKLE;
}

/* ---- dispatch.c ---- */

/* next(lane): runs handlers of gates; returns the frames that are for Python. */
PyObject *port_next(PyObject *self, PyObject *lane);
uint64_t core_now_ns(void);

#endif
