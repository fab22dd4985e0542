"""How far the learning rate was over what the steps tolerated, in sentences, and why an estimate has no number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from bnprobe.analyse.stability import divergence
from bnprobe.analyse.stopping_rate import WORTH, StoppingRate
from bnprobe.analyse.tolerance import TAKEN, Tolerance, closest, select, tolerances
from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.wording import number, plural
from bnprobe.store.reader import Run


def story(analysed: AnalysedRun) -> list[str]:
    """Answer, from the numbers, whether the rate was too high, by how much, and whether a projection would have helped."""
    diverged = analysed.divergence.step if analysed.divergence is not None else None
    found = analysed.tolerances
    return [*_of_line_probes(found, diverged), *_of_curvature(found, diverged), *_of_stopping(analysed.stopping_rate)]


def over_text(one: Tolerance) -> str:
    """Write how many times the limit the rate in use was.

    >>> over_text(Tolerance("rises", "taken", 0, 0.1, 0.025, 0.05)), over_text(Tolerance("rises", "taken", 0, 0.1, 0.0, 0.05))
    ('2 to 4 times', 'more than 2 times')
    """
    low, high = (value if math.isinf(value) else float(f"{value:.2g}") for value in one.over)
    if math.isinf(high):
        return f"more than {number(low)} times"
    if low == 0:
        return f"less than {number(high)} times"
    return f"{number(low)} times" if low == high else f"{number(low)} to {number(high)} times"


def notes(analysed: AnalysedRun) -> list[str]:
    """Say what has to be known of this run's estimates: a bias that its network gives them, and where there is no number and why."""
    found = analysed.tolerances
    lines = []
    if any(one.kind == "rises" for one in found) and any(layer.type.startswith("BatchNorm") for layer in analysed.run.layers):
        lines.append(
            "This network has batch norm, under which line probes are pessimistic: it recovers from many a step that raises its loss."
        )
    missing = Counter((one.kind, one.reason) for one in found if not one.is_known)
    for (kind, reason), times in missing.items():
        steps = [one.step for one in found if (one.kind, one.reason) == (kind, reason)]
        what = "curvature" if kind == "curvature" else "line probe"
        where = f"step {steps[0]:,}" if times == 1 else f"{plural(times, 'step')} from {steps[0]:,} to {steps[-1]:,}"
        lines.append(f"No number from the {what} at {where}: {reason}.")
    return lines


def line_of(run: Run) -> str:
    """Say in one line, for a terminal, how far over its limit the rate was at its worst; "" where no line probe has a number."""
    diverged = RunView.of(run).once(divergence)
    found = tolerances(run)
    worst = closest(_before(found, diverged.step if diverged is not None else None))
    return _worst_sentence(found, worst).replace("`", "") if worst is not None else ""


def _of_line_probes(found: Sequence[Tolerance], diverged: int | None) -> list[str]:
    taken = _before(found, diverged)
    worst = closest(taken)
    if worst is None:
        return []
    raised = [one for one in taken if one.is_exceeded]
    lines = [f"{_worst_sentence(found, worst)}."]
    if raised:
        where = f"{len(raised)} of {plural(len(taken), 'probed step')}" if len(taken) > 1 else "the one step that was probed"
        onset = _onset(taken) if diverged is not None and 1 < len(raised) < len(taken) else None
        last = f", from step {onset.step:,} on at each" if onset is not None else ""
        lines.append(f"The update raised the loss of its own batch at {where}{last}.")
    else:
        lines.append(f"It came no closer: at none of {plural(len(taken), 'probed step')} did the update raise the loss of its own batch.")
    last_one = taken[-1]
    if diverged is not None and diverged - last_one.step > 1:
        found_there = (
            f", at step {last_one.step:,}, found the rate {over_text(last_one)} its limit"
            if last_one.step != worst.step
            else " was that one"
        )
        gap = f"the {plural(diverged - last_one.step - 1, 'step')} between were not probed, which `--line-probe 1` does"
        lines.append(f"The last probe before training diverged at step {diverged:,}{found_there}; {gap}.")
    return lines


def _before(found: Sequence[Tolerance], diverged: int | None) -> list[Tolerance]:
    """What the probes of updates as taken say, up to where training diverged; after that they say nothing new."""
    return [one for one in select(found, "rises", before=diverged) if one.is_known]


def _onset(taken: Sequence[Tolerance]) -> Tolerance | None:
    """Return the probe from which on all exceed their limit; None where the last one does not."""
    onset = None
    for one in reversed(taken):
        if not one.is_exceeded:
            break
        onset = one
    return onset


def _worst_sentence(found: Sequence[Tolerance], worst: Tolerance) -> str:
    was = f"At step {worst.step:,} the learning rate, {number(worst.rate)}, was {over_text(worst)} what the loss tolerated"
    return f"{was} along the step taken{_projected(found, worst.step)}"


def _projected(found: Sequence[Tolerance], step: int) -> str:
    """What the projections would have made of the same update."""
    others = [one for one in found if one.kind == "rises" and one.variant != TAKEN and one.step == step and one.is_known]
    parts = [
        f"with `{one.variant}`'s{' projection it would have been' if place == 0 else ''} {over_text(one)}"
        for place, one in enumerate(others)
    ]
    return f"; {', '.join(parts)}" if parts else ""


def _of_stopping(found: StoppingRate | None) -> list[str]:
    """The one number, with what it has been worth."""
    if found is None or not math.isfinite(found.rate):
        return []
    low, high = found.interval
    probes = f"All {found.steps} line probes together put" if found.steps > 1 else "The one line probe puts"
    return [
        f"{probes} the rate above which it stops training between {number(low)} and "
        f"{number(high)}, {number(found.rate)} in the middle. {WORTH}"
    ]


def _of_curvature(found: Sequence[Tolerance], diverged: int | None) -> list[str]:
    known = [one for one in select(found, "curvature", before=diverged) if one.is_known]
    worst = closest(known)
    if worst is None:
        return []
    over = sum(one.is_exceeded for one in known)
    return [
        f"By the curvature the rate was {over_text(worst)} what is stable at step {worst.step:,}, and above it at {over} of "
        f"{plural(len(known), 'probed step')}."
    ]
