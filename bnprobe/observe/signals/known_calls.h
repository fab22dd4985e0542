/* What the calls that are known consist of, and how Python is asked without a detour. */

#ifndef BNPROBE_KNOWN_CALLS
#define BNPROBE_KNOWN_CALLS

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <structmember.h>
#include <time.h>

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

#endif
