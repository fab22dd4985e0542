/* Steps that pass by: those that are as the one before, and of which nothing is measured, noted without the interpreter.
 *
 * What a recording does at such a step follows from a few numbers: its loss, the rows of that, when it ended. They are noted here while all
 * is as passing.py has found it: one backward from one loss that is no news, one update of one optimizer, modules in the modes they had.
 * passing.py then does with them what would have been done at each step. Whatever differs ends that first, and takes the usual way: nothing
 * is decided here.
 *
 * It knows Python's interface and none of torch's.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <structmember.h>
#include <time.h>

#define INTERFACE 3
#define MOST 32  /* as in passing.py */
#define NODES 16 /* as in loss_rows.py */

enum { CLOSED, WAITS, BACKWARD, READY, UPDATE }; /* what the open step is at; closed: nothing passes */

#define NAMES(X) \
    X(training) X(item) X(grad_fn) X(_input_metadata) X(shape) X(next_functions) X(_scale) X(_handle) X(_current_level) X(param_groups) X(__dict__) \
    X(lr) X(momentum) X(betas) X(weight_decay) X(params) X(grad_scale) X(found_inf) X(inputs) X(accumulate_grad) X(is_cpu)
#define DECLARE(name) static PyObject *s_##name;
NAMES(DECLARE)
static PyObject *zero, *minus_one;

typedef struct {
    double loss, ended, seconds, looked, gradient; /* what a look at its gradients has taken, and their norm; without a look below zero */
    long rows;
    PyObject *norm, *limit, *settings; /* of clipping; of the parameter groups */
} Step;

/* What is asked of torch, and of the recorder: functions, and things whose attributes are looked at. */
#define OBJECTS(X) \
    X(tensor) X(mode_depth) X(dispatch_depth) X(is_profiled) X(level) X(tracing) X(graph_task) X(forward_mode) X(scaling) X(evaluations) X(others) \
    X(before_hooks) X(after_hooks) X(reread) X(look) X(clock) X(is_the_scripts)
/* How the steps are. */
#define PRESENT(X) X(optimizer) X(groups) X(settings) X(modules)

typedef struct {
    PyObject_HEAD
#define FIELD(name) PyObject *name;
    OBJECTS(FIELD) PRESENT(FIELD)
    Step steps[MOST];
    Step open;
    Py_ssize_t count, limit, next_look, before, after; /* steps that have passed, that may, before the next look; hooks of ours */
    double lowest, highest, until, span;    /* a loss between the first two is no news */
    unsigned long thread;
    int state, is_busy;
} Passer;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define REQUIRE(condition)        \
    do {                          \
        int _holds = (condition); \
        if (_holds <= 0) {        \
            result = _holds;      \
            goto end;             \
        }                         \
    } while (0)
#define OBTAIN(variable, expression)        \
    do {                                    \
        if (!((variable) = (expression))) { \
            result = -1;                    \
            goto end;                       \
        }                                   \
    } while (0)

static int is(PyObject *thing, PyObject *name, PyObject *expected) {
    PyObject *value = PyObject_GetAttr(thing, name);
    if (!value) return -1;
    Py_DECREF(value);
    return value == expected;
}

static int answers(PyObject *function, PyObject *expected) {
    PyObject *value = PyObject_CallNoArgs(function);
    if (!value) return -1;
    int result = value == expected || (PyLong_Check(value) && PyObject_RichCompareBool(value, expected, Py_EQ));
    Py_DECREF(value);
    return result;
}

static void forget(Step *step) {
    Py_CLEAR(step->norm);
    Py_CLEAR(step->limit);
    Py_CLEAR(step->settings);
    memset(step, 0, sizeof *step);
    step->gradient = -1.0;
}

/* Whether the recorded thread is at work, outside any backward, and nothing goes on by which a tensor stands for something else, or that would
 * see what is asked of it. */
