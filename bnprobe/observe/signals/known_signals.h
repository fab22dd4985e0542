/* Signals of known calls: read, put down in the ledger and in the registry, and found there. */

#ifndef BNPROBE_KNOWN_SIGNALS
#define BNPROBE_KNOWN_SIGNALS

#include "known_calls.h"

/* Memory for so many figures or more, apart from what the training allocates: see pages.py. */
static int take_block(Calls *self, Py_ssize_t count, PyObject **owner, double **begin, Py_ssize_t *size) {
    PyObject *made = PyObject_CallFunction(self->new_block, "n", count), *block;
    unsigned long long address;
    if (!made) return -1;
    if (PyArg_ParseTuple(made, "OKn", &block, &address, size)) {
        Py_INCREF(block);
        Py_XSETREF(*owner, block);
        *begin = (double *)(uintptr_t)address;
    }
    Py_DECREF(made);
    return PyErr_Occurred() ? -1 : 0;
}

/* Reads a signal into a fresh stretch of the block: its packed moments. NULL without an error where they are for moments.py to find. */
static PyObject *read_signal(Calls *self, const Signal *signal, PyObject *address) {
    const float *x = PyLong_AsVoidPtr(address);
    if (!x) return NULL;
    if (signal->table > self->table_size && take_block(self, signal->table, &self->table_block, &self->table, &self->table_size)) return NULL;
    if (self->used + signal->length > self->size) {
        if (take_block(self, signal->length, &self->block, &self->begin, &self->size)) return NULL;
        self->used = 0;
    }
    double size = self->reader(x, signal->plan, self->table, self->begin + self->used, self->team);
    if (!(size >= TINY || size == 0.0)) return NULL;
    PyObject *packed = PySequence_GetSlice(self->block, self->used, self->used + signal->length);
    if (packed) self->used += signal->length;
    return packed;
}

static PyObject *moments_of(Calls *self, const Signal *signal, PyObject *address) {
    PyObject *packed = read_signal(self, signal, address);
    if (!packed) return NULL;
    PyObject *values[] = {signal->samples, signal->positions, packed}, *moments = record(self->moments_type, 3, values);
    Py_DECREF(packed);
    return moments;
}

/* Whether a tensor's numbers are as the signal's were: float32, on the CPU, of that shape and those strides. */
static int lies_as(Calls *self, PyObject *tensor, const Signal *signal) {
    int result;
    REQUIRE(is(tensor, s_dtype, self->single));
    REQUIRE(is(tensor, s_is_cpu, Py_True));
    REQUIRE(method_equals(tensor, s_is_neg, Py_False));
    REQUIRE(equals(tensor, s_shape, signal->shape));
    REQUIRE(method_equals(tensor, s_stride, signal->strides));
    result = 1;
end:
    return result;
}

static int add_tap(Calls *self, PyObject *key, PyObject *is_gradient, PyObject *forward, PyObject *order, PyObject *moments, PyObject *made_by,
                   PyObject *statistics, PyObject *node, Py_ssize_t length) {
    int result;
    PyObject *tap = NULL, *open = NULL, *bytes = NULL, *more = NULL;
    PyObject *values[] = {key, is_gradient, forward, order, moments, zero, self->single, made_by, statistics, node};
    OBTAIN(tap, record(self->tap_type, 10, values));
    OBTAIN(open, PyObject_GetAttr(self->ledger, s__open));
    OBTAIN(bytes, PyObject_GetAttr(self->ledger, s_waiting_bytes));
    OBTAIN(more, PyLong_FromLongLong(PyLong_AsLongLong(bytes) + RECORD_BYTES + 8 * length));
    REQUIRE(PyList_Append(open, tap) ? -1 : 1);
    REQUIRE(PyObject_SetAttr(self->ledger, s_waiting_bytes, more) ? -1 : 1);
    result = 1;
end:
    Py_XDECREF(tap);
    Py_XDECREF(open);
    Py_XDECREF(bytes);
    Py_XDECREF(more);
    return result;
}

/* What the registry is to know of a signal; `place` is that of the operation that made it, -1 where there is none, borrowed from the caller. */
static int add_measured(Calls *self, Site *site, const Signal *signal, PyObject *tensor, PyObject *address, PyObject *moments, PyObject *origin,
                        PyObject *place) {
    int result;
    PyObject *reference = NULL, *version = NULL, *measured = NULL;
    OBTAIN(reference, PyObject_CallOneArg(self->reference, tensor));
    OBTAIN(version, version_of(tensor));
    PyObject *values[] = {reference, version, signal->shape, signal->strides, signal->layout, moments, site->entry, origin};
    OBTAIN(measured, record(self->measured_type, 8, values));
    if (place != minus_one) REQUIRE(PyDict_SetItem(self->by_node, place, measured) ? -1 : 1);
    REQUIRE(PyDict_SetItem(self->by_address, address, measured) ? -1 : 1);
    result = 1;
end:
    Py_XDECREF(reference);
    Py_XDECREF(version);
    Py_XDECREF(measured);
    return result;
}

static void copy_signal(Signal *to, const Signal *from) {
    *to = *from;
    Py_XINCREF(to->key);
    Py_XINCREF(to->shape);
    Py_XINCREF(to->strides);
    Py_XINCREF(to->layout);
    Py_XINCREF(to->samples);
    Py_XINCREF(to->positions);
    Py_XINCREF(to->owner);
}

static void clear_signal(Signal *signal) {
    Py_CLEAR(signal->key);
    Py_CLEAR(signal->shape);
    Py_CLEAR(signal->strides);
    Py_CLEAR(signal->layout);
    Py_CLEAR(signal->samples);
    Py_CLEAR(signal->positions);
    Py_CLEAR(signal->owner);
}

