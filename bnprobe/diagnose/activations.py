"""Causes in the forward signal: activations that grow along depth, and a mean that drowns what differs between inputs.

Both are there before the first update in a deep network that nothing normalises (Bjorck et al. 2018, arXiv 1806.02375, Figure
5), so the first recorded step tells them from a learning rate that is too high, which leaves a healthy profile at the start and
ruins it later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import common_mode, depth_profile, robust
from bnprobe.analyse.layers import is_joined, measured_inputs, module_of, profile_layers
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.extinction import extinguishing_layer
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import decades, each, first_to_deviate, loss_summary, number, percent, times, with_remedy

Array = NDArray[np.float64]

_PROPAGATION = "Bjorck et al. 2018 (arXiv 1806.02375), Figure 5; growth along depth as in Brock et al. 2021 (arXiv 2101.08692)"
_MEAN_SHIFT = "Ruff, Beck, Bach 2019 (arXiv 1911.13173); kappa = A / (A + B + W)"


def exploding_activations(run: RunAnalysis) -> Finding | None:
    """Activations grow from layer to layer until the loss cannot be kept.

    Looks for a profile that grows along depth, before the first update, or, in a run that diverged, just before the divergence; and for a
    signal that is decades larger than what any module before it gave out. A level alone is no sign: large but equal activations are normal.
    Nor is a single layer that gives outputs their units. Looks like a learning rate that is too high; there the profile of the first step
    is flat. Looks like mean shift; there only the part that is common to all inputs grows.
    """
    start, late = run.span(run.first_row), run.span(run.late_row)
    if start is None or late is None:
        return None
    limit = run.threshold(thresholds.EXPLODED_DECADES)
    from_start = start.decades >= limit and _compounds(run, start.step) and not _grows_by_its_mean(run)
    in_training = late.decades >= run.threshold(thresholds.EXPLODING_LATE_DECADES) and late.decades > start.decades + run.threshold(
        thresholds.EXPLODED_DECADES
    )
    if not (from_start or (in_training and run.divergence is not None)):
        return _grown_unseen(run)
    shown = start if from_start else late
    limit = limit if from_start else run.threshold(thresholds.EXPLODING_LATE_DECADES)
    first = run.first_deviation.layer if run.first_deviation is not None else _steepest(run, shown.step)
    kind = each(run.recorded.layers[shown.last].kind)
    when = "already at the first step" if from_start else f"at step {run.step(shown.step)}"
    rise = late.last_rms / max(start.last_rms, np.finfo(float).tiny)
    later = f"; at step {run.step(late.step)} the rms there was {number(late.last_rms)}, {times(rise)} its first value"
    cause = (
        f"The activations grow {decades(shown.slope)} {kind} {when}: "
        f"rms {number(shown.first_rms)} at {run.place(shown.first)}, {number(shown.last_rms)} at {run.place(shown.last)}"
        f"{later if late.step != shown.step and rise > 1 else ''}{first_to_deviate(run)}; {loss_summary(run)}."
    )
    evidence = [
        Evidence("growth of the activations over the depth", shown.decades, limit, "decades", run.step(shown.step)),
        Evidence(
            "growth of the activations along depth",
            shown.slope,
            run.threshold(thresholds.GROWTH_PER_LAYER),
            "decades per layer",
            run.step(shown.step),
        ),
        Evidence(f"activation rms at {run.name(late.last)}", late.last_rms, None, "as the signal", run.step(late.step)),
    ]
    return Finding(
        id="exploding-activations",
        severity="error" if run.has_failed or start.decades >= run.threshold(thresholds.EXPLODING_LATE_DECADES) else "warning",
        confidence=_confidence(shown.decades, limit, 0.9 if from_start else 0.6),
        layers=tuple(dict.fromkeys([run.name(first), run.name(shown.last)])),
        step=run.step(shown.step),
        evidence=tuple(evidence),
        cause=cause,
        fix=_normalise(run),
        source=_PROPAGATION,
    )


def _compounds(run: RunAnalysis, row: int) -> bool:
    """Whether the profile grows from layer to layer, and not in a single one, as where outputs are given their units."""
    size = run.size[row, run.profile]
    size = size[np.isfinite(size)]
    slope = depth_profile.slope_of(run.size[row : row + 1], run.profile)[0]
    without_one = size.max() - size[0] - np.diff(size).max(initial=0.0)
    return bool(slope >= run.threshold(thresholds.GROWTH_PER_LAYER) and without_one >= run.threshold(thresholds.COMPOUNDED_DECADES))


def _grows_by_its_mean(run: RunAnalysis) -> bool:
    """Whether the part that differs between inputs would stay in bounds by itself, and the mean shifts from the start."""
    if run.first_row is None or not _shifts_from_the_start(run):
        return False
    _, dependent = run.growth_of_parts_at(run.first_row)
    return bool(dependent * (run.profile.size - 1) < run.threshold(thresholds.EXPLODED_DECADES))


def _grown_unseen(run: RunAnalysis) -> Finding | None:
    """Activations that no module gave out, decades larger than all that modules did before them: functions of the script's own."""
    row = run.first_row
    if row is None or not run.profile.size:
        return None
    recorded, rms = run.recorded, run.recorded.activation.rms[row]
    for index, outputs, largest in measured_inputs(recorded, recorded.layers[run.profile[0]].model, rms):
        is_made = recorded.layer_made_by[index] and not is_joined(recorded, index)
        if outputs < thresholds.COMPOUNDING_LAYERS or not is_made or not largest > 0:
            continue
        grown = float(np.log10(rms[index] / largest)) if rms[index] > 0 else -np.inf
        if run.threshold(thresholds.EXPLODING_LATE_DECADES) <= grown < np.inf:
            return _unseen_growth(run, index, grown, largest)
    return None


