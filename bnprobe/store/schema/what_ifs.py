"""Variables of a training that was trained again from its tape."""

from __future__ import annotations

from bnprobe.store.schema.variable import TEXT, Variable

WHAT_IF = [
    Variable("what_if", ("what_if",), "i4", "1", "index of the training"),
    Variable("what_if_remedy", ("what_if",), TEXT, "", "the remedy, as typed after --remedy; none for the training as it is"),
    Variable("what_if_start", ("what_if",), "i8", "1", "the recorded step with which the stretch that it trains again begins"),
    Variable("what_if_factor", ("what_if",), "f8", "1", "factor on every learning rate"),
    Variable("what_if_rate", ("what_if",), "f8", "1", "that times the largest rate of any group within the stretch"),
    Variable("what_if_grid", ("what_if",), "i4", "1", "1 where the factor is one of the search for the limit, 0 of the curves"),
    Variable("what_if_outcome", ("what_if",), TEXT, "", "trains, stuck or diverges"),
    Variable("what_if_stuck_by", ("what_if",), TEXT, "", "of one that is stuck: slow, risen or level"),
    Variable("what_if_reason", ("what_if",), TEXT, "", "the numbers that decided, in words"),
    Variable("what_if_point", ("what_if_point",), "i4", "1", "index of the step of a training"),
    Variable("what_if_point_trial", ("what_if_point",), "i4", "1", "index of the training it belongs to"),
    Variable("what_if_point_step", ("what_if_point",), "i4", "1", "its step, counted from 0 where the stretch begins"),
    Variable("what_if_point_loss", ("what_if_point",), "f8", "as the loss", "loss of the step"),
    Variable("what_if_layer", ("what_if_layer",), TEXT, "", "name of a layer whose output is looked at, before any activation function"),
    Variable(
        "what_if_point_rms",
        ("what_if_point", "what_if_layer"),
        "f4",
        "as the signal",
        "root mean square of the layer's output; NaN where it was not looked at",
        "sqrt(mean x^2)",
    ),
    Variable(
        "what_if_point_common_mode",
        ("what_if_point", "what_if_layer"),
        "f4",
        "1",
        "share of its energy that is the same for the whole batch",
        "A / (A + B + W)",
    ),
]