static int is_plain_run(Passer *self) {
    int result;
    REQUIRE(PyThread_get_thread_ident() == self->thread);
    REQUIRE(PyDict_GET_SIZE(self->others) == 0);
    REQUIRE(answers(self->graph_task, minus_one));
    REQUIRE(answers(self->mode_depth, zero));
    REQUIRE(answers(self->dispatch_depth, zero));
    REQUIRE(answers(self->is_profiled, Py_False));
    REQUIRE(answers(self->level, Py_None));
    REQUIRE(answers(self->tracing, Py_None));
    REQUIRE(is(self->forward_mode, s__current_level, minus_one));
    result = 1;
end:
    return result;
}

/* As rows_behind of loss_rows.py; -1 with an error. */
static long rows_behind(PyObject *node) {
    long rows = 0;
    Py_INCREF(node);
    for (int i = 0; i < NODES && node != Py_None; i++) {
        PyObject *results = PyObject_GetAttr(node, s__input_metadata), *next = NULL;
        if (!results) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) goto error;
            PyErr_Clear();
        }
        for (Py_ssize_t k = 0, count = results ? PySequence_Size(results) : 0; k < count; k++) {
            PyObject *one = PySequence_GetItem(results, k), *shape = one ? PyObject_GetAttr(one, s_shape) : NULL, *size = NULL;
            Py_ssize_t length = shape ? PySequence_Size(shape) : -1;
            if (length > 0) size = PySequence_GetItem(shape, 0);
            if (size) rows = PyLong_AsLong(size);
            Py_XDECREF(one);
            Py_XDECREF(shape);
            Py_XDECREF(size);
            if (length) {
                Py_DECREF(results);
                Py_DECREF(node);
                return PyErr_Occurred() ? -1 : rows;
            }
        }
        Py_XDECREF(results);
        PyObject *edges = PyObject_GetAttr(node, s_next_functions);
        if (!edges) goto error;
        for (Py_ssize_t k = 0; PyTuple_Check(edges) && k < PyTuple_GET_SIZE(edges) && !next; k++) {
            PyObject *edge = PyTuple_GET_ITEM(edges, k);
            if (PyTuple_Check(edge) && PyTuple_GET_SIZE(edge) && PyTuple_GET_ITEM(edge, 0) != Py_None) next = PyTuple_GET_ITEM(edge, 0);
        }
        if (!next) next = Py_None;
        Py_INCREF(next);
        Py_DECREF(edges);
        Py_DECREF(node);
        node = next;
    }
    Py_DECREF(node);
    return 0;
error:
    Py_DECREF(node);
    return -1;
}

/* Whether every module is in the mode it had: a list of (weak reference, mode). */
static int are_modes_as_before(Passer *self) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->modules); i++) {
        PyObject *pair = PyList_GET_ITEM(self->modules, i), *module = PyWeakref_GetObject(PyTuple_GET_ITEM(pair, 0));
        if (module == Py_None) return 0;
        Py_INCREF(module);
        int as_before = is(module, s_training, PyTuple_GET_ITEM(pair, 1));
        Py_DECREF(module);
        if (as_before <= 0) return as_before;
    }
    return 1;
}

