"""Faults of the arithmetic: a value that is not finite, born in one place out of a calm run."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import robust, stability
from bnprobe.analyse.layers import module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.half_precision import half_precision_overflow
from bnprobe.diagnose.nonfinite_origin import nonfinite_count, origin_of
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number


def numerical_fault(run: RunAnalysis) -> Finding | None:
    """A value that is not finite is born in one module while everything was small: a division, a root, a logarithm, or the data.

    Looks for the first value that is not finite, in a run whose sizes and loss were near their baseline up to then, and names the
    module: the first in depth whose output is not finite, or, where only gradients are not, the last one that the backward pass had
    not yet spoiled. Looks like any divergence; but an instability grows for steps before it overflows. A script may look at its weights and
    end before a loss shows what they have become.
    """
    end = run.divergence
    if end is not None and end.reason == "non-finite loss":
        row = int(min([end.row, *np.flatnonzero(stability.nonfinite_signal(run.recorded))[:1]]))
    elif end is None and _last_update_was_lost(run):
        row = run.recorded.steps - 1
    else:
        return None
    if not _is_calm(run, row) or half_precision_overflow(run) is not None or _weights_left_within(run, row):
        return None
    origin = origin_of(run, row)
    step = run.step(row) if origin.traced_step is None else origin.traced_step
    before = float(run.recorded.loss[row - 1]) if row else float("nan")
    calm = f": the loss had been {number(before)}, no layer had deviated from its baseline" if np.isfinite(before) else ""
    if end is None:
        calm += "; the weights are lost with that step, the last one that was taken"
    excess = _excess(run, row)
    evidence = [Evidence("largest finite activation against its course", excess, None, "decades", step)]
    if origin.layer is not None and origin.traced_step is None:
        evidence.append(
            Evidence(f"values that are not finite in the {origin.signal}", nonfinite_count(run, row, origin.layer), 0.0, "", step)
        )
    return Finding(
        id="numerical-fault",
        severity="error",
        confidence=0.9 if origin.layer is not None else 0.8,
        layers=(run.name(origin.layer),) if origin.layer is not None else (),
        step=step,
        evidence=tuple(evidence),
        cause=f"In a run that was stable so far, the first value that is not finite arose {origin.place} at step {step}{calm}.",
        fix=origin.advice,
        source="the first non-finite count in order of depth",
    )


def _last_update_was_lost(run: RunAnalysis) -> bool:
    """Whether gradients of the last step were not finite, and neither was what the optimizer then made of any weight."""
    recorded, last = run.recorded, run.recorded.steps - 1
    if last < 0 or not (recorded.activation_gradient.nonfinite[last] > 0).any() or recorded.skipped[last] == 1:
        return False
    trained = [i for i, parameter in enumerate(recorded.parameters) if parameter.group >= 0 and np.isfinite(recorded.weight_norm[last, i])]
    return bool(trained) and not np.isfinite(recorded.update_norm[last, trained]).any()


def _weights_left_within(run: RunAnalysis, row: int) -> bool:
    """Whether weights that were finite before a step were not in a forward of that step, as where an optimizer takes several looks.

    What a layer with weights makes of a finite signal is finite as long as they are: its first output that is not was made with others. The
    optimizer then moved them too far (LBFGS asks for the loss again after each of the moves of one step). Where gradients are accumulated,
    no weight moves within a step.
    """
    recorded = run.recorded
    faulty = np.flatnonzero(recorded.activation.nonfinite[row] > 0)
    if not faulty.size or not recorded.micro_steps[row] > 1:
        return False
    first = int(min(faulty, key=lambda layer: recorded.layers[layer].depth))
    own = [i for i, parameter in enumerate(recorded.parameters) if parameter.layer == module_of(run.name(first))]
    given = [i for i, layer in enumerate(recorded.layers) if layer.role == "input" and module_of(layer.name) == module_of(run.name(first))]
    is_given_finite = bool(given) and np.isfinite(recorded.activation.rms[row, given]).all()
    is_linear = recorded.layers[first].kind in ("linear", "convolution") and recorded.layers[first].role == "output"
    was_finite = bool(own) and np.isfinite(recorded.weight_norm[row, own]).all()
    is_lost = is_linear and is_given_finite and was_finite and not np.isfinite(recorded.update_norm[row, own]).all()
    return bool(is_lost and recorded.repeated_backwards[row] > 0)


def _is_calm(run: RunAnalysis, row: int) -> bool:
    """Whether loss and sizes were near their course up to a row. Activations that grow while the loss falls are training."""
    loss = run.recorded.loss[:row]
    loss = np.abs(loss[np.isfinite(loss)][-thresholds.CALM_STEPS :])
    if not loss.size:
        return _excess(run, row) < run.threshold(thresholds.CALM_DECADES)
    last, usual = float(loss[-1]), float(np.median(loss))
    learns = loss.size >= thresholds.CALM_LOSSES and last < usual
    return learns or (
        last <= run.threshold(thresholds.CALM_LOSS_TIMES) * usual and _excess(run, row) < run.threshold(thresholds.CALM_DECADES)
    )


def _excess(run: RunAnalysis, row: int) -> float:
    """How far the largest finite activation, of the row and the one before it, is above the course of its layer, decades."""
    rows = run.measured_rows[run.measured_rows <= row]
    recent, before = rows[-2:], rows[-2 - thresholds.CALM_STEPS : -2]
    if not before.size:
        recent, before = rows[-1:], rows[:-1]
    above = run.size[recent] - robust.median(run.size[before], axis=0)
    above = above[np.isfinite(above)]
    return float(above.max()) if above.size else 0.0
