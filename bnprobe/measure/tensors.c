/* Where many tensors lie, asked in one call; and the norms around an update, in one call before it and one after.
 *
 * Before and after every measured update some thirty tensors are asked eight things each, for fused.c to read them. It knows Python's
 * interface and none of torch's: tensors are asked by their Python attributes, none of which dispatches an operation. fused.py and
 * update_meter.py do the same without it.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define INTERFACE 3
#define GRAIN 32768 /* as in fused.py */
#define CHUNK 65536 /* as in fused.c */

#define NAMES(X) X(dtype) X(layout) X(is_cpu) X(is_contiguous) X(is_neg) X(data_ptr) X(numel) X(is_leaf) X(retains_grad) X(grad) X(is_floating_point) \
    X(is_complex) X(shape)
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

/* Notes where a tensor lies and how many numbers it has; for None that it lies nowhere and has none. 0 where it cannot be walked over. */
static int find(PyObject *tensor, const Walkable *what, void **address, Py_ssize_t *size) {
    *address = NULL;
    *size = 0;
    if (tensor == Py_None) return 1;
    int fits = is_walkable(tensor, what);
    if (fits <= 0) return fits;
    PyObject *place = PyObject_CallMethodNoArgs(tensor, s_data_ptr), *numbers = place ? PyObject_CallMethodNoArgs(tensor, s_numel) : NULL;
    if (place) *address = PyLong_AsVoidPtr(place);
    if (numbers) *size = PyLong_AsSsize_t(numbers);
    Py_XDECREF(place);
    Py_XDECREF(numbers);
    if (PyErr_Occurred()) return -1;
    return *address || !*size; /* otherwise its memory was given back */
}

/* walk(tensors, addresses, sizes, tensor, parameter, single, strided): notes where each lies and how many numbers it has, in tables at two
 * addresses. Returns the largest size; None where one cannot be walked over. */
static PyObject *walk(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 7) return PyErr_Format(PyExc_TypeError, "walk(tensors, addresses, sizes, tensor, parameter, single, strided)");
    void **addresses = PyLong_AsVoidPtr(arguments[1]);
    Py_ssize_t *sizes = PyLong_AsVoidPtr(arguments[2]), largest = 0;
    Walkable what = {arguments[3], arguments[4], arguments[5], arguments[6]};
    if (PyErr_Occurred()) return NULL;
    PyObject *tensors = PySequence_Fast(arguments[0], "tensors are a sequence");
    if (!tensors) return NULL;
    int fits = 1;
    for (Py_ssize_t i = 0; fits > 0 && i < PySequence_Fast_GET_SIZE(tensors); i++) {
        fits = find(PySequence_Fast_GET_ITEM(tensors, i), &what, &addresses[i], &sizes[i]);
        if (sizes[i] > largest) largest = sizes[i];
    }
    Py_DECREF(tensors);
    if (fits < 0) return NULL;
    if (!fits) Py_RETURN_NONE;
    return PyLong_FromSsize_t(largest);
}

/* The gradient that a tensor holds, a new reference; None of one that is no leaf and keeps none, of which torch would warn. */
static PyObject *gradient_held(PyObject *tensor) {
    int holds = is(tensor, s_is_leaf, Py_True);
    if (!holds) holds = is(tensor, s_retains_grad, Py_True);
    if (holds > 0) return PyObject_GetAttr(tensor, s_grad);
    if (holds < 0) return NULL;
    Py_RETURN_NONE;
}

