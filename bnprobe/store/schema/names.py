"""Variables that say what the layers, channels and parameters of the file are."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

LAYER = [
    Variable("layer", ("layer",), TEXT, "", "dotted name; ':input' marks a measured input, ':2' a second call in a forward"),
    Variable("layer_type", ("layer",), TEXT, "", "class name of the module"),
    Variable(
        "layer_kind",
        ("layer",),
        TEXT,
        "",
        "convolution, linear, normalisation, activation, attention, recurrent, embedding, dropout, pooling or other",
    ),
    Variable(
        "layer_role",
        ("layer",),
        TEXT,
        "",
        "output: the module's output; input: a signal no module produced, as the module received it",
    ),
    Variable("layer_depth", ("layer",), "i4", "1", "order of first call within a forward"),
    Variable("layer_call", ("layer",), "i4", "1", "which call of the module within one forward, counted from 0"),
    Variable("layer_model", ("layer",), "i4", "1", "which model (root module) it belongs to"),
    Variable("layer_channels", ("layer",), "i4", "1", "number of channels"),
    Variable("layer_dtype", ("layer",), TEXT, "", "type of the signal's numbers when it was first measured, such as float16"),
    Variable("layer_made_by", ("layer",), TEXT, "", "operation that made a measured input, such as tanh; empty for outputs and for data"),
    Variable("layer_repeat", ("layer",), "i4", "1", "which call of the module within its own forward, counted from 0, as first seen"),
    Variable("channel_layer", ("channel",), "i4", "1", "index of the layer the channel belongs to"),
    Variable("channel", ("channel",), "i4", "1", "index of the channel within its layer"),
]

PARAMETER = [
    Variable("parameter", ("parameter",), TEXT, "", "dotted name of the parameter"),
    Variable("parameter_layer", ("parameter",), TEXT, "", "dotted name of the module that owns it"),
    Variable("parameter_shape", ("parameter",), TEXT, "", "shape, as text"),
    Variable("parameter_size", ("parameter",), "i8", "1", "number of elements"),
    Variable("parameter_group", ("parameter",), "i4", "1", "parameter group that trains it"),
    Variable("parameter_dtype", ("parameter",), TEXT, "", "type of its numbers, such as float32"),
    Variable(
        "parameter_shard",
        ("parameter",),
        TEXT,
        "",
        "which part of it this rank holds, of a distributed tensor: for each axis of the mesh S (sharded) or R (replicated), place / size",
    ),
    Variable("group", ("group",), TEXT, "", "optimizer class, optimizer number and group number"),
]