/* A backward is called with these arguments of torch's function below all of them. */
static int attempt_backward(Passer *self, PyObject *arguments, PyObject *named) {
    int result;
    PyObject *value = NULL, *node = NULL, *outputs, *loss, *inputs, *accumulates;
    REQUIRE(self->state == WAITS && self->count < self->limit);
    REQUIRE(is_plain_run(self));
    REQUIRE(PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) == 5 && PyDict_Check(named));
    outputs = PyTuple_GET_ITEM(arguments, 0);
    REQUIRE(PyTuple_Check(outputs) && PyTuple_GET_SIZE(outputs) == 1);
    loss = PyTuple_GET_ITEM(outputs, 0);
    REQUIRE((PyObject *)Py_TYPE(loss) == self->tensor);
    inputs = PyTuple_GET_ITEM(arguments, 4);
    REQUIRE(inputs == Py_None || (PyTuple_Check(inputs) && PyTuple_GET_SIZE(inputs) == 0));
    accumulates = PyDict_GetItemWithError(named, s_accumulate_grad);
    REQUIRE(accumulates == Py_True);
    REQUIRE(is(self->scaling, s__scale, Py_None));
    REQUIRE(is(self->evaluations, s__handle, Py_None));
    REQUIRE(is(loss, s_is_cpu, Py_True));
    REQUIRE(are_modes_as_before(self));
    OBTAIN(value, PyObject_CallMethodNoArgs(loss, s_item));
    REQUIRE(PyFloat_CheckExact(value));
    REQUIRE(PyFloat_AS_DOUBLE(value) > self->lowest && PyFloat_AS_DOUBLE(value) <= self->highest);
    OBTAIN(node, PyObject_GetAttr(loss, s_grad_fn));
    long rows = rows_behind(node);
    REQUIRE(rows < 0 ? -1 : 1);
    REQUIRE(self->state == WAITS); /* not taken meanwhile, by a signal's handler */
    self->open.loss = PyFloat_AS_DOUBLE(value);
    self->open.rows = rows;
    self->state = BACKWARD;
    result = 1;
end:
    Py_XDECREF(value);
    Py_XDECREF(node);
    return result;
}

static int is_same(PyObject *group, PyObject *name, PyObject *known) {
    PyObject *value = PyDict_GetItemWithError(group, name);
    return value ? value == known : PyErr_Occurred() ? -1 : known == Py_None;
}

/* Whether the parameter groups hold the very objects that they held: (number of parameters, rate, momentum, betas, weight decay) of each. */
static int are_groups_as_before(Passer *self, PyObject *groups) {
    int result;
    REQUIRE(PyList_Check(groups) && PyList_GET_SIZE(groups) == PyList_GET_SIZE(self->groups));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(groups); i++) {
        PyObject *group = PyList_GET_ITEM(groups, i), *known = PyList_GET_ITEM(self->groups, i), *parameters;
        REQUIRE(PyDict_Check(group));
        REQUIRE(is_same(group, s_lr, PyTuple_GET_ITEM(known, 1)));
        REQUIRE(is_same(group, s_momentum, PyTuple_GET_ITEM(known, 2)));
        REQUIRE(is_same(group, s_betas, PyTuple_GET_ITEM(known, 3)));
        REQUIRE(is_same(group, s_weight_decay, PyTuple_GET_ITEM(known, 4)));
        parameters = PyDict_GetItemWithError(group, s_params);
        REQUIRE(parameters && PyList_Check(parameters) && PyList_GET_SIZE(parameters) == PyLong_AsSsize_t(PyTuple_GET_ITEM(known, 0)));
    }
    result = 1;
end:
    return PyErr_Occurred() ? -1 : result;
}

