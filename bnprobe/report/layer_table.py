"""The layers of a run, worst first: those that deviated from their baseline, in that order, then those that changed most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.layer_keys import layer_numbers
from bnprobe.report.wording import number


@dataclass(frozen=True)
class LayerLine:
    """One layer in the table; numbers are written out, "–" where there is none.

    Attributes:
        name: dotted name, as the file has it.
        kind: kind of layer.
        depth: its row, counted from 1.
        number: how a person counts it.
        left: step at which it deviated from its baseline.
        nonfinite: first step at which its activation or activation gradient was not finite.
        kappa: common-mode fraction at the first and the last step.
        rms: size of the activation at the first and the last step.
        gradient: size of the activation gradient at the first and the last step.
        update: largest update ratio.
        dead: share of dead channels at the last step.
        keys: what the table is sorted by, for every column but the name; None where there is nothing.
    """

    name: str
    kind: str
    depth: int
    number: int
    left: str
    nonfinite: str
    kappa: str
    rms: str
    gradient: str
    update: str
    dead: str
    keys: tuple[str | float | None, ...]


def layer_lines(analysed: AnalysedRun) -> list[LayerLine]:
    """Describe every layer, worst first."""
    run, fields = analysed.run, analysed.fields
    layers = len(run.layers)
    left, place = np.full(layers, run.steps, dtype=int), np.full(layers, 2 * layers, dtype=int)
    # As `first_deviation` has it: in order of time, activations before gradients of the same step.
    for rank, deviation in enumerate(sorted([*analysed.deviations, *analysed.gradient_deviations], key=lambda one: one.row)):
        left[deviation.layer] = min(left[deviation.layer], deviation.row)
        place[deviation.layer] = min(place[deviation.layer], rank)
    broken = fields["activation-rms"].nonfinite | fields["gradient-rms"].nonfinite
    first_nonfinite = np.where(broken.any(axis=0), broken.argmax(axis=0) if run.steps else 0, run.steps)
    ends = {key: _ends(field.values) for key, field in fields.items()}
    before, after = ends["activation-rms"]
    with np.errstate(invalid="ignore"):  # a signal that was zero all along: the logarithms are infinite, and it has not changed
        change = np.nan_to_num(np.where(before == after, 0.0, np.abs(after - before)), nan=-1.0)
    # Of those that stayed at their baseline, the one whose size changed most comes first.
    order = np.lexsort((-change, first_nonfinite, place))
    lines, numbers = [], layer_numbers(run)
    for i in order:
        first, last = {key: end[0][i] for key, end in ends.items()}, {key: end[1][i] for key, end in ends.items()}
        update = fields["update-ratio"].values[:, i]
        lines.append(
            LayerLine(
                name=run.layers[i].name,
                kind=run.layers[i].kind,
                depth=int(i) + 1,
                number=numbers[i],
                left=_step(analysed, left[i]),
                nonfinite=_step(analysed, first_nonfinite[i]),
                kappa=_course(first["common-mode"], last["common-mode"], "{:.2f}"),
                rms=_course(10 ** first["activation-rms"], 10 ** last["activation-rms"]),
                gradient=_course(10 ** first["gradient-rms"], 10 ** last["gradient-rms"]),
                update=number(10 ** float(np.nanmax(update, initial=-np.inf))) if np.isfinite(update).any() else "–",
                dead=f"{last['dead-share']:.0%}" if np.isfinite(last["dead-share"]) else "–",
                keys=(
                    int(i) + 1,
                    run.layers[i].kind,
                    *(int(row) if row < run.steps else None for row in (left[i], first_nonfinite[i])),
                    *(_key(last[key]) for key in ("common-mode", "activation-rms", "gradient-rms")),
                    _key(np.nanmax(update, initial=-np.inf)),
                    _key(last["dead-share"]),
                ),
            )
        )
    return lines


def _ends(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last value of every column that is a number; NaN where a column has none."""
    if not len(values):
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    known = ~np.isnan(values)
    first, last = known.argmax(axis=0), len(values) - 1 - known[::-1].argmax(axis=0)
    columns = np.arange(values.shape[1])
    return values[first, columns], values[last, columns]


def _key(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _course(first: float, last: float, form: str = "") -> str:
    words = [("–" if np.isnan(value) else form.format(value)) if form else number(float(value)) for value in (first, last)]
    return "–" if words == ["–", "–"] else f"{words[0]} → {words[1]}"


def _step(analysed: AnalysedRun, row: int) -> str:
    return f"{int(analysed.run['step'][row]):,}" if row < analysed.run.steps else ""
