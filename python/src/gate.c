#include "core.h"

#include <structmember.h>

struct gate_method *gate_find(struct gate *gate, PyObject *name)
{
    for (size_t i = 0; i < gate->method_count; i++)
        if (gate->methods[i].name == name)
            return &gate->methods[i];
    return NULL;
}

static int gate_set_methods(struct gate *gate, PyObject *functions)
{
    Py_ssize_t at = 0;
    PyObject *name, *function;
    gate->methods = PyMem_Calloc((size_t)PyDict_Size(functions) + 1, sizeof(*gate->methods));
    if (!gate->methods) {
        PyErr_NoMemory();
        return -1;
    }
    while (PyDict_Next(functions, &at, &name, &function)) {
        struct gate_method *method = &gate->methods[gate->method_count++];
        Py_INCREF(name);
        Py_INCREF(function);
        PyUnicode_InternInPlace(&name);
        *method = (struct gate_method){name, function, true};
    }
    return 0;
}

static int gate_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct gate *gate = (struct gate *)self;
    PyObject *cell, *object, *functions;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOO", &cell, &object, &functions))
        return -1;
    if (gate->cell || !PyDict_Check(functions)) {
        PyErr_SetString(PyExc_TypeError, "Gate(cell, object, {name: function})");
        return -1;
    }
    Py_INCREF(cell);
    Py_INCREF(object);
    gate->cell = cell;
    gate->object = object;
    return gate_set_methods(gate, functions);
}

static int gate_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct gate *gate = (struct gate *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(gate->cell);
    Py_VISIT(gate->object);
    for (size_t i = 0; i < gate->method_count; i++)
        Py_VISIT(gate->methods[i].function);
    return 0;
}

static int gate_clear(PyObject *self)
{
    struct gate *gate = (struct gate *)self;
    Py_CLEAR(gate->cell);
    Py_CLEAR(gate->object);
    size_t count = gate->method_count;
    gate->method_count = 0;
    for (size_t i = 0; i < count; i++) {
        Py_CLEAR(gate->methods[i].name);
        Py_CLEAR(gate->methods[i].function);
    }
    return 0;
}

static void gate_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)gate_clear(self);
    PyMem_Free(((struct gate *)self)->methods);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef gate_members[] = {
    {"busy", T_BOOL, offsetof(struct gate, is_busy), READONLY, NULL},
    {"closed", T_BOOL, offsetof(struct gate, is_closed), 0, NULL},
    {"attention", T_BOOL, offsetof(struct gate, attention), 0, NULL},
    {"ended", T_BOOL, offsetof(struct gate, has_ended), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot gate_slots[] = {
    {Py_tp_doc, "An actor whose plain handlers Port.next() runs by itself."},
    {Py_tp_init, gate_init},
    {Py_tp_traverse, gate_traverse},
    {Py_tp_clear, gate_clear},
    {Py_tp_dealloc, gate_dealloc},
    {Py_tp_members, gate_members},
    {0, NULL},
};

PyType_Spec gate_spec = {
    .name = "histrio._core.Gate",
    .basicsize = sizeof(struct gate),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = gate_slots,
};