static int attempt_update(Passer *self, PyObject *optimizer, PyObject *arguments, PyObject *named) {
    int result;
    PyObject *groups = NULL, *own = NULL, *settings = NULL, *look = NULL;
    double began = 0.0;
    REQUIRE(self->state == READY);
    REQUIRE(is_plain_run(self));
    REQUIRE(PyWeakref_GetObject(self->optimizer) == optimizer);
    REQUIRE(PyTuple_Check(arguments) && PyTuple_GET_SIZE(arguments) == 1 && PyDict_Check(named) && PyDict_GET_SIZE(named) == 0);
    REQUIRE(PyDict_Size(self->before_hooks) == self->before && PyDict_Size(self->after_hooks) == self->after);
    OBTAIN(own, PyObject_GetAttr(optimizer, s___dict__));
    REQUIRE(PyDict_Check(own));
    REQUIRE(!PyDict_GetItemWithError(own, s_grad_scale) && !PyDict_GetItemWithError(own, s_found_inf));
    OBTAIN(groups, PyObject_GetAttr(optimizer, s_param_groups));
    int as_before = are_groups_as_before(self, groups);
    REQUIRE(as_before < 0 ? -1 : 1);
    if (!as_before) {
        OBTAIN(settings, PyObject_CallOneArg(self->reread, optimizer)); /* (groups, settings), or None where they are news */
        REQUIRE(PyTuple_Check(settings) && PyTuple_GET_SIZE(settings) == 2 && PyList_Check(PyTuple_GET_ITEM(settings, 0)));
    }
    if (self->count >= self->next_look) {
        began = now();
        OBTAIN(look, PyObject_CallFunction(self->look, "On", optimizer, self->count)); /* (norm, steps to the next look), or None where it may be news */
        REQUIRE(PyTuple_Check(look) && PyTuple_GET_SIZE(look) == 2 && PyFloat_CheckExact(PyTuple_GET_ITEM(look, 0)));
        REQUIRE(PyLong_CheckExact(PyTuple_GET_ITEM(look, 1)));
    }
    REQUIRE(self->state == READY); /* as above */
    if (look) {
        self->open.gradient = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(look, 0));
        self->open.looked = now() - began;
        self->next_look = self->count + PyLong_AsSsize_t(PyTuple_GET_ITEM(look, 1));
    }
    if (settings) {
        Py_INCREF(PyTuple_GET_ITEM(settings, 0));
        Py_XSETREF(self->groups, PyTuple_GET_ITEM(settings, 0));
        Py_INCREF(PyTuple_GET_ITEM(settings, 1));
        Py_XSETREF(self->settings, PyTuple_GET_ITEM(settings, 1));
    }
    Py_INCREF(self->settings);
    Py_XSETREF(self->open.settings, self->settings);
    self->state = UPDATE;
    result = 1;
end:
    Py_XDECREF(groups);
    Py_XDECREF(own);
    Py_XDECREF(settings);
    Py_XDECREF(look);
    return PyErr_Occurred() ? -1 : result;
}

static int attempt_end(Passer *self, PyObject *optimizer) {
    int result;
    PyObject *ended = NULL;
    REQUIRE(self->state == UPDATE && self->count + 1 < self->limit);
    REQUIRE(PyThread_get_thread_ident() == self->thread && PyWeakref_GetObject(self->optimizer) == optimizer);
    REQUIRE(PyDict_Size(self->before_hooks) == self->before && PyDict_Size(self->after_hooks) == self->after);
    OBTAIN(ended, PyObject_CallNoArgs(self->clock));
    REQUIRE(PyFloat_CheckExact(ended));
    REQUIRE(PyFloat_AS_DOUBLE(ended) < self->until);
    REQUIRE(self->state == UPDATE); /* as above */
    self->open.ended = PyFloat_AS_DOUBLE(ended);
    self->steps[self->count++] = self->open;
    memset(&self->open, 0, sizeof self->open); /* its references have moved */
    self->open.gradient = -1.0;
    self->state = WAITS;
    result = 1;
end:
    Py_XDECREF(ended);
    return result;
}

/* Whether the error that is set has to reach the script: a signal's handler has raised it. One of ours is cleared: the usual way, which is taken
 * next, says what it was, if it is one there as well. */
static int has_to_leave(Passer *self) {
    PyObject *type, *value, *trace;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return 1;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject *is_ours = PyObject_CallOneArg(self->is_the_scripts, value);
    int leaves = is_ours != Py_False;
    if (is_ours && leaves) { /* without an answer, something else has been raised meanwhile, and leaves */
        PyErr_Restore(type, value, trace);
    } else {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
    }
    Py_XDECREF(is_ours);
    return leaves;
}

/* The answer to whether something was noted. */
static PyObject *answer(Passer *self, int result, double began) {
    if (PyErr_Occurred() && has_to_leave(self)) return NULL;
    if (result > 0) (self->state == WAITS && self->count ? &self->steps[self->count - 1] : &self->open)->seconds += now() - began;
    return PyBool_FromLong(result > 0);
}