def _unseen_growth(run: RunAnalysis, layer: int, grown: float, before: float) -> Finding:
    size, step = float(run.recorded.activation.rms[run.first_row, layer]), run.step(run.first_row)
    return Finding(
        id="exploding-activations",
        severity="error",
        confidence=0.6,
        layers=(run.name(layer),),
        step=step,
        evidence=(
            Evidence(
                f"rms at {run.name(layer)} over that of every module's output before it",
                grown,
                run.threshold(thresholds.EXPLODING_LATE_DECADES),
                "decades",
                step,
            ),
            Evidence(f"rms at {run.name(layer)}", size, None, "as the signal", step),
        ),
        cause=f"The activations grow between the modules, already at the first step: rms {number(size)} at {run.place(layer)}, "
        f"where no module before it gave out more than {number(before)}; {loss_summary(run)}.",
        fix=_normalise(run),
        source=_PROPAGATION,
    )


def _normalise(run: RunAnalysis) -> str:
    if run.is_convolutional and not run.is_normalised:
        advice = "Normalise the activations (batch norm after each convolution), or start each residual branch near zero"
        return with_remedy(run, advice, "batch-norm", "msr")
    advice = "Normalise the activations (layer norm between the layers), or initialise the weights smaller"
    return with_remedy(run, advice, "layer-norm", "batch-norm")


def mean_shift(run: RunAnalysis) -> Finding | None:
    """The part of the signal that all inputs share takes over along depth: the output hardly depends on the input any more.

    Looks for a common-mode fraction of nearly one at the last layer, and one that rises along depth through the layers before it, while the
    common part grows faster along depth than what differs between inputs: in a run that diverged, or in the first steps of any, where
    healthy networks either have less of it, or lose the common part along depth as well; and, in a run that underperforms, for a signal
    that is common from the first layer to the last. It is a cause of its own where it is there at the first step, or no other cause came
    before it. Looks like exploding activations; there both parts grow. Looks like saturation; there the output is common, too, but nothing
    grows. Looks like one layer that gives the same for every input; there the layer before it does not. The last layer alone says little:
    before training it is common to 90 per cent and more in healthy networks, by its bias and the pooling before it.
    """
    row, last = run.late_row, run.last_layer
    if row is None or last is None or run.first_row is None or run.profile.size < 3 or not run.has_batches:
        return None
    deep, first = _deep_fraction(run), int(run.profile[0])
    from_start = _shifts_from_the_start(run) or _is_common_throughout(run)
    row = run.first_row if from_start else row
    since = run.first_row if from_start else _shifts_later(run, row, last)
    if since is None:
        return None
    if extinguishing_layer(run, row) is not None:
        return None  # it is lost in one place, and not along depth
    kappa, (common, dependent) = run.kappa[row], run.growth_of_parts_at(row)
    if not np.isfinite([deep[row], kappa[first], kappa[last]]).all():
        return None  # a signal that is zero throughout is common to no share
    deep_limit, limit = _limits_shown(run, row, from_start)
    is_throughout = from_start and not _shifts_from_the_start(run)
    place, shift = run.name(last), common_mode.mean_shift_in_sigmas(run.recorded)[row, last]
    step = run.step(row)
    cause = (
        f"At step {step}, {percent(deep[row])} of the signal's energy in the deepest layers is the same for every input "
        f"({'' if from_start else f'{percent(deep[run.first_row])} at the first step; '}{percent(kappa[first])} at {run.place(first)}) "
        f"and {percent(kappa[last])} "
        f"at {run.place(last)}: {_course_of_parts(common)}; {loss_summary(run)}."
    )
    return Finding(
        id="mean-shift",
        severity="error" if run.has_failed else "warning",
        confidence=0.7 if run.has_failed or run.underperforms else 0.6,
        layers=tuple(dict.fromkeys([run.name(_first_shifted(run, row)), place])),
        step=run.step(since),
        evidence=(
            Evidence(
                "smallest common-mode fraction of any layer, in the first steps", _least_fraction(run), _throughout_limit(run), "", step
            )
            if is_throughout
            else Evidence("common-mode fraction of the deepest layers", float(deep[row]), deep_limit, "", step),
            Evidence(f"common-mode fraction at {place}", float(kappa[last]), limit, "", step),
            Evidence(f"mean shift at {place}", float(shift), None, "standard deviations", step),
            Evidence("growth of the common part along depth", common, None, "decades per layer", step),
            Evidence("growth of what differs between inputs", dependent, None, "decades per layer", step),
        ),
        cause=cause,
        fix=with_remedy(
            run, "Remove the mean where it arises: batch norm, or kernels of zero spatial mean (mean shift rejection)", "msr", "batch-norm"
        ),
        source=_MEAN_SHIFT,
    )