/* gradients(parameters): of each the gradient that it holds. */
static PyObject *gradients(PyObject *self, PyObject *given) {
    PyObject *parameters = PySequence_Fast(given, "parameters are a sequence");
    if (!parameters) return NULL;
    PyObject *found = PyList_New(PySequence_Fast_GET_SIZE(parameters));
    for (Py_ssize_t i = 0; found && i < PyList_GET_SIZE(found); i++) {
        PyObject *gradient = gradient_held(PySequence_Fast_GET_ITEM(parameters, i));
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

/* -- around an update --------------------------------------------------------------------------------------------------------------------- */

typedef void (*Norms)(const void *, const void *, const void *, const Py_ssize_t *, Py_ssize_t, double *, double *, const void *);

/* What fused.c is asked: where tensors lie, what is subtracted from each or where it is copied to, and their sizes. */
typedef struct {
    void **x, **others;
    Py_ssize_t *sizes, count, total, largest;
} Tables;

static int begin_tables(Tables *tables, Py_ssize_t count) {
    *tables = (Tables){.count = count};
    char *memory = PyMem_Malloc((size_t)count * (2 * sizeof(void *) + sizeof(Py_ssize_t)) + 1);
    if (!memory) return PyErr_NoMemory(), -1;
    tables->x = (void **)memory;
    tables->others = tables->x + count;
    tables->sizes = (Py_ssize_t *)(tables->others + count);
    return 1;
}

static int note(Tables *tables, Py_ssize_t i, PyObject *tensor, const Walkable *what) {
    int fits = find(tensor, what, &tables->x[i], &tables->sizes[i]);
    tables->others[i] = NULL;
    if (fits <= 0) return fits;
    if (tensor != Py_None && !tables->x[i]) tables->x[i] = tensor; /* an empty one lies nowhere, and has a norm; it is not read */
    if (tables->sizes[i] > tables->largest) tables->largest = tables->sizes[i];
    tables->total += tables->sizes[i];
    return 1;
}

/* Euclidean norms, into `out`; NaN where there is no tensor. */
static int measure(const Tables *tables, PyObject *out, Norms norms, const void *team, int subtracts) {
    static const struct {
        void *parallel, *thread;
        unsigned threads;
    } alone = {NULL, NULL, 1};
    Py_buffer numbers;
    if (PyObject_GetBuffer(out, &numbers, PyBUF_WRITABLE)) return -1;
    double *found = numbers.buf, *sums = NULL;
    Py_ssize_t chunks = 0;
    for (Py_ssize_t i = 0; i < tables->count; i++) chunks += (tables->sizes[i] + CHUNK - 1) / CHUNK;
    if (numbers.len < tables->count * (Py_ssize_t)sizeof(double))
        PyErr_SetString(PyExc_ValueError, "as many numbers as tensors");
    else if (!(sums = PyMem_Malloc((size_t)(chunks + 1) * sizeof(double))))
        PyErr_NoMemory();
    else {
        PyThreadState *state = tables->total > GRAIN ? PyEval_SaveThread() : NULL; /* it takes a while only there */
        norms(tables->x, subtracts ? tables->others : NULL, subtracts ? NULL : tables->others, tables->sizes, tables->count, sums, found,
              tables->largest > GRAIN ? team : &alone);
        if (state) PyEval_RestoreThread(state);
        for (Py_ssize_t i = 0; i < tables->count; i++) found[i] = tables->x[i] ? __builtin_sqrt(found[i]) : __builtin_nan("");
    }
    PyMem_Free(sums);
    PyBuffer_Release(&numbers);
    return PyErr_Occurred() ? -1 : 1;
}

/* before_update(parameters, gradients, out, copies, room, norms, team, tensor, parameter, single, strided): norms of the gradients, then of the
 * parameters, of which copies are made, end to end. Gradients are those that are held, or a dictionary by id. Returns the parameters' shapes;
 * how many numbers they have where there is no room for them; None where one cannot be walked over. */
static PyObject *before_update(PyObject *self, PyObject *const *arguments, Py_ssize_t given) {
    if (given != 11) return PyErr_Format(PyExc_TypeError, "before_update takes 11 arguments");
    float *copies = PyLong_AsVoidPtr(arguments[3]);
    Py_ssize_t room = PyLong_AsSsize_t(arguments[4]), numbers = 0;
    Norms norms = (Norms)(uintptr_t)PyLong_AsVoidPtr(arguments[5]);
    const void *team = PyLong_AsVoidPtr(arguments[6]);
    Walkable what = {arguments[7], arguments[8], arguments[9], arguments[10]};
    if (PyErr_Occurred()) return NULL;
    PyObject *parameters = PySequence_Fast(arguments[0], "parameters are a sequence"), *result = NULL;
    if (!parameters) return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(parameters);
    Tables tables;
    PyObject *held = PyList_New(count), *shapes = PyList_New(count); /* what other threads do must not take gradients away meanwhile */
    int fits = held && shapes ? begin_tables(&tables, 2 * count) : -1;
    for (Py_ssize_t i = 0; fits > 0 && i < count; i++) {
        PyObject *parameter = PySequence_Fast_GET_ITEM(parameters, i), *gradient, *key;
        if (arguments[1] == Py_None)
            gradient = gradient_held(parameter);
        else {
            key = PyLong_FromVoidPtr(parameter);
            gradient = key ? PyDict_GetItemWithError(arguments[1], key) : NULL;
            if (!gradient && !PyErr_Occurred()) gradient = Py_None;
            Py_XINCREF(gradient);
            Py_XDECREF(key);
        }
        fits = gradient ? note(&tables, i, gradient, &what) : -1;
        if (gradient) PyList_SET_ITEM(held, i, gradient);
        if (fits > 0) fits = note(&tables, count + i, parameter, &what);
        if (fits > 0) {
            PyObject *shape = PyObject_GetAttr(parameter, s_shape);
            if (shape)
                PyList_SET_ITEM(shapes, i, shape);
            else
                fits = -1;
        }
        if (fits > 0) {
            tables.others[count + i] = copies + numbers;
            numbers += tables.sizes[count + i];
        }
    }
    if (fits > 0 && numbers > room) {
        result = PyLong_FromSsize_t(numbers);
    } else if (fits > 0) {
        if (measure(&tables, arguments[2], norms, team, 0) > 0) Py_INCREF(result = shapes);
    } else if (!fits) {
        Py_INCREF(result = Py_None);
    }
    if (held && shapes) PyMem_Free(tables.x);
    Py_XDECREF(held);
    Py_XDECREF(shapes);
    Py_DECREF(parameters);
    return result;
}

/* after_update(parameters, shapes, out, copies, norms, team, tensor, parameter, single, strided): how far parameters are from their copies. Returns
 * whether they can be walked over and have the shapes that they had. */
static PyObject *after_update(PyObject *self, PyObject *const *arguments, Py_ssize_t given) {
    if (given != 10) return PyErr_Format(PyExc_TypeError, "after_update takes 10 arguments");
    float *copy = PyLong_AsVoidPtr(arguments[3]);
    Norms norms = (Norms)(uintptr_t)PyLong_AsVoidPtr(arguments[4]);
    const void *team = PyLong_AsVoidPtr(arguments[5]);
    Walkable what = {arguments[6], arguments[7], arguments[8], arguments[9]};
    if (PyErr_Occurred()) return NULL;
    PyObject *parameters = PySequence_Fast(arguments[0], "parameters are a sequence"), *shapes = arguments[1];
    if (!parameters) return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(parameters);
    Tables tables;
    int fits = PyList_Check(shapes) && PyList_GET_SIZE(shapes) == count, made = fits ? begin_tables(&tables, count) : 0;
    if (made < 0) fits = -1;
    for (Py_ssize_t i = 0; fits > 0 && i < count; i++) {
        PyObject *parameter = PySequence_Fast_GET_ITEM(parameters, i), *shape;
        fits = note(&tables, i, parameter, &what);
        if (fits <= 0) break;
        shape = PyObject_GetAttr(parameter, s_shape);
        fits = shape ? PyObject_RichCompareBool(shape, PyList_GET_ITEM(shapes, i), Py_EQ) : -1;
        Py_XDECREF(shape);
        tables.others[i] = copy;
        copy += tables.sizes[i];
    }
    if (fits > 0) fits = measure(&tables, arguments[2], norms, team, 1);
    if (made > 0) PyMem_Free(tables.x);
    Py_DECREF(parameters);
    return fits < 0 ? NULL : PyBool_FromLong(fits);
}

static PyMethodDef functions[] = {
    {"walk", (PyCFunction)(void (*)(void))walk, METH_FASTCALL, NULL},
    {"gradients", gradients, METH_O, NULL},
    {"before_update", (PyCFunction)(void (*)(void))before_update, METH_FASTCALL, NULL},
    {"after_update", (PyCFunction)(void (*)(void))after_update, METH_FASTCALL, NULL},
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