#define EVENT(name, number, usage, attempt)                                                            \
    static PyObject *passer_##name(Passer *self, PyObject *const *arguments, Py_ssize_t count) {       \
        if (count != number) return PyErr_Format(PyExc_TypeError, usage);                              \
        if (self->state == CLOSED || self->is_busy) Py_RETURN_FALSE;                                   \
        double began = now();                                                                          \
        self->is_busy = 1;                                                                             \
        int result = attempt;                                                                          \
        self->is_busy = 0;                                                                             \
        return answer(self, result, began);                                                            \
    }
EVENT(backward, 2, "backward(args, kwargs)", attempt_backward(self, arguments[0], arguments[1]))
EVENT(update_begins, 3, "update_begins(optimizer, args, kwargs)", attempt_update(self, arguments[0], arguments[1], arguments[2]))
EVENT(update_ended, 1, "update_ended(optimizer)", attempt_end(self, arguments[0]))

static PyObject *passer_backward_ended(Passer *self, PyObject *none) {
    if (self->state != BACKWARD || self->is_busy || PyThread_get_thread_ident() != self->thread) Py_RETURN_FALSE;
    self->state = READY;
    Py_RETURN_TRUE;
}

/* clip(norm, limit): the script has clipped its gradients. */
static PyObject *passer_clip(Passer *self, PyObject *const *arguments, Py_ssize_t count) {
    if (count != 2) return PyErr_Format(PyExc_TypeError, "clip(norm, limit)");
    if (self->state != READY || self->is_busy || PyThread_get_thread_ident() != self->thread) Py_RETURN_FALSE;
    Py_INCREF(arguments[0]);
    Py_XSETREF(self->open.norm, arguments[0]);
    Py_INCREF(arguments[1]);
    Py_XSETREF(self->open.limit, arguments[1]);
    Py_RETURN_TRUE;
}

/* begin(limit, next look, lowest, highest, until, thread, before, after, optimizer, groups, settings, modules) */
static PyObject *passer_begin(Passer *self, PyObject *arguments) {
    PyObject *optimizer, *groups, *settings, *modules;
    if (self->is_busy || self->state != CLOSED) Py_RETURN_NONE;
    if (!PyArg_ParseTuple(arguments, "nndddknnOO!OO!", &self->limit, &self->next_look, &self->lowest, &self->highest, &self->until, &self->thread, &self->before, &self->after,
                          &optimizer, &PyList_Type, &groups, &settings, &PyList_Type, &modules))
        return NULL;
    if (self->limit > MOST) self->limit = MOST;
#define SET(name)    \
    Py_INCREF(name); \
    Py_XSETREF(self->name, name);
    PRESENT(SET)
    self->count = 0;
    self->open.gradient = -1.0;
    self->state = WAITS;
    Py_RETURN_NONE;
}

static PyObject *step_of(Passer *self, Step *step) {
    return Py_BuildValue("(dlddddOOO)", step->loss, step->rows, step->ended, step->seconds, step->looked, step->gradient, step->norm ? step->norm : Py_None,
                         step->limit ? step->limit : Py_None, step->settings ? step->settings : Py_None);
}

/* take(list): adds to it the steps that have passed, what the open one is at, and what is noted of it; nothing passes from now on. Also while an
 * event is looked at, by a signal's handler. What is returned might be lost: such a handler may raise before the caller has it. */
static PyObject *passer_take(Passer *self, PyObject *list) {
    if (!PyList_Check(list)) return PyErr_Format(PyExc_TypeError, "take(list)");
    PyObject *steps = PyList_New(0), *taken = NULL;
    for (Py_ssize_t i = 0; steps && i < self->count; i++) {
        PyObject *step = step_of(self, &self->steps[i]);
        if (!step || PyList_Append(steps, step)) Py_CLEAR(steps);
        Py_XDECREF(step);
    }
    if (steps) taken = Py_BuildValue("(NiN)", steps, self->state, step_of(self, &self->open));
    int failed = !taken || PyList_Append(list, taken);
    Py_XDECREF(taken);
    for (Py_ssize_t i = 0; i < self->count; i++) forget(&self->steps[i]);
    forget(&self->open);
    self->state = CLOSED;
    self->count = 0;
    if (failed) return NULL;
    Py_RETURN_NONE;
}

