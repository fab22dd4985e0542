/* Calls of modules that are as they were before, taken in without the interpreter.
 *
 * What forward_hook.py decides of a call follows from the module, its mode, and how the tensors lie: their shapes, strides and types, which
 * measured signal the input is, and whether its memory was written since, or by which operations it was computed from one. A call of which all that is as when it was decided before comes to
 * the same records; this file checks, reads, and makes them. Whatever differs is left to forward_hook.py, which is the reference, and
 * teaches the new case (known_calls.py). Nothing is decided here.
 *
 * It knows Python's interface and none of torch's: tensors are asked by their Python attributes, none of which dispatches an operation.
 */

#include "known_gradients.h"
#include "known_sites.h"

#define INTERFACE 2

static void end_forward(Calls *self);

static int take_order(Calls *self, PyObject **order) {
    PyObject *last = PyObject_GetAttr(self->taps, s__order);
    if (!last) return -1;
    *order = PyNumber_Add(last, one);
    Py_DECREF(last);
    return *order && !PyObject_SetAttr(self->taps, s__order, *order) ? 1 : -1;
}

/* 1: the call is taken in. 0: it is not as it was. -1: an error. In the last two cases nothing has been changed, unless memory ran out. */
static int attempt(Calls *self, Site *site, PyObject *module, PyObject *arguments, PyObject *output) {
    int result;
    PyObject *in_address = NULL, *known = NULL, *version = NULL, *out_address = NULL, *in_moments = NULL, *out_moments = NULL, *order = NULL;
    PyObject *statistics = NULL, *origin = Py_None, *thread = NULL, *in_tensor = NULL, *node = NULL, *place = NULL;
    PyObject *in_node = NULL, *in_place = NULL, *in_origin = NULL;
    REQUIRE(is(self->taps, s_muted, Py_False));
    REQUIRE(is(self->taps, s_on_signal, Py_None));
    PyObject *root = PyWeakref_GetObject(PyTuple_GET_ITEM(self->forward, 0)); /* held weakly there, and by who calls it */
    REQUIRE(site->root == root);
    OBTAIN(thread, PyLong_FromUnsignedLong(PyThread_get_thread_ident()));
    REQUIRE(equals(self->thread, s__owner_number, thread));
    REQUIRE(is(self->thread, s_is_alone, Py_True));
    REQUIRE(is_plain_run(self));
    REQUIRE(calls_to(self->grad_enabled, Py_True));
    REQUIRE(calls_to(self->graph_task, minus_one));
    REQUIRE(equals(self->tree, s__generation, site->generation));
    if (site->comes_to == SKIPPED) {
        result = 1;
        goto end;
    }
    REQUIRE(is(module, s_training, site->training));
    REQUIRE(is(root, s_training, self->root_training));
    REQUIRE(is(site->entry, s_gives_time_first, site->time_first));
    int is_again = equals(site->entry, s__calls_of, self->number);
    REQUIRE(is_again < 0 ? -1 : !is_again);

    /* what it received */
    REQUIRE(PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) > 0);
    in_tensor = PyTuple_GET_ITEM(arguments, 0);
    REQUIRE((PyObject *)Py_TYPE(in_tensor) == self->tensor && (PyObject *)Py_TYPE(output) == self->tensor);
    REQUIRE(is(in_tensor, s_dtype, site->in_dtype));
    if (site->receives != IGNORED) {
        OBTAIN(in_address, PyObject_CallMethodNoArgs(in_tensor, s_data_ptr));
        OBTAIN(known, measured_at(self, in_address));
        Py_INCREF(known);
        if (site->receives == KNOWN) {
            REQUIRE(known != Py_None);
            REQUIRE(equals(in_tensor, s_shape, site->in_shape));
            REQUIRE(method_equals(in_tensor, s_stride, site->in_strides));
            REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(known, 2), site->known_shape, Py_EQ));
            REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(known, 3), site->known_strides, Py_EQ));
            REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(known, 4), site->known_layout, Py_EQ));
            int is_unchanged = is_of_version(in_tensor, PyTuple_GET_ITEM(known, 1));
            REQUIRE(is_unchanged < 0 ? -1 : is_unchanged == site->is_unchanged);
            origin = known;
        } else {
            REQUIRE(known == Py_None);
            REQUIRE(is_no_part(self, in_tensor));
            OBTAIN(in_node, PyObject_GetAttr(in_tensor, s_grad_fn));
            REQUIRE((in_node != Py_None) == (site->path != Py_None));
            if (site->path != Py_None) {
                REQUIRE(find_origin(self, site, in_node, &origin));
                Py_INCREF(in_origin = origin); /* what is read meanwhile may leave nothing in the registry */
                OBTAIN(in_place, PyObject_CallMethodNoArgs(in_node, s__sequence_nr));
            } else
                REQUIRE(PyDict_GET_SIZE(self->by_shape) == 0);
            if (site->receives == NEW)
                REQUIRE(lies_as(self, in_tensor, &site->in));
            else
                REQUIRE(equals(in_tensor, s_shape, site->in_shape));
        }
    }

    /* what it gives */
    OBTAIN(out_address, PyObject_CallMethodNoArgs(output, s_data_ptr));
    PyObject *before = measured_at(self, out_address);
    if (!before) REQUIRE(-1);
    if (site->comes_to == MEASURED_ALREADY || site->is_known) {
        REQUIRE(before != Py_None);
        REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(before, 2), site->known_shape, Py_EQ));
        int is_unchanged = is_of_version(output, PyTuple_GET_ITEM(before, 1));
        REQUIRE(is_unchanged < 0 ? -1 : is_unchanged == (site->comes_to == MEASURED_ALREADY));
    } else {
        REQUIRE(before == Py_None);
        REQUIRE(is_no_part(self, output));
    }
    if (site->comes_to == MEASURED_ALREADY) {
        REQUIRE(equals(output, s_shape, site->out.shape));
        REQUIRE(method_equals(output, s_stride, site->out.strides));
    } else {
        REQUIRE(lies_as(self, output, &site->out));
        OBTAIN(node, PyObject_GetAttr(output, s_grad_fn));
        REQUIRE((node != Py_None) == site->has_node);
        if (site->has_node) {
            OBTAIN(place, PyObject_CallMethodNoArgs(node, s__sequence_nr));
        } else {
            Py_INCREF(minus_one);
            place = minus_one;
        }
    }

    /* reading; NULL without an error is a signal that is left to moments.py */
    if (site->receives == NEW && !(in_moments = moments_of(self, &site->in, in_address))) REQUIRE(PyErr_Occurred() ? -1 : 0);
    if (site->comes_to == MEASURED) {
        if (site->has_statistics) {
            OBTAIN(statistics, PyObject_CallFunctionObjArgs(self->statistics, module, PyTuple_GET_ITEM(known, 5), NULL));
        } else {
            Py_INCREF(Py_None);
            statistics = Py_None;
        }
        if (!(out_moments = moments_of(self, &site->out, out_address))) REQUIRE(PyErr_Occurred() ? -1 : 0);
    }

    /* from here on it is taken in */
    REQUIRE(take_order(self, &order));
    if (site->comes_to == MEASURED) {
        REQUIRE(catch_if_asked(self, &site->out, output, order));
    }
    if (site->depends_on_mode) {
        PyObject *noted = PyObject_CallFunctionObjArgs(self->note_mode, self->forward, site->module, site->training, NULL);
        Py_XDECREF(noted);
        REQUIRE(noted ? 1 : -1);
    }
    REQUIRE(PyObject_SetAttr(site->entry, s__calls, one) ? -1 : 1);
    REQUIRE(PyObject_SetAttr(site->entry, s__calls_of, self->number) ? -1 : 1);
    if (in_moments) {
        PyObject *made = in_place ? in_place : minus_one;
        if (in_place) REQUIRE(catch_if_asked(self, &site->in, in_tensor, order));
        REQUIRE(add_measured(self, site, &site->in, in_tensor, in_address, in_moments, origin, made));
        REQUIRE(add_tap(self, site->in.key, Py_False, self->forward, order, in_moments, site->made_by, Py_None, made, site->in.length));
        OBTAIN(origin, PyDict_GetItemWithError(self->by_address, in_address));
    }
    if (out_moments) {
        Py_INCREF(origin);
        int added = add_measured(self, site, &site->out, output, out_address, out_moments, origin, place);
        Py_DECREF(origin);
        REQUIRE(added);
        REQUIRE(add_tap(self, site->out.key, Py_False, self->forward, order, out_moments, empty_text, statistics, place, site->out.length));
    }
    result = 1;
