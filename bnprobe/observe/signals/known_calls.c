/* Calls of modules that are as they were before, taken in without the interpreter.
 *
 * What forward_hook.py decides of a call follows from the module, its mode, and how the tensors lie: their shapes, strides and types, which
 * measured signal the input is, and whether its memory was written since. A call of which all that is as when it was decided before comes to
 * the same records; this file checks, reads, and makes them. Whatever differs is left to forward_hook.py, which is the reference, and
 * teaches the new case (known_calls.py). Nothing is decided here.
 *
 * It knows Python's interface and none of torch's: tensors are asked by their Python attributes, none of which dispatches an operation.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <structmember.h>
#include <time.h>

#define INTERFACE 2
#define RECORD_BYTES 900 /* as in ledger.py */
#define TINY 1e-12       /* as in moments.py */
#define MOST_BEFORE 8    /* as in registry.py */

typedef double (*Reader)(const float *, const void *, double *, double *, const void *);

enum { SKIPPED, MEASURED_ALREADY, MEASURED }; /* what a call comes to */
enum { IGNORED, KNOWN, NEW, NOTHING };        /* what it receives: token ids; a measured signal; one to be measured; one that is not */

#define NAMES(X) \
    X(training) X(_calls) X(_calls_of) X(_generation) X(gives_time_first) X(data_ptr) X(_version) X(shape) X(stride) X(dtype) X(_base) X(is_cpu) \
    X(is_neg) X(grad_fn) X(requires_grad) X(is_leaf) X(_backward_hooks) X(_register_hook_dict) X(_sequence_nr) X(_open) X(waiting_bytes) \
    X(next_id) X(muted) X(gradients_muted) X(on_signal) X(is_alone) X(_owner_number) X(_current_level) X(_order) X(next_functions)
#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)
static PyObject *empty_text, *zero, *one, *minus_one;

/* How a signal lies and is read. */
typedef struct {
    PyObject *key, *shape, *strides, *layout, *samples, *positions, *owner;
    const void *plan;
    Py_ssize_t length, table;
} Signal;

typedef struct {
    PyObject *module, *entry, *training, *time_first, *generation; /* the module is a weak reference */
    const void *address, *root;
    int comes_to, receives, is_unchanged, is_known, has_node, has_statistics, depends_on_mode;
    PyObject *in_dtype, *in_shape, *in_strides, *known_shape, *known_strides, *known_layout;
    PyObject *path, *made_by; /* types of the operations from what it receives back to the measured signal that that was computed from; None without */
    Signal in, out;
} Site;

typedef struct {
    PyObject_HEAD
    PyObject *taps, *ledger, *by_address, *by_node, *by_shape, *tree, *statistics, *slow_gradient, *is_the_scripts, *note_mode, *new_block, *ordered, *handle;
    PyObject *tensor, *single, *reference, *measured_type, *moments_type, *tap_type;
    PyObject *mode_depth, *level, *tracing, *grad_enabled, *graph_task, *forward_mode;
    PyObject *forward, *number, *root_training, *thread, *others; /* of the forward that goes on; NULL between forwards */
    Reader reader;
    const void *team;
    PyObject *block, *table_block;
    double *begin, *table;
    Py_ssize_t used, size, table_size;
    Site **sites;
    Py_ssize_t slots, count;
    double seconds;
    long long taken;
    int is_busy, is_stale, is_over; /* what Python runs meanwhile, a finalizer say, must not take away what is in use */
} Calls;

typedef struct {
    PyObject_HEAD
    Calls *calls;
    PyObject *forward, *order;
    Signal signal;
} Gradient;

static PyTypeObject calls_type, gradient_type;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether an attribute is this very object; -1 with an error. */
static int is(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_GetAttr(thing, name);
    if (!value) return -1;
    Py_DECREF(value);
    return value == expected;
}

/* Whether an attribute equals this object. */
static int equals(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_GetAttr(thing, name);
    if (!value) return -1;
    int result = PyObject_RichCompareBool(value, expected, Py_EQ);
    Py_DECREF(value);
    return result;
}

/* As often as a tensor was written to; torch does not count of one that was made in inference mode, and says so by an error. */
static PyObject *version_of(PyObject *tensor) {
    PyObject *value = PyObject_GetAttr(tensor, s__version);
    if (value || !PyErr_ExceptionMatches(PyExc_RuntimeError)) return value;
    PyErr_Clear();
    Py_INCREF(zero);
    return zero;
}

static int is_of_version(PyObject *tensor, PyObject *expected) {
    PyObject *value = version_of(tensor);
    if (!value) return -1;
    int result = PyObject_RichCompareBool(value, expected, Py_EQ);
    Py_DECREF(value);
    return result;
}

static int calls_to(PyObject *function, PyObject *expected) {
    PyObject *value = PyObject_CallNoArgs(function);
    if (!value) return -1;
    Py_DECREF(value);
    return value == expected;
}

