"""Which trials test which cause.

A counterfactual of a cause is the same training without it. Some causes have several, of which one is enough: a network whose gradients
vanish would train with other weights to begin with, or with normalisation. A cause without one cannot be tested.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bnprobe.experiments.order import Change
from bnprobe.interventions.catalogue import ENTRIES
from bnprobe.remedies.catalogue import ENTRIES as REMEDIES

AS_IS, AGAIN = "as it is", "as it is, again"
#: What makes many a failing training train, whatever is wrong with it: a cause is confirmed by what does better.
GENERIC = "a tenth of the rate"
_RATES = {
    GENERIC: 0.1,
    "a hundredth of the rate": 0.01,
    "ten times the rate": 10.0,
    "a hundred times the rate": 100.0,
    "a thousand times the rate": 1000.0,
}
_INTERVENTIONS = {one.name: one for one in ENTRIES}
_REMEDIES = {one.name: one for one in REMEDIES}


#: Which trainings a trial helps: none, for it undoes a mistake and finds nothing to do where that was not made; those whose script meant
#: what is taken away (a loss is lower without weight decay or a clip, with frozen weights or a target trained, too); those whose steps are
#: too large, or too small, whatever makes them so; many that fail at steps as large as they are; or few.
Helps: TypeAlias = Literal["none", "where meant", "by smaller steps", "by larger steps", "many", "few"]
_HELPS: dict[Helps, tuple[str, ...]] = {
    "none": (
        "clear-gradients",
        "training-mode",
        "keep-gradients",
        "align-shapes",
        "bypass-squashing",
        "class-softmax",
        "clip-unscaled",
        "float32",
        "norm-by-call",
    ),
    "where meant": ("keep-graph", "unfreeze", "no-clipping", "no-weight-decay"),
    "by smaller steps": (GENERIC, "a hundredth of the rate", "warm-up", "clip-norm", "skip-leaps"),
    "by larger steps": ("ten times the rate", "a hundred times the rate", "a thousand times the rate"),
    "many": ("reinitialise", "layer-norm", "batch-norm", "group-norm", "msr", "leaky-units", "reinitialise + rectified-units"),
}
_OWN_NOISE: dict[str, Literal["more", "less"]] = {"training-mode": "more", "no-dropout": "less"}


@dataclass(frozen=True)
class Counterfactual:
    """A trial that tests causes.

    Attributes:
        name: what it is called in tables.
        change: what it changes.
        summary: what it does, in one line.
        changes_loss: whether its losses are of another scale or kind than the script's own.
        helps: which trainings it helps, beside those with its cause.
        own_noise: "more" where its own loss has noise in it that the script's has not, so that a higher loss says nothing; "less" where it
            lacks one that the script's has, so that its loss is lower in any training, and has to be much lower.
    """

    name: str
    change: Change
    summary: str
    changes_loss: bool = False
    helps: Helps = "few"
    own_noise: Literal["more", "same", "less"] = "same"


#: By cause, the likeliest first; the keys are those of ``diagnose.verdict.CAUSES``.
TESTS: dict[str, tuple[str, ...]] = {
    "no-optimizer-step": ("take-steps",),
    "missing-zero-grad": ("clear-gradients",),
    "eval-mode-training": ("training-mode",),
    "gradients-cleared": ("keep-gradients",),
    "detached-loss": ("keep-graph",),
    "frozen-parameters": ("unfreeze", "keep-graph"),
    "broadcast-loss": ("align-shapes",),
    "probabilities-for-logarithms": ("bypass-squashing",),
    "targets-out-of-range": ("targets-in-range", "bypass-squashing"),
    "one-class-softmax": ("two-classes",),
    "softmax-over-batch": ("class-softmax",),
    "mixed-samples": ("states-by-sample",),
    "rectified-logits": ("bypass-squashing",),
    "flat-second-derivative": ("smooth-units",),
    "unshuffled-data": ("shuffle",),
    "clipped-before-unscaling": ("clip-unscaled",),
    "lost-updates": ("float32",),
    "double-softmax": ("bypass-squashing",),
    "symmetric-initialisation": ("reinitialise",),
    "half-precision-overflow": ("float32",),
    "numerical-fault": ("guard-arithmetic",),
    "batch-norm-reused": ("norm-by-call", "group-norm"),
    "batch-norm-small-batch": ("group-norm",),
    "batch-norm-train-eval-gap": ("batch-statistics", "fresh-statistics", "shuffle"),
    "unscaled-input": ("standardise-inputs",),
    "dropout-too-strong": ("no-dropout",),
    "unscaled-targets": ("standardise-targets",),
    "saturated-attention": ("scaled-logits", "normalised-logits"),
    "idle-experts": ("balanced-experts",),
    "dead-units": ("reinitialise", "leaky-units"),
    "exploding-activations": ("reinitialise", "layer-norm", "batch-norm"),
    "saturated-units": ("reinitialise", "layer-norm"),
    "unscaled-outputs": ("reinitialise",),
    "exploding-gradients": ("reinitialise", "clip-norm", "layer-norm"),
    "vanishing-gradients": ("reinitialise", "layer-norm", "reinitialise + rectified-units"),
    "clipping-too-tight": ("no-clipping",),
    "learning-rate-too-low": (
        "constant-rate",
        "ten times the rate",
        "a hundred times the rate",
        "a thousand times the rate",
    ),
    "weight-decay-too-strong": ("no-weight-decay",),
    "mean-shift": ("msr", "layer-norm", "batch-norm"),
    "learning-rate-too-high": (GENERIC, "a hundredth of the rate", "warm-up"),
    "loss-spike": ("clip-norm", "skip-leaps", "warm-up"),
}
#: Causes that are the rate: for them the tenth of it is the counterfactual, and only the script as it is has to do worse.
OF_THE_RATE = ("learning-rate-too-high",)
#: Causes that show elsewhere than in the training loss: a trial in which they are not found any more has removed them.
SYMPTOMS = ("batch-norm-reused", "batch-norm-small-batch", "batch-norm-train-eval-gap", "loss-spike")
#: Causes that show where the script evaluates its model: so they do in the losses of those evaluations.
HELD_OUT = ("eval-mode-training", "dropout-too-strong", "batch-norm-reused", "batch-norm-small-batch", "batch-norm-train-eval-gap")


def counterfactual(name: str) -> Counterfactual:
    """Return a trial by its name.

    Raises:
        KeyError: there is none.
    """
    helps: Helps = next((kind for kind, names in _HELPS.items() if name in names), "few")
    return replace(_plain(name), helps=helps, own_noise=_OWN_NOISE.get(name, "same"))


def _plain(name: str) -> Counterfactual:
    if " + " in name:
        return _joined([counterfactual(part) for part in name.split(" + ")])
    if name in _RATES:
        return Counterfactual(name, Change(factor=_RATES[name]), f"all learning rates times {_RATES[name]:g}")
    # Of one name an intervention is meant: it is made for the test of a cause, and refuses less.
    if name in _REMEDIES and name not in _INTERVENTIONS:
        return Counterfactual(name, Change(remedies=(name,)), _REMEDIES[name].summary)
    found = _INTERVENTIONS[name]
    return Counterfactual(name, Change(interventions=(name,)), found.summary, found.changes_loss)


def _joined(parts: Sequence[Counterfactual]) -> Counterfactual:
    return Counterfactual(
        " + ".join(one.name for one in parts),
        Change(
            tuple(name for one in parts for name in one.change.remedies),
            tuple(name for one in parts for name in one.change.interventions),
            math.prod(one.change.factor for one in parts),
        ),
        "; ".join(one.summary for one in parts),
        any(one.changes_loss for one in parts),
    )


def trials_of(cause: str) -> list[Counterfactual]:
    """Return the trials that test a cause; none where there are none, or where the cause is no known one."""
    return [counterfactual(name) for name in TESTS.get(cause, ())]