end:
    Py_XDECREF(in_address);
    Py_XDECREF(known);
    Py_XDECREF(version);
    Py_XDECREF(out_address);
    Py_XDECREF(in_moments);
    Py_XDECREF(out_moments);
    Py_XDECREF(order);
    Py_XDECREF(statistics);
    Py_XDECREF(thread);
    Py_XDECREF(node);
    Py_XDECREF(place);
    Py_XDECREF(in_node);
    Py_XDECREF(in_place);
    Py_XDECREF(in_origin);
    return result;
}

static PyObject *calls_take(Calls *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 3) return PyErr_Format(PyExc_TypeError, "take(module, arguments, output)");
    Site *site = self->forward && !self->is_busy ? find_site(self, arguments[0]) : NULL;
    if (!site) Py_RETURN_FALSE;
    double began = now();
    self->is_busy = 1;
    int taken = attempt(self, site, arguments[0], arguments[1], arguments[2]);
    self->is_busy = 0;
    if (self->is_stale) forget_all(self);
    if (self->is_over) end_forward(self);
    if (taken < 0 && has_to_leave(self)) return NULL;
    self->seconds += now() - began;
    self->taken += taken > 0;
    return PyBool_FromLong(taken > 0);
}

/* begin(forward, number, training of the root, thread, its others, address of the team) */
static PyObject *calls_begin(Calls *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 6) return PyErr_Format(PyExc_TypeError, "begin(forward, number, training, thread, others, team)");
    PyObject **places[] = {&self->forward, &self->number, &self->root_training, &self->thread, &self->others};
    if (self->is_busy || (self->forward == arguments[0] && self->thread == arguments[3])) Py_RETURN_NONE;
    if (!PyTuple_Check(arguments[0]) || PyTuple_GET_SIZE(arguments[0]) < 1 || !PyWeakref_Check(PyTuple_GET_ITEM(arguments[0], 0)) ||
        !PyDict_Check(arguments[4]))
        return PyErr_Format(PyExc_TypeError, "a forward is a tuple that begins with a weak reference, and others are a dictionary");
    for (int i = 0; i < 5; i++) {
        Py_INCREF(arguments[i]);
        Py_XSETREF(*places[i], arguments[i]);
    }
    self->team = PyLong_AsVoidPtr(arguments[5]);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static void end_forward(Calls *self) {
    self->is_over = 0;
    Py_CLEAR(self->forward);
    Py_CLEAR(self->number);
    Py_CLEAR(self->root_training);
}

