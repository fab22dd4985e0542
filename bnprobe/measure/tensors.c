/* Where many tensors lie, asked in one call.
 *
 * Before and after every measured update some thirty tensors are asked eight things each, for fused.c to read them. It knows Python's
 * interface and none of torch's: tensors are asked by their Python attributes, none of which dispatches an operation. fused.py does the same
 * without it.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define INTERFACE 2

#define NAMES(X) X(dtype) X(layout) X(is_cpu) X(is_contiguous) X(is_neg) X(data_ptr) X(numel) X(is_leaf) X(retains_grad) X(grad) X(is_floating_point) \
    X(is_complex)
#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)

/* What a tensor is that can be walked over: its types, that of its numbers, and its layout. */
typedef struct {
    PyObject *tensor, *parameter, *single, *strided;
} Walkable;

static int is(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_GetAttr(thing, name);
    Py_XDECREF(value);
    return value ? value == expected : -1;
}

static int says(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_CallMethodNoArgs(thing, name);
    Py_XDECREF(value);
    return value ? value == expected : -1;
}

/* As is_walkable of fused.py. */
static int is_walkable(PyObject *tensor, const Walkable *what) {
    PyObject *type = (PyObject *)Py_TYPE(tensor);
    int result = type == what->tensor || type == what->parameter;
    if (result > 0) result = is(tensor, s_dtype, what->single);
    if (result > 0) result = is(tensor, s_layout, what->strided);
    if (result > 0) result = is(tensor, s_is_cpu, Py_True);
    if (result > 0) result = says(tensor, s_is_contiguous, Py_True);
    if (result > 0) result = says(tensor, s_is_neg, Py_False);
    return result;
}

/* walk(tensors, addresses, sizes, tensor, parameter, single, strided): notes where each lies and how many numbers it has, in tables at two
 * addresses, and for None that it lies nowhere and has none. Returns the largest size; None where one cannot be walked over. */
static PyObject *walk(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 7) return PyErr_Format(PyExc_TypeError, "walk(tensors, addresses, sizes, tensor, parameter, single, strided)");
    void **addresses = PyLong_AsVoidPtr(arguments[1]);
    Py_ssize_t *sizes = PyLong_AsVoidPtr(arguments[2]), largest = 0;
    Walkable what = {arguments[3], arguments[4], arguments[5], arguments[6]};
    if (PyErr_Occurred()) return NULL;
    PyObject *tensors = PySequence_Fast(arguments[0], "tensors are a sequence");
    if (!tensors) return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(tensors); i++) {
        PyObject *tensor = PySequence_Fast_GET_ITEM(tensors, i), *address, *size;
        addresses[i] = NULL;
        sizes[i] = 0;
        if (tensor == Py_None) continue;
        int fits = is_walkable(tensor, &what);
        if (fits <= 0) {
            Py_DECREF(tensors);
            if (fits < 0) return NULL;
            Py_RETURN_NONE;
        }
        address = PyObject_CallMethodNoArgs(tensor, s_data_ptr);
        size = address ? PyObject_CallMethodNoArgs(tensor, s_numel) : NULL;
        if (address) addresses[i] = PyLong_AsVoidPtr(address);
        if (size) sizes[i] = PyLong_AsSsize_t(size);
        Py_XDECREF(address);
        Py_XDECREF(size);
        if (PyErr_Occurred()) {
            Py_DECREF(tensors);
            return NULL;
        }
        if (sizes[i] && !addresses[i]) { /* its memory was given back */
            Py_DECREF(tensors);
            Py_RETURN_NONE;
        }
        if (sizes[i] > largest) largest = sizes[i];
    }
    Py_DECREF(tensors);
    return PyLong_FromSsize_t(largest);
}

/* gradients(parameters): of each the gradient that it holds; None of one that is no leaf and keeps none, of which torch would warn. */
static PyObject *gradients(PyObject *self, PyObject *given) {
    PyObject *parameters = PySequence_Fast(given, "parameters are a sequence");
    if (!parameters) return NULL;
    PyObject *found = PyList_New(PySequence_Fast_GET_SIZE(parameters));
    for (Py_ssize_t i = 0; found && i < PyList_GET_SIZE(found); i++) {
        PyObject *parameter = PySequence_Fast_GET_ITEM(parameters, i), *gradient = NULL;
        int holds = is(parameter, s_is_leaf, Py_True);
        if (!holds) holds = is(parameter, s_retains_grad, Py_True);
        if (holds > 0) gradient = PyObject_GetAttr(parameter, s_grad);
        if (!holds) Py_INCREF(gradient = Py_None);
        if (gradient)
            PyList_SET_ITEM(found, i, gradient);
        else
            Py_CLEAR(found);
    }
    Py_DECREF(parameters);
    return found;
}

/* numbers_among(things, tensor): the tensors of floating-point or complex numbers, each once. */
static PyObject *numbers_among(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) return PyErr_Format(PyExc_TypeError, "numbers_among(things, tensor)");
    PyObject *things = PySequence_Fast(arguments[0], "things are a sequence"), *seen = PySet_New(NULL), *found = PyList_New(0);
    int failed = !things || !seen || !found;
    for (Py_ssize_t i = 0; !failed && i < PySequence_Fast_GET_SIZE(things); i++) {
        PyObject *thing = PySequence_Fast_GET_ITEM(things, i), *key;
        int fits = PyObject_IsInstance(thing, arguments[1]);
        if (fits > 0) {
            fits = says(thing, s_is_floating_point, Py_True);
            if (!fits) fits = says(thing, s_is_complex, Py_True);
        }
        if (fits > 0) {
            key = PyLong_FromVoidPtr(thing);
            fits = key ? PySet_Contains(seen, key) : -1;
            if (!fits) fits = PySet_Add(seen, key) || PyList_Append(found, thing) ? -1 : 1;
            Py_XDECREF(key);
        }
        failed = fits < 0;
    }
    Py_XDECREF(things);
    Py_XDECREF(seen);
    if (failed) Py_CLEAR(found);
    return found;
}

static PyMethodDef functions[] = {
    {"walk", (PyCFunction)(void (*)(void))walk, METH_FASTCALL, NULL},
    {"gradients", gradients, METH_O, NULL},
    {"numbers_among", (PyCFunction)(void (*)(void))numbers_among, METH_FASTCALL, NULL},
    {NULL},
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_tensors", NULL, -1, functions};

PyMODINIT_FUNC PyInit__tensors(void) {
#define INTERN(name) \
    if (!(s_##name = PyUnicode_InternFromString(#name))) return NULL;
    NAMES(INTERN)
    PyObject *module = PyModule_Create(&definition);
    if (module && PyModule_AddIntConstant(module, "INTERFACE", INTERFACE)) Py_CLEAR(module);
    return module;
}