def _course_of_parts(growth: float) -> str:
    """How what inputs share came to drown what differs between them, from its growth along depth in decades a layer."""
    if growth < 0:
        return "what differs between inputs shrinks along depth faster than what they share, and drowns in it"
    return "the mean grows along depth and drowns what differs between inputs"


def _limits_shown(run: RunAnalysis, row: int, from_start: bool) -> tuple[float | None, float | None]:
    """What decided of the deepest layers' and of the last layer's common-mode fraction."""
    if not from_start:
        return run.threshold(thresholds.SHIFTED_FRACTION), run.threshold(thresholds.COMMON_MODE_FRACTION)
    if not _shifts_from_the_start(run):
        return None, None
    early = None if _common_part_takes_over(run, row) else run.threshold(thresholds.COMMON_EARLY_FRACTION)
    return run.threshold(thresholds.DEEP_EARLY_FRACTION), early


def _shifts_later(run: RunAnalysis, row: int, last: int) -> int | None:
    """The first row from which on a run that failed had shifted, if it still has at a late row; None where that is not so."""
    if run.first_row is None or row <= run.first_row or not run.has_failed:
        return None
    deep, first = _deep_fraction(run), run.kappa[:, run.profile[0]]
    common, dependent = run.growth_of_parts
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = deep / (1 - deep) * (1 - first) / first
        is_rising = (deep - first >= thresholds.COMMON_MODE_RISE) | (odds >= run.threshold(thresholds.COMMON_MODE_ODDS))
        is_shifted = (deep >= run.threshold(thresholds.SHIFTED_FRACTION)) & is_rising & (common > dependent) & (common > 0)
    if not (is_shifted[row] and run.kappa[row, last] >= run.threshold(thresholds.COMMON_MODE_FRACTION)):
        return None
    later = run.measured_rows[1:]  # what was there before the first update, and is normal there, is no shift yet
    return int(later[is_shifted[later]][0])


def _shifts_from_the_start(run: RunAnalysis) -> bool:
    """Whether the deep layers' signal is common before the first update, and either became so along depth or says no more at the end."""
    row, last = run.first_row, run.last_layer
    if row is None or last is None or run.profile.size < 3:
        return False
    if not _deep_fraction(run)[row] >= run.threshold(thresholds.DEEP_EARLY_FRACTION):
        return False
    if run.profile.size < thresholds.COMPOUNDING_LAYERS and not run.underperforms:
        return False
    return _common_part_takes_over(run, row) or (run.growth_of_parts_at(row)[0] >= 0 and _is_common_early(run, last, int(run.profile[0])))