/* Puts a hook on a tensor, as Tensor.register_hook does, without a handle that nobody would use. */
static int catch_gradient(Calls *self, const Signal *signal, PyObject *tensor, PyObject *order) {
    int result;
    PyObject *hooks = NULL, *node = NULL, *done = NULL, *number = NULL, *next = NULL;
    Gradient *gradient = NULL;
    OBTAIN(hooks, PyObject_GetAttr(tensor, s__backward_hooks));
    if (hooks == Py_None) {
        Py_DECREF(hooks);
        OBTAIN(hooks, PyObject_CallNoArgs(self->ordered));
        REQUIRE(PyObject_SetAttr(tensor, s__backward_hooks, hooks) ? -1 : 1);
        OBTAIN(node, PyObject_GetAttr(tensor, s_grad_fn));
        if (node != Py_None) OBTAIN(done, PyObject_CallMethodOneArg(node, s__register_hook_dict, tensor));
    }
    OBTAIN(number, PyObject_GetAttr(self->handle, s_next_id));
    OBTAIN(next, PyNumber_Add(number, one));
    REQUIRE(PyObject_SetAttr(self->handle, s_next_id, next) ? -1 : 1);
    OBTAIN(gradient, PyObject_New(Gradient, &gradient_type));
    Py_INCREF(self);
    gradient->calls = self;
    Py_INCREF(self->forward);
    gradient->forward = self->forward;
    Py_INCREF(order);
    gradient->order = order;
    copy_signal(&gradient->signal, signal);
    REQUIRE(PyObject_SetItem(hooks, number, (PyObject *)gradient) ? -1 : 1);
    result = 1;
end:
    Py_XDECREF(hooks);
    Py_XDECREF(node);
    Py_XDECREF(done);
    Py_XDECREF(number);
    Py_XDECREF(next);
    Py_XDECREF((PyObject *)gradient);
    return result;
}

/* The same where a backward goes to the tensor. */
static int catch_if_asked(Calls *self, const Signal *signal, PyObject *tensor, PyObject *order) {
    int result = is(tensor, s_requires_grad, Py_True);
    if (result > 0) result = is(tensor, s_is_leaf, Py_False);
    return result > 0 ? catch_gradient(self, signal, tensor, order) : result < 0 ? -1 : 1;
}

/* The measured signal that lies at an address, borrowed; None where there is none; NULL with an error. */
static PyObject *measured_at(Calls *self, PyObject *address) {
    PyObject *known = PyDict_GetItemWithError(self->by_address, address);
    if (!known) return PyErr_Occurred() ? NULL : Py_None;
    return PyWeakref_GetObject(PyTuple_GET_ITEM(known, 0)) == Py_None ? Py_None : known;
}

/* Whether a tensor is no part of a signal that was measured: no view, or one of something else. */
static int is_no_part(Calls *self, PyObject *tensor) {
    int result;
    PyObject *whole = NULL, *address = NULL, *known;
    OBTAIN(whole, PyObject_GetAttr(tensor, s__base));
    if (whole != Py_None) {
        REQUIRE((PyObject *)Py_TYPE(whole) == self->tensor);
        OBTAIN(address, PyObject_CallMethodNoArgs(whole, s_data_ptr));
        OBTAIN(known, measured_at(self, address));
        REQUIRE(known == Py_None);
    }
    result = 1;
end:
    Py_XDECREF(whole);
    Py_XDECREF(address);
    return result;
}

/* As origin of registry.py, where the operations that it looks at are of the types that they were; the measured signal is borrowed. 0 where not. */
static int find_origin(Calls *self, const Site *site, PyObject *node, PyObject **origin) {
    int result;
    PyObject *pending[MOST_BEFORE] = {node}, *number = NULL, *following = NULL, *known = NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(site->path), waiting = 1;
    Py_INCREF(node);
    for (Py_ssize_t i = 0; i < count; i++) {
        REQUIRE(i < waiting && (PyObject *)Py_TYPE(pending[i]) == PyTuple_GET_ITEM(site->path, i));
        Py_XSETREF(number, PyObject_CallMethodNoArgs(pending[i], s__sequence_nr));
        REQUIRE(number ? 1 : -1);
        known = PyDict_GetItemWithError(self->by_node, number);
        if (!known && PyErr_Occurred()) REQUIRE(-1);
        REQUIRE(!known == (i < count - 1));
        if (known) break;
        Py_XSETREF(following, PyObject_GetAttr(pending[i], s_next_functions));
        REQUIRE(following ? PyTuple_Check(following) : -1);
        for (Py_ssize_t j = 0; j < PyTuple_GET_SIZE(following) && waiting < count; j++) { /* of more than are looked at none is needed */
            PyObject *other = PyTuple_GET_ITEM(PyTuple_GET_ITEM(following, j), 0);
            Py_ssize_t k = other == Py_None ? waiting : 0;
            while (k < waiting && pending[k] != other) k++;
            if (k < waiting || other == Py_None) continue;
            Py_INCREF(pending[waiting++] = other);
        }
    }
    REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(known, 2), site->known_shape, Py_EQ));
    REQUIRE(PyObject_RichCompareBool(PyTuple_GET_ITEM(known, 4), site->known_layout, Py_EQ));
    *origin = known;
    result = 1;
end:
    for (Py_ssize_t i = 0; i < waiting; i++) Py_DECREF(pending[i]);
    Py_XDECREF(number);
    Py_XDECREF(following);
    return result;
}

#endif
