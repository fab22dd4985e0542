/* The object that catches the gradient of a signal. */

#ifndef BNPROBE_KNOWN_GRADIENTS
#define BNPROBE_KNOWN_GRADIENTS

#include "known_signals.h"

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

#endif