static PyObject *calls_end(Calls *self, PyObject *none) {
    if (self->is_busy)
        self->is_over = 1;
    else
        end_forward(self);
    Py_RETURN_NONE;
}

#define OBJECTS(X) \
    X(taps) X(ledger) X(by_address) X(by_node) X(by_shape) X(tree) X(statistics) X(slow_gradient) X(is_the_scripts) X(note_mode) X(new_block) X(ordered) X(handle) X(tensor) X(single) \
    X(reference) X(measured_type) X(moments_type) X(tap_type) X(mode_depth) X(level) X(tracing) X(grad_enabled) X(graph_task) X(forward_mode)

static PyObject *calls_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    static char *names[] = {
#define QUOTE(name) #name,
        OBJECTS(QUOTE) "reader", NULL};
    unsigned long long reader;
    Calls *self = (Calls *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    PyObject *found[25];
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OOOOOOOOOOOOOOOOOOOOOOOOOK", names, &found[0], &found[1], &found[2], &found[3], &found[4], &found[5],
                                     &found[6], &found[7], &found[8], &found[9], &found[10], &found[11], &found[12], &found[13], &found[14], &found[15],
                                     &found[16], &found[17], &found[18], &found[19], &found[20], &found[21], &found[22], &found[23], &found[24], &reader)) {
        Py_DECREF(self);
        return NULL;
    }
    int i = 0;
