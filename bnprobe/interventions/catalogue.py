"""Every intervention there is: its name, what it does and what it touches. Readable without torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One intervention as a person knows it.

    Attributes:
        name: what a plan of trials calls it.
        summary: what is done, in one line.
        touches: what it changes of a training.
        place: ``module:class`` below ``bnprobe.interventions``.
        changes_loss: whether the losses of the changed training are of another scale, or of another kind.
    """

    name: str
    summary: str
    touches: str
    place: str
    changes_loss: bool = False

    def load(self) -> Any:
        """Return the intervention's class, importing it and torch."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(f"bnprobe.interventions.{module}"), name)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "clear-gradients",
        "clear the gradients before the first backward of each step",
        "gradients that the script left from the step before",
        "gradient_clearing:ClearGradients",
    ),
    Entry(
        "keep-gradients",
        "do not clear gradients between backward and step",
        "gradients cleared between backward and step",
        "gradient_clearing:KeepGradients",
    ),
    Entry(
        "training-mode",
        "train in training mode throughout",
        "modules in evaluation mode that are called with gradients enabled",
        "training_mode:TrainingMode",
    ),
    Entry(
        "unfreeze",
        "train every parameter of the modules that are called",
        "parameters that no optimizer holds or that ask for no gradient",
        "unfreezing:Unfreeze",
    ),
    Entry(
        "reinitialise",
        "draw all weights anew, each layer scaled to outputs of variance 1 on the first batch",
        "weights of linear, convolutional, recurrent and embedding layers, and of matrices that modules hold themselves",
        "reinitialisation:Reinitialise",
    ),
    Entry(
        "standardise-inputs",
        "subtract the mean of the first batch from what enters the network, and divide by its deviation",
        "inputs of linear, convolutional and recurrent layers that come from the data",
        "standardisation:StandardiseInputs",
    ),
    Entry(
        "standardise-targets",
        "subtract the mean of the first targets from all, and divide by their deviation",
        "targets of torch's squared and absolute errors",
        "standardisation:StandardiseTargets",
        changes_loss=True,
    ),
    Entry(
        "targets-in-range",
        "map targets linearly onto 0 to 1",
        "targets of torch's binary cross entropies",
        "standardisation:TargetsInRange",
        changes_loss=True,
    ),
    Entry(
        "shuffle",
        "draw the samples of each epoch in random order",
        "data loaders that go through their data in order",
        "shuffling:Shuffle",
    ),
    Entry(
        "float32",
        "compute in float32 throughout",
        "conversions to half precision, and autocast",
        "single_precision:SinglePrecision",
    ),
    Entry(
        "no-weight-decay",
        "train without weight decay",
        "the weight_decay of parameter groups",
        "step_settings:NoWeightDecay",
    ),
    Entry(
        "constant-rate",
        "train at the schedule's base rate throughout",
        "learning rates that a schedule has moved",
        "step_settings:ConstantRate",
    ),
    Entry(
        "warm-up",
        "let the rates rise from near 0 over the first fifth of the steps",
        "the rates of all parameter groups",
        "step_settings:WarmUp",
    ),
    Entry(
        "no-clipping",
        "do not clip gradients",
        "calls of clip_grad_norm_ and clip_grad_value_",
        "clipping:NoClipping",
    ),
    Entry(
        "clip-unscaled",
        "clip at the limit times the loss scale, as if gradients had been unscaled before",
        "calls of clip_grad_norm_ and clip_grad_value_ on gradients of a scaled loss",
        "clipping:ClipUnscaled",
    ),
    Entry(
        "layer-norm",
        "normalise the outputs of all layers but the last, sample by sample",
        "outputs of linear and convolutional layers",
        "normalisation:LayerNorm",
    ),
    Entry(
        "group-norm",
        "normalise over groups of channels in place of the batch",
        "calls of batch norm",
        "normalisation:GroupNorm",
    ),
    Entry(
        "states-by-sample",
        "lay the states of a recurrent layer out sample by sample before they are viewed as (samples, rest)",
        "views and reshapes of states (layers, samples, width)",
        "recurrent_states:StatesBySample",
    ),
    Entry(
        "bypass-squashing",
        "give the loss what there was before a softmax, sigmoid, tanh or ReLU at its input",
        "inputs of torch's cross entropies and divergences",
        "loss_inputs:BypassSquashing",
        changes_loss=True,
    ),
    Entry(
        "align-shapes",
        "give targets the shape of the output",
        "losses and differences that broadcast output and target against each other",
        "loss_inputs:AlignShapes",
        changes_loss=True,
    ),
    Entry(
        "class-softmax",
        "take each softmax over the last dimension",
        "softmaxes over the batch",
        "softmax_dimensions:OverClasses",
    ),
    Entry(
        "two-classes",
        "take a cross entropy over one class for one of two, and a softmax over one element over the sequence, or for a sigmoid",
        "cross entropies and softmaxes over one element",
        "softmax_dimensions:NotOverOne",
        changes_loss=True,
    ),
    Entry(
        "no-dropout",
        "train without dropout",
        "calls of dropout that drop something",
        "activations:NoDropout",
    ),
    Entry(
        "leaky-units",
        "let rectified units pass a tenth of what is negative",
        "calls of relu",
        "activations:LeakyUnits",
    ),
    Entry(
        "rectified-units",
        "replace sigmoid and tanh by leaky rectified units, which do not saturate",
        "calls of sigmoid and tanh",
        "activations:RectifiedUnits",
    ),
    Entry(
        "guard-arithmetic",
        "keep logarithms, roots, quotients, powers and inverse sines away from where they have no finite value or slope",
        "arguments that lie beyond that",
        "guarded_arithmetic:GuardArithmetic",
    ),
    Entry(
        "smooth-units",
        "replace rectified units by tanh, whose second derivative is not zero",
        "calls of relu and leaky_relu",
        "activations:SmoothUnits",
    ),
    Entry(
        "take-steps",
        "let the optimizer take a step after each backward",
        "optimizers that hold parameters with a gradient and take no step",
        "step_taking:TakeSteps",
    ),
    Entry(
        "keep-graph",
        "keep the graph where a value is detached or made a number on its way into the loss",
        "detach, .data, item, tolist and numpy of tensors with a graph, and tensors made of what these gave",
        "kept_graph:KeepGraph",
    ),
    Entry(
        "skip-leaps",
        "leave out updates whose gradient is far beyond its usual size",
        "gradients of more than four times the median norm of those before",
        "leaps:SkipLeaps",
    ),
    Entry(
        "norm-by-call",
        "give each call of a batch norm in a forward running statistics of its own",
        "running statistics of batch norms that are called more than once in a forward",
        "batch_norm_statistics:NormByCall",
    ),
    Entry(
        "batch-statistics",
        "normalise by the statistics of the batch in evaluation mode, too",
        "calls of batch norm in evaluation mode",
        "batch_norm_statistics:BatchStatistics",
    ),
    Entry(
        "fresh-statistics",
        "compute running statistics anew over the last 20 batches before each evaluation",
        "running statistics of batch norms",
        "batch_norm_statistics:FreshStatistics",
    ),
    Entry(
        "scaled-logits",
        "divide the logits of each attention by the deviation that they have at first",
        "softmaxes over products of queries and keys, and torch's own attention",
        "attention_logits:ScaledLogits",
    ),
    Entry(
        "normalised-logits",
        "divide the logits of each attention by their deviation, wherever that is above 1",
        "softmaxes over products of queries and keys, and torch's own attention",
        "attention_logits:NormalisedLogits",
    ),
    Entry(
        "balanced-experts",
        "descend, beside the loss, a term that balances the load of experts",
        "outputs of layers with one output for each of several modules made alike",
        "expert_routing:BalancedExperts",
    ),
)


def entry(name: str) -> Entry:
    """Return the entry of an intervention.

    Raises:
        KeyError: there is none of that name.
    """
    return {one.name: one for one in ENTRIES}[name]
