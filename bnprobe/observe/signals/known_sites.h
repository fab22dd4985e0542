/* Where calls are remembered: by their module's place in memory. */

#ifndef BNPROBE_KNOWN_SITES
#define BNPROBE_KNOWN_SITES

#include "known_signals.h"

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

static Site *find_site(Calls *self, PyObject *module) {
    if (!self->slots) return NULL;
    for (size_t i = ((uintptr_t)module >> 4) & (size_t)(self->slots - 1);; i = (i + 1) & (size_t)(self->slots - 1)) {
        Site *site = self->sites[i];
        if (!site) return NULL;
        if (site->address == module) return PyWeakref_GetObject(site->module) == module ? site : NULL;
    }
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

#endif
