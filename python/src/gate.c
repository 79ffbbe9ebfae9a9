#include "core.h"

#include <structmember.h>

/* ---- the methods of a class ---- */

static int methods_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct methods *methods = (struct methods *)self;
    PyObject *functions, *name, *function;
    Py_ssize_t at = 0;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O", &functions))
        return -1;
    if (methods->items || !PyDict_Check(functions)) {
        PyErr_SetString(PyExc_TypeError, "Methods({name: function})");
        return -1;
    }
    methods->items = PyMem_Calloc((size_t)PyDict_Size(functions) + 1, sizeof(*methods->items));
    if (!methods->items) {
        PyErr_NoMemory();
        return -1;
    }
    while (PyDict_Next(functions, &at, &name, &function)) {
        Py_INCREF(name);
        Py_INCREF(function);
        PyUnicode_InternInPlace(&name);
        methods->items[methods->count++] = (struct gate_method){name, function, true};
    }
    return 0;
}

static int methods_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct methods *methods = (struct methods *)self;
    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; i < methods->count; i++)
        Py_VISIT(methods->items[i].function);
    return 0;
}

static int methods_clear(PyObject *self)
{
    struct methods *methods = (struct methods *)self;
    size_t count = methods->count;
    methods->count = 0;
    for (size_t i = 0; i < count; i++) {
        Py_CLEAR(methods->items[i].name);
        Py_CLEAR(methods->items[i].function);
    }
    return 0;
}

static void methods_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)methods_clear(self);
    PyMem_Free(((struct methods *)self)->items);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyType_Slot methods_slots[] = {
    {Py_tp_doc, "The plain handlers of a class, for its gates."},
    {Py_tp_init, methods_init},
    {Py_tp_traverse, methods_traverse},
    {Py_tp_clear, methods_clear},
    {Py_tp_dealloc, methods_dealloc},
    {0, NULL},
};

PyType_Spec methods_spec = {
    .name = "histrio._core.Methods",
    .basicsize = sizeof(struct methods),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = methods_slots,
};

/* ---- an actor ---- */

struct gate_method *gate_find(const struct gate *gate, PyObject *name)
{
    const struct methods *methods = gate->methods;
    for (size_t i = 0; i < methods->count; i++)
        if (methods->items[i].name == name)
            return &methods->items[i];
    return NULL;
}

static int gate_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct gate *gate = (struct gate *)self;
    const struct core *core = PyType_GetModuleState(Py_TYPE(self));
    PyObject *cell, *object, *methods;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOO", &cell, &object, &methods))
        return -1;
    if (gate->cell || !core || !PyObject_TypeCheck(methods, core->methods_type)) {
        PyErr_SetString(PyExc_TypeError, "Gate(cell, object, methods)");
        return -1;
    }
    Py_INCREF(cell);
    Py_INCREF(object);
    Py_INCREF(methods);
    gate->cell = cell;
    gate->object = object;
    gate->methods = (struct methods *)methods;
    return 0;
}

static int gate_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct gate *gate = (struct gate *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(gate->cell);
    Py_VISIT(gate->object);
    Py_VISIT((PyObject *)gate->methods);
    return 0;
}

static int gate_clear(PyObject *self)
{
    struct gate *gate = (struct gate *)self;
    Py_CLEAR(gate->cell);
    Py_CLEAR(gate->object);
    return 0;
}

static void gate_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)gate_clear(self);
    Py_XDECREF((PyObject *)((struct gate *)self)->methods);
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