static int method_equals(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_CallMethodNoArgs(thing, name);
    if (!value) return -1;
    int result = PyObject_RichCompareBool(value, expected, Py_EQ);
    Py_DECREF(value);
    return result;
}

#define REQUIRE(condition)                  \
    do {                                    \
        int _holds = (condition);           \
        if (_holds <= 0) {                  \
            result = _holds;                \
            goto end;                       \
        }                                   \
    } while (0)
#define OBTAIN(variable, expression)        \
    do {                                    \
        if (!((variable) = (expression))) { \
            result = -1;                    \
            goto end;                       \
        }                                   \
    } while (0)

/* A named tuple of new references. */
static PyObject *record(PyObject *type, Py_ssize_t count, PyObject *const *values) {
    PyObject *tuple = ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, count);
    if (!tuple) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(values[i]);
        PyTuple_SET_ITEM(tuple, i, values[i]);
    }
    return tuple;
}

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

/* Whether nothing goes on in which a tensor of a plain type may stand for something else, or a mode of the script would see what we ask. */
static int is_plain_run(Calls *self) {
    int result;
    REQUIRE(calls_to(self->mode_depth, zero));
    REQUIRE(calls_to(self->level, Py_None));
    REQUIRE(calls_to(self->tracing, Py_None));
    REQUIRE(is(self->forward_mode, s__current_level, minus_one));
    result = 1;
end:
    return result;
}

static void forget_all(Calls *self);
static void end_forward(Calls *self);

static Site *find_site(Calls *self, PyObject *module) {
    if (!self->slots) return NULL;
    for (size_t i = ((uintptr_t)module >> 4) & (size_t)(self->slots - 1);; i = (i + 1) & (size_t)(self->slots - 1)) {
        Site *site = self->sites[i];
        if (!site) return NULL;
        if (site->address == module) return PyWeakref_GetObject(site->module) == module ? site : NULL;
    }
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

/* Whether the error that is set has to reach the script: a signal's handler has raised it. One of ours is cleared: forward_hook.py, which is asked
 * next, says what it was, if it is one there as well. */
static int has_to_leave(Calls *self) {
    PyObject *type, *value, *trace;
    if (!PyErr_Occurred()) return 0;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return 1;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject *answer = PyObject_CallOneArg(self->is_the_scripts, value);
    if (answer == Py_False) {
        Py_DECREF(answer);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
        return 0;
    }
    if (answer) { /* without one, something else has been raised meanwhile, and leaves */
        Py_DECREF(answer);
        PyErr_Restore(type, value, trace);
    } else {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    }
    return 1;
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

/* A gradient hook: called with the gradient, whose numbers lie as the signal's. */
static int attempt_gradient(Gradient *self, PyObject *gradient) {
    int result;
    Calls *calls = self->calls;
    PyObject *address = NULL, *moments = NULL;
    REQUIRE(is(calls->taps, s_muted, Py_False));
    REQUIRE(is(calls->taps, s_gradients_muted, zero));
    REQUIRE(calls->others && PyDict_GET_SIZE(calls->others) == 0);
    REQUIRE(is_plain_run(calls));
    REQUIRE((PyObject *)Py_TYPE(gradient) == calls->tensor);
    REQUIRE(lies_as(calls, gradient, &self->signal));
    OBTAIN(address, PyObject_CallMethodNoArgs(gradient, s_data_ptr));
    if (!(moments = moments_of(calls, &self->signal, address))) REQUIRE(PyErr_Occurred() ? -1 : 0);
    REQUIRE(add_tap(calls, self->signal.key, Py_True, self->forward, self->order, moments, empty_text, Py_None, minus_one, self->signal.length));
    result = 1;
end:
    Py_XDECREF(address);
    Py_XDECREF(moments);
    return result;
}

static PyObject *gradient_call(Gradient *self, PyObject *arguments, PyObject *named) {
    if (PyTuple_GET_SIZE(arguments) != 1) return PyErr_Format(PyExc_TypeError, "called with a gradient");
    double began = now();
    int taken = attempt_gradient(self, PyTuple_GET_ITEM(arguments, 0));
    if (taken > 0) {
        self->calls->seconds += now() - began;
        Py_RETURN_NONE;
    }
    if (taken < 0 && has_to_leave(self->calls)) return NULL;
    return PyObject_CallFunctionObjArgs(self->calls->slow_gradient, PyTuple_GET_ITEM(arguments, 0), self->signal.key, self->forward, self->order,
                                        self->signal.layout, NULL);
}

static void gradient_dealloc(Gradient *self) {
    Py_CLEAR(self->forward);
    Py_CLEAR(self->order);
    clear_signal(&self->signal);
    Py_CLEAR(self->calls);
    PyObject_Free(self);
}

/* As torch.utils.hooks.unserializable_hook marks a function. */
static PyObject *gradient_unserializable(PyObject *self, void *closure) { Py_RETURN_TRUE; }

static PyGetSetDef gradient_attributes[] = {{"__torch_unserializable__", gradient_unserializable, NULL, NULL, NULL}, {NULL}};

static PyTypeObject gradient_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bnprobe.observe.signals._known_calls.Gradient",
    .tp_basicsize = sizeof(Gradient),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)gradient_dealloc,
    .tp_call = (ternaryfunc)gradient_call,
    .tp_getset = gradient_attributes,
};

