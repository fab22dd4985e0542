"""Causes in the loss: what it is given, and what becomes of it."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import loss_fate, number

_CROSS_ENTROPY = "torch.nn.functional.cross_entropy takes logits: it applies log-softmax itself"


def double_softmax(case: Case) -> Finding | None:
    """The loss applies softmax, or the logistic function, to what is its result already.

    Looks in the graph of the loss for log-softmax of softmax or sigmoid, or binary cross-entropy with logits of either. Looks like a
    learning rate that is too low: probabilities lie between 0 and 1, so the loss can neither fall far nor pass on much of a
    gradient. Probabilities given to a loss that wants them (their logarithm, a squared error) are no fault, nor is a second log-softmax,
    which changes nothing.
    """
    rows = np.flatnonzero(case.run["squashed_twice"] == 1)
    if not rows.size:
        return None
    step, layer = case.step(int(rows[0])), _squashing_layer(case)
    where = f" by {case.place(layer)}" if layer is not None and case.run.layers[layer].type in _SQUASHING else ""
    evidence = [Evidence("measured losses of squashed values", float(rows.size), 0.0, "steps", step)]
    bound = ""
    if case.classes > 2 and case.course is not None:
        floor = float(np.log1p((case.classes - 1) / np.e))
        evidence.append(Evidence("loss", case.course.late, floor, "as the loss"))
        bound = f"; for {case.classes} classes the loss cannot fall below {number(floor)} so"
    return Finding(
        id="double-softmax",
        severity="error" if case.is_harmed or case.is_stuck or not case.has_learned else "warning",
        confidence=0.95,
        layers=(case.name(layer),) if layer is not None else (),
        step=step,
        evidence=tuple(evidence),
        cause=f"The loss is given values that were squashed before{where}, and squashes them again{bound}; {loss_fate(case)}.",
        fix="Leave the softmax (or sigmoid) out of the network while it trains, and apply it where probabilities are wanted.",
        source=_CROSS_ENTROPY,
    )


_SQUASHING = ("Softmax", "Softmax2d", "Sigmoid", "LogSigmoid")


def _squashing_layer(case: Case) -> int | None:
    """The deepest module that squashes; without one the deepest layer with weights, behind which a function did."""
    squashing = [(layer.depth, i) for i, layer in enumerate(case.run.layers) if layer.type in _SQUASHING]
    return max(squashing)[1] if squashing else case.last_layer
