#include "core.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { FIRST = 2, PAGE_BYTES = 4096 };
static const uint64_t over_bit = 1ull << 63;

uint32_t page_begin(struct page *page, uint64_t number)
{
    if (page->free_count == 0)
        return 0;
    uint32_t entry = page->free_entries[--page->free_count];
    page->words[entry] = number;
    return entry;
}

void page_over(struct page *page, uint32_t entry)
{
    page->words[entry] |= over_bit;
    page->over[page->over_count++] = entry;
}

void page_on_stack(struct page *page, uint64_t number, uint64_t now_ns)
{
    page->words[0] = now_ns;
    page->words[FIRST] = number;
}

size_t page_take_over(struct page *page, uint32_t *ret_entries)
{
    size_t count = page->over_count;
    memcpy(ret_entries, page->over, count * sizeof(*ret_entries));
    page->over_count = 0;
    return count;
}

void page_clear(struct page *page, const uint32_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        page->words[entries[i]] = 0;
        page->free_entries[page->free_count++] = entries[i];
    }
}

/* ---- the type ---- */

static void page_unmap(struct page *page)
{
    if (page->words && page->is_heap)
        PyMem_Free(page->words);
    else if (page->words)
        (void)munmap(page->words, page->bytes); /* ours: cannot fail */
    page->words = NULL;
}

static int page_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct page *page = (struct page *)self;
    struct stat status = {.st_size = PAGE_BYTES};
    int fd = -1;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "|i", &fd))
        return -1;
    if (page->words || (fd >= 0 && fstat(fd, &status) < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    page->bytes = (size_t)status.st_size;
    page->count = page->bytes / sizeof(uint64_t);
    int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *memory =
        page->count > FIRST + 1 ? mmap(NULL, page->bytes, PROT_READ | PROT_WRITE, flags, fd, 0) : MAP_FAILED;
    page->free_entries = PyMem_Calloc(page->count, sizeof(uint32_t));
    page->over = PyMem_Calloc(page->count, sizeof(uint32_t));
    if (memory == MAP_FAILED || !page->free_entries || !page->over) {
        if (memory != MAP_FAILED)
            (void)munmap(memory, page->bytes); /* ours: cannot fail */
        PyErr_SetString(PyExc_OSError, "the page cannot be mapped");
        return -1;
    }
    page->words = memory;
    for (size_t entry = page->count - 1; entry > FIRST; entry--)
        page->free_entries[page->free_count++] = (uint32_t)entry;
    return 0;
}

static void page_dealloc(PyObject *self)
{
    struct page *page = (struct page *)self;
    PyTypeObject *type = Py_TYPE(self);
    page_unmap(page);
    PyMem_Free(page->free_entries);
    PyMem_Free(page->over);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *page_begin_(PyObject *self, PyObject *number)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return NULL;
    return PyLong_FromUnsignedLong(page_begin((struct page *)self, value));
}

static PyObject *page_over_(PyObject *self, PyObject *entry)
{
    struct page *page = (struct page *)self;
    size_t value = PyLong_AsSize_t(entry);
    if (PyErr_Occurred())
        return NULL;
    if (value <= FIRST || value >= page->count || page->over_count == page->count) {
        PyErr_SetString(PyExc_ValueError, "no such entry");
        return NULL;
    }
    page_over(page, (uint32_t)value);
    Py_RETURN_NONE;
}

static PyObject *page_on_stack_(PyObject *self, PyObject *number)
{
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return NULL;
    page_on_stack((struct page *)self, value, value ? core_now_ns() : 0);
    Py_RETURN_NONE;
}

static PyObject *page_in_loop(PyObject *self, PyObject *running)
{
    int is_running = PyObject_IsTrue(running);
    if (is_running < 0)
        return NULL;
    ((struct page *)self)->words[1] = is_running ? core_now_ns() : 0;
    Py_RETURN_NONE;
}

static PyObject *page_forget(PyObject *self, PyObject *nothing)
{
    struct page *page = (struct page *)self;
    (void)nothing;
    uint64_t *copy = PyMem_Calloc(page->count, sizeof(uint64_t));
    if (!copy)
        return PyErr_NoMemory();
    page_unmap(page);
    page->words = copy;
    page->is_heap = true;
    Py_RETURN_NONE;
}

static PyMethodDef page_methods[] = {
    {"begin", page_begin_, METH_O, NULL},
    {"over", page_over_, METH_O, NULL},
    {"on_stack", page_on_stack_, METH_O, NULL},
    {"in_loop", page_in_loop, METH_O, NULL},
    {"forget", page_forget, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot page_slots[] = {
    {Py_tp_doc, "See histrio/_page.py."},
    {Py_tp_init, page_init},
    {Py_tp_dealloc, page_dealloc},
    {Py_tp_methods, page_methods},
    {0, NULL},
};

PyType_Spec page_spec = {
    .name = "histrio._core.Page",
    .basicsize = sizeof(struct page),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = page_slots,
};
