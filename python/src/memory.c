/* What histrio/_memory.py does with a mapping, without the GIL. */
#include "core.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* populate(mapping): puts the pages that the file has into a shared mapping of it, many at a time, where they
 * can be written to as well; else each first write would be a fault. False: not by this kernel. */
PyObject *memory_populate(PyObject *module, PyObject *args)
{
    Py_buffer mapping;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*", &mapping))
        return NULL;
    PyThreadState *gil = PyEval_SaveThread();
    int failed = madvise(mapping.buf, (size_t)mapping.len, MADV_POPULATE_READ);
    PyEval_RestoreThread(gil);
    PyBuffer_Release(&mapping);
    return PyBool_FromLong(failed == 0);
}

enum { LINE_BYTES = 64, AHEAD_BYTES = 4096, STREAM_BYTES = 16 * 1024 * 1024 };

#ifdef __SSE2__
static void stream_line(uint8_t *to, const uint8_t *from)
{
    __m128i *line = (__m128i *)to;
    const __m128i *source = (const __m128i *)from;
    __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(line, a);
    _mm_stream_si128(line + 1, b);
    _mm_stream_si128(line + 2, c);
    _mm_stream_si128(line + 3, d);
}
#endif

/* What is larger than the caches goes past them, so that no line is read only to be overwritten: six tenths
 * of memcpy()'s time, whose own limit is three quarters of a cache that all guests of a machine share. */
static void copy_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
#ifdef __SSE2__
    if (size >= STREAM_BYTES) {
        size_t head = -(uintptr_t)to % LINE_BYTES, end = size - (size - head) % LINE_BYTES;
        memcpy(to, from, head);
        for (size_t at = head; at < end; at += LINE_BYTES) {
            __builtin_prefetch(from + at + AHEAD_BYTES); /* behind the end it does nothing */
            stream_line(to + at, from + at);
        }
        _mm_sfence();
        memcpy(to + end, from + end, size - end);
        return;
    }
#endif
    memcpy(to, from, size);
}

/* copy(mapping, place, source): the bytes of `source` into the mapping, at `place`. */
PyObject *memory_copy(PyObject *module, PyObject *args)
{
    Py_buffer mapping, source;
    Py_ssize_t place;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*ny*", &mapping, &place, &source))
        return NULL;
    bool fits = place >= 0 && place <= mapping.len && source.len <= mapping.len - place;
    if (fits) {
        PyThreadState *gil = PyEval_SaveThread();
        copy_bytes((uint8_t *)mapping.buf + place, source.buf, (size_t)source.len);
        PyEval_RestoreThread(gil);
    } else {
        PyErr_SetString(PyExc_ValueError, "the mapping ends before");
    }
    PyBuffer_Release(&mapping);
    PyBuffer_Release(&source);
    return fits ? Py_NewRef(Py_None) : NULL;
}