def _common_part_takes_over(run: RunAnalysis, row: int) -> bool:
    """Whether the deep layers of a network that nothing normalises are full of a common part that the first layer has not.

    Full: nearly all of their signal is common, and no less of it in absolute terms than in the first layer; or most of it, and the signal
    as a whole grows by it. With ReLU a part of it grows in healthy networks, too. The last layer is not asked: of few outputs, chance
    decides how much is common.
    """
    if run.is_normalised or run.profile.size < thresholds.COMPOUNDING_LAYERS:
        return False
    third = max(1, run.profile.size // 3)
    common = depth_profile.log10(common_mode.common_rms(run.recorded)[row, run.profile])
    grown, span = float(robust.median(common[-third:])) - float(common[0]), run.span(row)
    deep, first = float(_deep_fraction(run)[row]), float(run.kappa[row, run.profile[0]])
    is_full = deep >= run.threshold(thresholds.FULL_FRACTION) and grown >= run.threshold(thresholds.COMMON_KEPT_DECADES)
    is_growing = (
        span is not None
        and span.decades >= run.threshold(thresholds.COMMON_SPAN_DECADES)
        and grown >= run.threshold(thresholds.COMMON_GROWTH_DECADES)
    )
    return (is_full or is_growing) and deep * (1 - first) >= run.threshold(thresholds.COMMON_MODE_ODDS) * first * (1 - deep)


def _is_common_throughout(run: RunAnalysis) -> bool:
    """Whether nearly all of every layer's signal is common in the first steps; in a run that trains well, all but everything.

    There it also has to be so in some layer to the end. Embeddings that are drawn tiny leave it to the biases at first, and part as soon
    as they have learned.
    """
    if run.last_layer is None or run.first_row is None or (run.is_normalised and not run.underperforms):
        return False
    limit, late = _throughout_limit(run), run.late_row
    has_parted = late is not None and float(np.fmax.reduce(run.kappa[late, run.profile], initial=0.0)) < limit
    return limit <= _least_fraction(run) <= 1 and (run.underperforms or not has_parted)


def _throughout_limit(run: RunAnalysis) -> float:
    return run.threshold(thresholds.COMMON_THROUGHOUT if run.underperforms else thresholds.COMMON_THROUGHOUT_WELL)


def _least_fraction(run: RunAnalysis) -> float:
    """Smallest common-mode fraction of any layer in the first steps, of the first layer before the first update; infinite without any.

    A network that is called several times in a step, on other data each, may be given inputs that are alike at one of the calls.
    """
    rows, layers = _early_rows(run), run.recorded.layers
    early = robust.median(run.kappa[np.ix_(rows, run.profile)], axis=0)
    early[0] = np.fmin(early[0], run.kappa[run.first_row, run.profile[0]])  # later ones the first updates may have made so
    own = {module_of(run.name(layer)) for layer in run.profile}
    calls = np.flatnonzero([layer.call > 0 and layer.role == "output" and module_of(layer.name) in own for layer in layers])
    others = robust.median(run.kappa[np.ix_(rows, calls)], axis=0)
    return float(np.fmin.reduce([*early, *others], initial=np.inf))


def _early_rows(run: RunAnalysis) -> NDArray[np.int64]:
    rows = run.measured_rows
    early = np.flatnonzero(run.recorded.step[rows] < run.recorded.step[rows[0]] + thresholds.COMMON_EARLY_STEPS)
    return rows[early]


def _is_common_early(run: RunAnalysis, last: int, first: int) -> bool:
    """Whether nearly all of the last layer's signal is common in the first steps, and that of the first layer is not."""
    early = run.kappa[_early_rows(run), last]
    level, start = min(float(early[0]), float(robust.median(early))), float(run.kappa[run.measured_rows[0], first])
    rises = level * (1 - start) >= run.threshold(thresholds.COMMON_EARLY_ODDS) * start * (1 - level)
    return level >= run.threshold(thresholds.COMMON_EARLY_FRACTION) and rises


def _deep_fraction(run: RunAnalysis) -> Array:
    """Median common-mode fraction of the deepest third of the profile, (S,)."""
    return run.recorded.once(_fraction_of_deepest)


def _fraction_of_deepest(recorded: RunView) -> Array:
    profile = recorded.once(profile_layers)
    return robust.median(recorded.once(common_mode.common_mode_fraction)[:, profile[-max(1, profile.size // 3) :]], axis=1)


def _first_shifted(run: RunAnalysis, row: int) -> int:
    """The first layer of the profile whose common-mode fraction counts as shifted."""
    above = np.flatnonzero(run.kappa[row, run.profile] >= run.threshold(thresholds.SHIFTED_FRACTION))
    return int(run.profile[above[0]] if above.size else run.profile[-1])


def _steepest(run: RunAnalysis, row: int) -> int:
    """The layer from which on the profile stays above its own start by a third of its growth: where the growth has taken hold."""
    size = run.size[row, run.profile]
    seen = run.profile[np.isfinite(size)]
    level = size[np.isfinite(size)]
    below = np.flatnonzero(level < level[0] + (level.max() - level[0]) / 3)
    return int(seen[min(int(below[-1]) + 1, seen.size - 1)])


def _confidence(value: float, limit: float, most: float) -> float:
    """Rises from half of `most` at the threshold to `most` at twice the threshold."""
    return round(most * min(1.0, 0.5 + 0.5 * max(0.0, value / limit - 1)), 2)