static void free_site(Site *site) {
    if (!site) return;
    Py_XDECREF(site->module);
    Py_XDECREF(site->entry);
    Py_XDECREF(site->training);
    Py_XDECREF(site->time_first);
    Py_XDECREF(site->generation);
    Py_XDECREF(site->in_dtype);
    Py_XDECREF(site->in_shape);
    Py_XDECREF(site->in_strides);
    Py_XDECREF(site->known_shape);
    Py_XDECREF(site->known_strides);
    Py_XDECREF(site->known_layout);
    Py_XDECREF(site->path);
    Py_XDECREF(site->made_by);
    clear_signal(&site->in);
    clear_signal(&site->out);
    PyMem_Free(site);
}

static void forget_all(Calls *self) {
    Site **sites = self->sites;
    Py_ssize_t slots = self->slots;
    self->sites = NULL;
    self->slots = self->count = self->is_stale = 0;
    for (Py_ssize_t i = 0; i < slots; i++) free_site(sites[i]);
    PyMem_Free(sites);
}

static void put(Site **sites, Py_ssize_t slots, Site *site) {
    size_t i = ((uintptr_t)site->address >> 4) & (size_t)(slots - 1);
    while (sites[i] && sites[i]->address != site->address) i = (i + 1) & (size_t)(slots - 1);
    Site *before = sites[i];
    sites[i] = site;
    free_site(before);
}

static int add_site(Calls *self, Site *site) {
    if (2 * (self->count + 1) > self->slots) {
        Py_ssize_t slots = self->slots ? 2 * self->slots : 64;
        Site **sites = PyMem_Calloc((size_t)slots, sizeof *sites);
        if (!sites) return -1;
        for (Py_ssize_t i = 0; i < self->slots; i++)
            if (self->sites[i]) put(sites, slots, self->sites[i]);
        PyMem_Free(self->sites);
        self->sites = sites;
        self->slots = slots;
    }
    self->count++; /* too high where a site takes the place of another: that only makes the table larger */
    put(self->sites, self->slots, site);
    return 0;
}

/* A signal is (key, shape, strides, layout, samples, positions, plan, address of it, length, length of the table), or None. */
static int parse_signal(PyObject *tuple, Signal *signal) {
    unsigned long long plan;
    if (tuple == Py_None) return 0;
    Signal found = {0};
    if (!PyArg_ParseTuple(tuple, "OOOOOOOKnn", &found.key, &found.shape, &found.strides, &found.layout, &found.samples, &found.positions, &found.owner, &plan,
                          &found.length, &found.table))
        return -1;
    found.plan = (const void *)(uintptr_t)plan;
    copy_signal(signal, &found);
    return 0;
}

/* learn(module, weak reference, entry, training, time_first, generation, root, comes_to, receives, is_unchanged, is_known, has_node,
 * has_statistics, depends_on_mode, dtype, shape, strides of the input, shape, strides, layout of what it is or was computed
 * from, types of the operations between, the one that made it, input signal, output signal) */
static PyObject *calls_learn(Calls *self, PyObject *arguments) {
    PyObject *module, *root, *in, *out;
    if (self->is_busy) Py_RETURN_NONE;
    Site *site = PyMem_Calloc(1, sizeof *site);
    if (!site) return PyErr_NoMemory();
    Site found = {0};
    if (!PyArg_ParseTuple(arguments, "OOOOOOOiiiiiiiOOOOOOOOOO", &module, &found.module, &found.entry, &found.training, &found.time_first,
                          &found.generation, &root, &found.comes_to, &found.receives, &found.is_unchanged, &found.is_known, &found.has_node,
                          &found.has_statistics, &found.depends_on_mode, &found.in_dtype, &found.in_shape, &found.in_strides, &found.known_shape, &found.known_strides,
                          &found.known_layout, &found.path, &found.made_by, &in, &out)) {
        PyMem_Free(site);
        return NULL;
    }
    *site = found;
    site->address = module;
    site->root = root;
    Py_INCREF(site->module);
    Py_INCREF(site->entry);
    Py_INCREF(site->training);
    Py_INCREF(site->time_first);
    Py_INCREF(site->generation);
    Py_INCREF(site->in_dtype);
    Py_INCREF(site->in_shape);
    Py_INCREF(site->in_strides);
    Py_INCREF(site->known_shape);
    Py_INCREF(site->known_strides);
    Py_INCREF(site->known_layout);
    Py_INCREF(site->path);
    Py_INCREF(site->made_by);
    if (parse_signal(in, &site->in) || parse_signal(out, &site->out) || add_site(self, site)) {
        free_site(site);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *calls_forget(Calls *self, PyObject *none) {
    if (self->is_busy)
        self->is_stale = 1;
    else
        forget_all(self);
    Py_RETURN_NONE;
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