#define KEEP(name)         \
    Py_INCREF(found[i]);   \
    self->name = found[i]; \
    i++;
    OBJECTS(KEEP)
    self->reader = (Reader)(uintptr_t)reader;
    return (PyObject *)self;
}

static int calls_traverse(Calls *self, visitproc visit, void *arg) {
#define VISIT(name) Py_VISIT(self->name);
    OBJECTS(VISIT)
    Py_VISIT(self->forward);
    Py_VISIT(self->thread);
    Py_VISIT(self->others);
    Py_VISIT(self->block);
    Py_VISIT(self->table_block);
    return 0;
}

static int calls_clear(Calls *self) {
#define CLEAR(name) Py_CLEAR(self->name);
    OBJECTS(CLEAR)
    end_forward(self);
    Py_CLEAR(self->thread);
    Py_CLEAR(self->others);
    Py_CLEAR(self->block);
    Py_CLEAR(self->table_block);
    self->size = self->used = self->table_size = 0;
    forget_all(self);
    return 0;
}

static void calls_dealloc(Calls *self) {
    PyObject_GC_UnTrack(self);
    calls_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef calls_methods[] = {
    {"take", (PyCFunction)(void (*)(void))calls_take, METH_FASTCALL, NULL},
    {"begin", (PyCFunction)(void (*)(void))calls_begin, METH_FASTCALL, NULL},
    {"end", (PyCFunction)calls_end, METH_NOARGS, NULL},
    {"learn", (PyCFunction)calls_learn, METH_VARARGS, NULL},
    {"forget", (PyCFunction)calls_forget, METH_NOARGS, NULL},
    {NULL},
};

static PyMemberDef calls_members[] = {
    {"seconds", T_DOUBLE, offsetof(Calls, seconds), 0, NULL},
    {"taken", T_LONGLONG, offsetof(Calls, taken), 0, NULL},
    {NULL},
};

static PyTypeObject calls_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bnprobe.observe.signals._known_calls.Calls",
    .tp_basicsize = sizeof(Calls),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = calls_new,
    .tp_dealloc = (destructor)calls_dealloc,
    .tp_traverse = (traverseproc)calls_traverse,
    .tp_clear = (inquiry)calls_clear,
    .tp_methods = calls_methods,
    .tp_members = calls_members,
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_known_calls", NULL, -1, NULL};

PyMODINIT_FUNC PyInit__known_calls(void) {
#define INTERN(name) \
    if (!(s_##name = PyUnicode_InternFromString(#name))) return NULL;
    NAMES(INTERN)
    empty_text = PyUnicode_InternFromString("");
    zero = PyLong_FromLong(0);
    one = PyLong_FromLong(1);
    minus_one = PyLong_FromLong(-1);
    if (!empty_text || !zero || !one || !minus_one || PyType_Ready(&calls_type) || PyType_Ready(&gradient_type)) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    Py_INCREF(&calls_type);
    if (PyModule_AddObject(module, "Calls", (PyObject *)&calls_type) || PyModule_AddIntConstant(module, "INTERFACE", INTERFACE)) return NULL;
    return module;
}
