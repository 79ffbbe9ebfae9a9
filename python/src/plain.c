/* Values in msgpack, as actors in C send them: what _codec.py does by the package msgpack, for the types that
 * have no subtleties. Whatever else there is, is left to Python, which also says what is wrong with it. */
#include "core.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    unsigned depth;
    uint64_t owed; /* items that lists and maps around here are still to have */
};

static PyObject *read_value(struct reader *reader);

/* The next bytes, which are taken; NULL: there are fewer. */
static const uint8_t *take(struct reader *reader, uint64_t size)
{
    const uint8_t *bytes = reader->at;
    if ((uint64_t)(reader->end - bytes) < size)
        return NULL;
    reader->at += size;
    return bytes;
}

/* A number of 1, 2, 4 or 8 bytes, the highest first. */
static bool read_number(struct reader *reader, unsigned size, uint64_t *ret_number)
{
    const uint8_t *bytes = take(reader, size);
    *ret_number = 0;
    for (unsigned i = 0; bytes && i < size; i++)
        *ret_number = *ret_number << 8 | bytes[i];
    return bytes != NULL;
}

static PyObject *read_text(struct reader *reader, uint64_t size)
{
    const uint8_t *bytes = take(reader, size);
    return bytes ? PyUnicode_DecodeUTF8((const char *)bytes, (Py_ssize_t)size, NULL) : NULL;
}

static PyObject *read_bytes(struct reader *reader, uint64_t size)
{
    const uint8_t *bytes = take(reader, size);
    return bytes ? PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)size) : NULL;
}

/* Each item has a byte at least, those of outer ones as well, so no counts make us allocate what did not
 * come. */
static bool expect_items(struct reader *reader, uint64_t count)
{
    if (reader->depth >= DEPTH_MAX || reader->owed + count > (uint64_t)(reader->end - reader->at))
        return false;
    reader->owed += count;
    return true;
}

/* One that was expected. */
static PyObject *read_item(struct reader *reader)
{
    reader->owed--;
    return read_value(reader);
}