static PyObject *passer_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    static char *names[] = {
#define QUOTE(name) #name,
        OBJECTS(QUOTE) NULL};
    PyObject *found[17];
    Passer *self = (Passer *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OOOOOOOOOOO!O!O!OOOO", names, &found[0], &found[1], &found[2], &found[3], &found[4], &found[5],
                                     &found[6], &found[7], &found[8], &found[9], &PyDict_Type, &found[10], &PyDict_Type, &found[11], &PyDict_Type,
                                     &found[12], &found[13], &found[14], &found[15], &found[16])) {
        Py_DECREF(self);
        return NULL;
    }
    int i = 0;
#define KEEP(name)         \
    Py_INCREF(found[i]);   \
    self->name = found[i]; \
    i++;
    OBJECTS(KEEP)
    return (PyObject *)self;
}

static int passer_traverse(Passer *self, visitproc visit, void *arg) {
#define VISIT(name) Py_VISIT(self->name);
    OBJECTS(VISIT)
    PRESENT(VISIT)
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_VISIT(self->steps[i].norm);
        Py_VISIT(self->steps[i].settings);
    }
    Py_VISIT(self->open.norm);
    Py_VISIT(self->open.settings);
    return 0;
}

static int passer_clear(Passer *self) {
    self->state = CLOSED;
#define CLEAR(name) Py_CLEAR(self->name);
    OBJECTS(CLEAR)
    PRESENT(CLEAR)
    for (Py_ssize_t i = 0; i < self->count; i++) forget(&self->steps[i]);
    self->count = 0;
    forget(&self->open);
    return 0;
}

static void passer_dealloc(Passer *self) {
    PyObject_GC_UnTrack(self);
    passer_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef passer_methods[] = {
    {"begin", (PyCFunction)passer_begin, METH_VARARGS, NULL},
    {"backward", (PyCFunction)(void (*)(void))passer_backward, METH_FASTCALL, NULL},
    {"backward_ended", (PyCFunction)passer_backward_ended, METH_NOARGS, NULL},
    {"clip", (PyCFunction)(void (*)(void))passer_clip, METH_FASTCALL, NULL},
    {"update_begins", (PyCFunction)(void (*)(void))passer_update_begins, METH_FASTCALL, NULL},
    {"update_ended", (PyCFunction)(void (*)(void))passer_update_ended, METH_FASTCALL, NULL},
    {"take", (PyCFunction)passer_take, METH_O, NULL},
    {NULL},
};

static PyMemberDef passer_members[] = {{"state", T_INT, offsetof(Passer, state), READONLY, NULL}, {NULL}};

static PyTypeObject passer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bnprobe.observe.recording._passing.Passer",
    .tp_basicsize = sizeof(Passer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = passer_new,
    .tp_dealloc = (destructor)passer_dealloc,
    .tp_traverse = (traverseproc)passer_traverse,
    .tp_clear = (inquiry)passer_clear,
    .tp_methods = passer_methods,
    .tp_members = passer_members,
};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_passing", NULL, -1, NULL};

PyMODINIT_FUNC PyInit__passing(void) {
#define INTERN(name) \
    if (!(s_##name = PyUnicode_InternFromString(#name))) return NULL;
    NAMES(INTERN)
    zero = PyLong_FromLong(0);
    minus_one = PyLong_FromLong(-1);
    if (!zero || !minus_one || PyType_Ready(&passer_type)) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    Py_INCREF(&passer_type);
    if (PyModule_AddObject(module, "Passer", (PyObject *)&passer_type) || PyModule_AddIntConstant(module, "INTERFACE", INTERFACE)) return NULL;
    return module;
}
