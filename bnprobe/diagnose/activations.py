"""Causes in the forward signal: activations that grow along depth, and a mean that drowns what differs between inputs.

Both are there before the first update in a deep network that nothing normalises (Bjorck et al. 2018, arXiv 1806.02375, Figure
5), so the first recorded step tells them from a learning rate that is too high, which leaves a sound profile at the start and
ruins it later.
"""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import common_mode, depth_profile
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import each, loss_fate, number, percent, times, with_remedy

_PROPAGATION = "Bjorck et al. 2018 (arXiv 1806.02375), Figure 5; growth along depth as in Brock et al. 2021 (arXiv 2101.08692)"
_MEAN_SHIFT = "Ruff, Beck, Bach 2019 (arXiv 1911.13173); kappa = A / (A + B + W)"


def exploding_activations(case: Case) -> Finding | None:
    """Activations grow from layer to layer until the loss cannot be kept.

    Looks for a profile that grows along depth, before the first update or just before the divergence, in a run that diverged or is
    stuck. A level alone is no sign: large but equal activations are sound. Looks like a learning rate that is too high; there the
    profile of the first step is flat. Looks like mean shift; there only the part that is common to all inputs grows.
    """
    if not case.is_harmed:
        return None
    start, late = case.span(case.first_row), case.span(case.last_sound_row)
    if start is None or late is None:
        return None
    from_start = start.decades >= thresholds.EXPLODED_DECADES and start.slope >= thresholds.GROWTH_PER_LAYER
    in_training = late.decades >= thresholds.EXPLODING_LATE_DECADES and late.decades > start.decades + thresholds.EXPLODED_DECADES
    if not (from_start or (in_training and case.divergence is not None)):
        return None
    shown = start if from_start else late
    limit = thresholds.EXPLODED_DECADES if from_start else thresholds.EXPLODING_LATE_DECADES
    layer = _steepest(case, shown.step)
    kind = each(case.run.layers[shown.last].kind)
    when = "already at the first step" if from_start else f"by step {case.step(shown.step)}"
    rise = case.run["activation_rms"][late.step, late.last] / max(float(case.run["activation_rms"][start.step, late.last]), 1e-300)
    later = f" and at step {case.step(late.step)} the rms there was {number(late.last_rms)}, {times(rise)} its first value"
    cause = (
        f"The activations grow {number(shown.slope)} decades {kind} {when}: "
        f"rms {number(shown.first_rms)} at {case.name(shown.first)}, {number(shown.last_rms)} at {case.name(shown.last)}"
        f"{later if late.step != shown.step else ''}; {loss_fate(case)}."
    )
    evidence = [
        Evidence("growth of the activations over the depth", shown.decades, limit, "decades", case.step(shown.step)),
        Evidence(
            "growth of the activations along depth",
            shown.slope,
            thresholds.GROWTH_PER_LAYER,
            "decades per layer",
            case.step(shown.step),
        ),
        Evidence(f"activation rms at {case.name(late.last)}", late.last_rms, None, "as the signal", case.step(late.step)),
    ]
    return Finding(
        id="exploding-activations",
        severity="error",
        confidence=_confidence(shown.decades, limit, 0.9 if from_start else 0.6),
        layers=(case.name(layer), case.name(shown.last)) if layer != shown.last else (case.name(layer),),
        step=case.step(shown.step),
        evidence=tuple(evidence),
        cause=cause,
        fix=with_remedy(
            "Normalise the activations (batch norm after each convolution), or start each residual branch near zero",
            "batch-norm",
            "msr",
        ),
        source=_PROPAGATION,
        follows_from=() if from_start else ("learning-rate-too-high",),
    )


def mean_shift(case: Case) -> Finding | None:
    """The part of the signal that all inputs share takes over along depth: the output hardly depends on the input any more.

    Looks for a common-mode fraction that rises along depth to nearly one in a run that diverged or is stuck. It is a cause of
    its own where the common part grows along depth and the input-dependent part does not keep up; where both grow, the
    activations explode and this follows. A saturated network also gives one answer for all inputs, but its common part does not
    grow.
    """
    row = case.last_sound_row
    if not case.is_harmed or row is None or case.last_layer is None or case.profile.size < 3:
        return None
    kappa = case.kappa[row]
    along = kappa[case.profile]
    seen = case.profile[np.isfinite(along)]
    if seen.size < 3:
        return None
    last = case.last_layer if np.isfinite(kappa[case.last_layer]) else int(seen[-1])
    if kappa[last] < thresholds.COMMON_MODE_FRACTION or kappa[last] - kappa[seen[0]] < thresholds.COMMON_MODE_RISE:
        return None
    common = depth_profile.slope_of(depth_profile.log10(common_mode.common_rms(case.run)), case.profile)[row]
    dependent = depth_profile.slope_of(depth_profile.log10(common_mode.input_dependent_rms(case.run)), case.profile)[row]
    if not common > dependent or common < 0:
        return None
    above = seen[kappa[seen] >= thresholds.COMMON_MODE_FRACTION]
    first = int(above[0]) if above.size else last
    start = case.kappa[case.first_row, last] if case.first_row is not None else float("nan")
    explodes = dependent >= thresholds.GROWTH_PER_LAYER
    shift = common_mode.mean_shift_in_sigmas(case.run)[row, last]
    cause = (
        f"At step {case.step(row)}, {percent(kappa[last])} of the signal's energy at {case.name(last)} is the same for every input "
        f"({percent(start)} at the first step; {percent(kappa[seen[0]])} at {case.name(int(seen[0]))}): "
        f"the mean grows along depth and drowns what differs between inputs; {loss_fate(case)}."
    )
    return Finding(
        id="mean-shift",
        severity="error",
        confidence=0.7 if explodes else 0.8,
        layers=(case.name(first), case.name(last)) if first != last else (case.name(last),),
        step=_first_step_above(case, last),
        evidence=(
            Evidence(
                f"common-mode fraction at {case.name(last)}",
                float(kappa[last]),
                thresholds.COMMON_MODE_FRACTION,
                "",
                case.step(row),
            ),
            Evidence("growth of the common part along depth", float(common), None, "decades per layer", case.step(row)),
            Evidence(
                "growth of the input-dependent part along depth",
                float(dependent),
                float(common),
                "decades per layer",
                case.step(row),
            ),
            Evidence(f"mean shift at {case.name(last)}", float(shift), None, "standard deviations", case.step(row)),
        ),
        cause=cause,
        fix=with_remedy(
            "Remove the mean where it arises: batch norm, or kernels of zero spatial mean (mean shift rejection)",
            "msr",
            "batch-norm",
        ),
        source=_MEAN_SHIFT,
        follows_from=("exploding-activations",) if explodes else (),
    )


def _steepest(case: Case, row: int) -> int:
    """The layer from which on the profile stays above its own start by a third of its growth: where the growth has taken hold."""
    size = case.size[row, case.profile]
    seen = case.profile[np.isfinite(size)]
    level = size[np.isfinite(size)]
    below = np.flatnonzero(level < level[0] + (level.max() - level[0]) / 3)
    return int(seen[min(int(below[-1]) + 1, seen.size - 1)])


def _first_step_above(case: Case, layer: int) -> int | None:
    rows = np.flatnonzero(case.kappa[:, layer] >= thresholds.COMMON_MODE_FRACTION)
    return case.step(int(rows[0])) if rows.size else None


def _confidence(value: float, limit: float, most: float) -> float:
    """Rises from half of `most` at the threshold to `most` at twice the threshold."""
    return round(most * min(1.0, 0.5 + 0.5 * max(0.0, value / limit - 1)), 2)