static PyObject *read_list(struct reader *reader, uint64_t count)
{
    PyObject *list = expect_items(reader, count) ? PyList_New((Py_ssize_t)count) : NULL;
    reader->depth++;
    for (uint64_t i = 0; list && i < count; i++) {
        PyObject *item = read_item(reader);
        if (item)
            PyList_SetItem(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    reader->depth--;
    return list;
}

static PyObject *read_map(struct reader *reader, uint64_t count)
{
    PyObject *map = expect_items(reader, count * 2) ? PyDict_New() : NULL;
    reader->depth++;
    for (uint64_t i = 0; map && i < count; i++) {
        PyObject *key = read_item(reader);
        PyObject *item = key && PyUnicode_CheckExact(key) ? read_item(reader) : NULL;
        if (!item || PyDict_SetItem(map, key, item) < 0)
            Py_CLEAR(map);
        Py_XDECREF(key);
        Py_XDECREF(item);
    }
    reader->depth--;
    return map;
}

static PyObject *read_float(struct reader *reader, unsigned size)
{
    uint64_t bits;
    double value;
    if (!read_number(reader, size, &bits))
        return NULL;
    if (size == sizeof(float)) {
        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof(single));
        value = single;
    } else {
        memcpy(&value, &bits, sizeof(value));
    }
    return PyFloat_FromDouble(value);
}

static PyObject *read_signed(struct reader *reader, unsigned size)
{
    uint64_t bits;
    if (!read_number(reader, size, &bits))
        return NULL;
    unsigned unused = 64 - 8 * size;
    return PyLong_FromLongLong((int64_t)(bits << unused) >> unused);
}

static PyObject *same(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

/* What has its size, or count, in the bytes behind its first one. */
static PyObject *read_sized(struct reader *reader, uint8_t first)
{
    static PyObject *(*const readers[])(struct reader *, uint64_t) = {read_text, read_list, read_map};
    uint64_t size;
    if (first >= 0xc4 && first <= 0xc6)
        return read_number(reader, 1u << (first - 0xc4), &size) ? read_bytes(reader, size) : NULL;
    if (first >= 0xd9 && first <= 0xdb)
        return read_number(reader, 1u << (first - 0xd9), &size) ? read_text(reader, size) : NULL;
    if (first >= 0xdc)
        return read_number(reader, first % 2 ? 4 : 2, &size) ? readers[first >= 0xde ? 2 : 1](reader, size)
                                                             : NULL;
    return NULL;
}

/* A new reference; NULL: it is not for us, with or without an exception. */
static PyObject *read_value(struct reader *reader)
{
    const uint8_t *byte = take(reader, 1);
    uint64_t number;
    if (!byte)
        return NULL;
    uint8_t first = *byte;
    if (first < 0x80)
        return PyLong_FromLong(first);
    if (first < 0x90)
        return read_map(reader, first & 0x0f);
    if (first < 0xa0)
        return read_list(reader, first & 0x0f);
    if (first < 0xc0)
        return read_text(reader, first & 0x1f);
    if (first >= 0xe0)
        return PyLong_FromLong((int8_t)first);
    switch (first) {
    case 0xc0: return same(Py_None);
    case 0xc2: return same(Py_False);
    case 0xc3: return same(Py_True);
    case 0xca: return read_float(reader, 4);
    case 0xcb: return read_float(reader, 8);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_number(reader, 1u << (first - 0xcc), &number) ? PyLong_FromUnsignedLongLong(number)
                                                                  : NULL;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return read_signed(reader, 1u << (first - 0xd0));
    default: return read_sized(reader, first);
    }
}

PyObject *plain_read(const uint8_t *data, size_t size)
{
    struct reader reader = {.at = data, .end = data + size};
    PyObject *value = read_value(&reader);
    if (value && reader.at != reader.end)
        Py_CLEAR(value);
    return value;
}

/* Takes the value. */
static PyObject *as_arguments(PyObject *value)
{
    PyObject *arguments = NULL;
    if (PyList_CheckExact(value)) {
        arguments = PyList_AsTuple(value);
    } else if ((arguments = PyTuple_New(1))) {
        PyTuple_SetItem(arguments, 0, same(value));
    }
    Py_DECREF(value);
    return arguments;
}

PyObject *plain_read_call(const uint8_t *data, size_t size)
{
    PyObject *value = size > 0 ? plain_read(data, size) : same(Py_None);
    PyObject *arguments, *named;
    if (!value)
        return NULL;
    if (PyDict_CheckExact(value)) {
        named = value;
        arguments = PyTuple_New(0);
    } else {
        named = PyDict_New();
        arguments = value == Py_None ? PyTuple_New(0) : as_arguments(value);
        if (value == Py_None)
            Py_DECREF(value);
    }
    PyObject *call = named && arguments ? PyTuple_New(2) : NULL;
    if (!call) {
        Py_XDECREF(named);
        Py_XDECREF(arguments);
        return NULL;
    }
    PyTuple_SetItem(call, 0, arguments);
    PyTuple_SetItem(call, 1, named);
    return call;
}

/* ---- writing ---- */

struct writer {
    struct buffer *out;
    size_t used;
};

static int write_value(struct writer *writer, PyObject *value, unsigned depth);

/* More than a message holds is never written, however often a value is in itself. */
static int put(struct writer *writer, const void *bytes, size_t size)
{
    writer->used += size;
    if (writer->used > PAYLOAD_BYTES_MAX || buffer_reserve(writer->out, size) < 0)
        return -1;
    if (size > 0)
        memcpy(writer->out->data + writer->out->end, bytes, size);
    writer->out->end += size;
    return 0;
}

/* A first byte, and a number of that size, the highest byte first. */
static int put_number(struct writer *writer, unsigned first, uint64_t number, unsigned size)
{
    uint8_t bytes[9] = {(uint8_t)first};
    for (unsigned i = 0; i < size; i++)
        bytes[1 + i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    return put(writer, bytes, 1 + size);
}

/* By the fewest bytes of 1, 2 and 4: `first` is the format of the smallest of them. */
static int put_size(struct writer *writer, unsigned first, size_t size, bool has_one_byte)
{
    if (has_one_byte && size <= UINT8_MAX)
        return put_number(writer, first, size, 1);
    unsigned next = has_one_byte ? first + 1 : first;
    return size <= UINT16_MAX ? put_number(writer, next, size, 2) : put_number(writer, next + 1, size, 4);
}

static int write_unsigned(struct writer *writer, uint64_t number)
{
    if (number < 0x80)
        return put_number(writer, (unsigned)number, 0, 0);
    if (number <= UINT8_MAX)
        return put_number(writer, 0xcc, number, 1);
    if (number <= UINT16_MAX)
        return put_number(writer, 0xcd, number, 2);
    return number <= UINT32_MAX ? put_number(writer, 0xce, number, 4) : put_number(writer, 0xcf, number, 8);
}

static int write_integer(struct writer *writer, PyObject *value)
{
    int overflow;
    int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow > 0) {
        uint64_t large = PyLong_AsUnsignedLongLong(value);
        return PyErr_Occurred() ? -1 : write_unsigned(writer, large);
    }
    if (overflow < 0)
        return -1;
    if (number >= 0)
        return write_unsigned(writer, (uint64_t)number);
    if (number >= -32)
        return put_number(writer, (uint8_t)number, 0, 0);
    if (number >= INT8_MIN)
        return put_number(writer, 0xd0, (uint64_t)number, 1);
    if (number >= INT16_MIN)
        return put_number(writer, 0xd1, (uint64_t)number, 2);
    return number >= INT32_MIN ? put_number(writer, 0xd2, (uint64_t)number, 4)
                               : put_number(writer, 0xd3, (uint64_t)number, 8);
}

static int write_text(struct writer *writer, PyObject *value)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (!bytes)
        return -1;
    int failed = size < 32 ? put_number(writer, 0xa0u | (unsigned)size, 0, 0)
                           : put_size(writer, 0xd9, (size_t)size, true);
    return failed < 0 ? -1 : put(writer, bytes, (size_t)size);
}

static int write_bytes(struct writer *writer, PyObject *value)
{
    Py_ssize_t size = PyBytes_Size(value);
    if (put_size(writer, 0xc4, (size_t)size, true) < 0)
        return -1;
    return put(writer, PyBytes_AsString(value), (size_t)size);
}

/* Of a list or tuple. */
static int write_items(struct writer *writer, PyObject *value, unsigned depth)
{
    bool is_list = PyList_CheckExact(value);
    Py_ssize_t count = is_list ? PyList_Size(value) : PyTuple_Size(value);
    int failed = count < 16 ? put_number(writer, 0x90u | (unsigned)count, 0, 0)
                            : put_size(writer, 0xdc, (size_t)count, false);
    for (Py_ssize_t i = 0; failed == 0 && i < count; i++)
        failed = write_value(writer, is_list ? PyList_GetItem(value, i) : PyTuple_GetItem(value, i), depth);
    return failed;
}

static int write_map(struct writer *writer, PyObject *value, unsigned depth)
{
    Py_ssize_t count = PyDict_Size(value), at = 0;
    PyObject *key, *item;
    int failed = count < 16 ? put_number(writer, 0x80u | (unsigned)count, 0, 0)
                            : put_size(writer, 0xde, (size_t)count, false);
    while (failed == 0 && PyDict_Next(value, &at, &key, &item))
        failed = write_value(writer, key, depth) < 0 ? -1 : write_value(writer, item, depth);
    return failed;
}

static int write_value(struct writer *writer, PyObject *value, unsigned depth)
{
    if (value == Py_None)
        return put_number(writer, 0xc0, 0, 0);
    if (PyLong_CheckExact(value))
        return write_integer(writer, value);
    if (PyUnicode_CheckExact(value))
        return write_text(writer, value);
    if (value == Py_True || value == Py_False)
        return put_number(writer, value == Py_True ? 0xc3 : 0xc2, 0, 0);
    if (PyFloat_CheckExact(value)) {
        uint64_t bits;
        double number = PyFloat_AsDouble(value);
        memcpy(&bits, &number, sizeof(bits));
        return put_number(writer, 0xcb, bits, 8);
    }
    if (PyBytes_CheckExact(value))
        return write_bytes(writer, value);
    if (depth >= DEPTH_MAX)
        return -1;
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value))
        return write_items(writer, value, depth + 1);
    return PyDict_CheckExact(value) ? write_map(writer, value, depth + 1) : -1;
}

int plain_write(struct buffer *out, PyObject *value)
{
    struct writer writer = {.out = out};
    return write_value(&writer, value, 0);
}
