#include "core.h"

static PyStructSequence_Field frame_fields[] = {{"kind", NULL}, {"code", NULL}, {"actor", NULL},
    {"method", NULL}, {"number", NULL}, {"timeout_ms", NULL}, {"name", NULL}, {"node", NULL}, {"id", NULL},
    {"payload", NULL}, {NULL, NULL}};

static PyStructSequence_Desc frame_desc = {.name = "histrio._core.Frame",
    .doc = "See Frame in histrio/_frames.py.",
    .fields = frame_fields,
    .n_in_sequence = 10};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

static PyObject *import_from(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return found;
}

static int core_exec(PyObject *module)
{
    static const char *const attributes[ATTRIBUTE_COUNT] = {
        "cell", "number", "deadline", "chain", "trace", "origin"};
    struct core *core = PyModule_GetState(module);
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        core->attributes[i] = PyUnicode_InternFromString(attributes[i]);
    core->frame_type = PyStructSequence_NewType(&frame_desc);
    core->port_type = add_type(module, &port_spec);
    core->page_type = add_type(module, &page_spec);
    core->gate_type = add_type(module, &gate_spec);
    core->methods_type = add_type(module, &methods_spec);
    core->closed = import_from("histrio._frames", "Closed");
    core->broken_frame = import_from("histrio._frames", "BrokenFrame");
    core->loads = import_from("pickle", "loads");
    core->dumps = import_from("pickle", "dumps");
    core->protocol = PyLong_FromLong(5);
    core->attach = import_from("histrio._buffers", "attach");
    core->attached = import_from("histrio._buffers", "Attached");
    core->encode_pickle = import_from("histrio._buffers", "encode_pickle");
    PyObject *refuse = import_from("histrio._buffers", "refuse_large");
    core->refuse_large = refuse ? Py_BuildValue("{sN}", "buffer_callback", refuse) : NULL;
    core->complete = PyUnicode_InternFromString("complete");
    core->unreadable = PyUnicode_InternFromString("unreadable");
    return PyErr_Occurred() ? -1 : 0;
}

static int core_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct core *core = PyModule_GetState(module);
    Py_VISIT(core->frame_type);
    Py_VISIT(core->port_type);
    Py_VISIT(core->page_type);
    Py_VISIT(core->gate_type);
    Py_VISIT(core->methods_type);
    Py_VISIT(core->closed);
    Py_VISIT(core->broken_frame);
    Py_VISIT(core->loads);
    Py_VISIT(core->dumps);
    Py_VISIT(core->attach);
    Py_VISIT(core->attached);
    Py_VISIT(core->encode_pickle);
    return 0;
}

static int core_clear(PyObject *module)
{
    struct core *core = PyModule_GetState(module);
    Py_CLEAR(core->frame_type);
    Py_CLEAR(core->port_type);
    Py_CLEAR(core->page_type);
    Py_CLEAR(core->gate_type);
    Py_CLEAR(core->methods_type);
    Py_CLEAR(core->closed);
    Py_CLEAR(core->broken_frame);
    Py_CLEAR(core->loads);
    Py_CLEAR(core->dumps);
    Py_CLEAR(core->protocol);
    Py_CLEAR(core->attach);
    Py_CLEAR(core->attached);
    Py_CLEAR(core->encode_pickle);
    Py_CLEAR(core->refuse_large);
    Py_CLEAR(core->complete);
    Py_CLEAR(core->unreadable);
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        Py_CLEAR(core->attributes[i]);
    return 0;
}

static PyMethodDef core_functions[] = {
    {"populate", memory_populate, METH_VARARGS, NULL},
    {"copy", memory_copy, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot core_slots[] = {{Py_mod_exec, core_exec}, {0, NULL}};

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "histrio._core",
    .m_doc = "Frames, batching and the dispatch loop in C; histrio._frames is the same in Python.",
    .m_size = sizeof(struct core),
    .m_methods = core_functions,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
