"""What a recording says of the same training at other rates and with other remedies: it was trained again from its tape.

A bracket [trains at, fails at] is told for each remedy as ``lr-limit`` tells it: the fastest rate of the search that trained, and the
slowest above it that did not. Rates near a limit are not monotone, so every training is kept.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.limits_file import factor_of
from bnprobe.store.reader import Run

SCHEMA = "bnprobe-what-if-1"
NONE = "none"
#: What is refused where tapes were to be kept and could not be.
TAPES = "tapes"
#: Places on the grid of rates at which losses are drawn: 1/11, 1/3.3, 1, 3.3 and 11 times the script's own.
CURVE_PLACES = (-6, -3, 0, 3, 6)


@dataclass(frozen=True)
class Retrained:
    """The stretch trained again at one rate, with one remedy.

    Attributes:
        remedy: its specification, or none.
        factor: on every learning rate.
        rate: that times the largest rate of any group.
        on_grid: whether it belongs to the search for the limit.
        outcome: trains, stuck or diverges.
        reason: the numbers that decided.
        losses: one a step, (S,).
        start: the recorded step with which the stretch begins.
        rms: root mean square of the outputs of the layers that were looked at, (S, L); NaN where they were not.
        common: share of their energy that is the same for the whole batch, (S, L).
    """

    remedy: str
    factor: float
    rate: float
    on_grid: bool
    outcome: str
    reason: str
    losses: NDArray[np.float64]
    start: int = 0
    rms: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    common: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def trains(self) -> bool:
        """Whether it trained."""
        return self.outcome == "trains"

    @property
    def is_drawn(self) -> bool:
        """Whether its losses are drawn."""
        return not self.on_grid or any(math.isclose(self.factor, factor_of(place)) for place in CURVE_PLACES)


@dataclass(frozen=True)
class Refusal:
    """A question that has no answer, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class RemedyAnswer:
    """What was found out about one remedy.

    Attributes:
        remedy: its specification, or none.
        trials: rates rising.
    """

    remedy: str
    trials: list[Retrained]

    @cached_property
    def trains_at(self) -> float | None:
        """The fastest rate of the search that trained."""
        return max((one.rate for one in self.trials if one.on_grid and one.trains), default=None)

    @cached_property
    def fails_at(self) -> float | None:
        """The slowest rate of the search above that which did not; where none trained, the slowest that went too fast."""
        low = self.trains_at
        if low is not None:
            return min((one.rate for one in self.trials if one.on_grid and one.rate > low), default=None)
        return min((one.rate for one in self.trials if one.on_grid and one.outcome == "diverges"), default=None)

    @property
    def at_own(self) -> Retrained | None:
        """The training at the script's own rates."""
        return next((one for one in self.trials if one.factor == 1.0), None)

    @cached_property
    def windows(self) -> list[tuple[float, float]]:
        """Rates between which every training that was made trained: more than one window where rates are not monotone."""
        found: list[tuple[float, float]] = []
        is_open = False
        for one in self.trials:
            if one.trains:
                found[-1:] = [(found[-1][0], one.rate)] if is_open else [*found[-1:], (one.rate, one.rate)]
            is_open = one.trains
        return found


@dataclass(frozen=True)
class WhatIf:
    """All answers of one recording.

    Attributes:
        steps: of the stretch that was trained again.
        own_rate: the largest rate of any group within it; NaN where none is known.
        own_rates: that of its first update and of its last, which a schedule makes differ.
        cycled: how many steps were recorded, where their batches were gone through several times; 0 where once.
        proved: whether trained again at its own rates it was the recorded training, bit for bit.
        remedies: by remedy, none first.
        refused: what has no answer.
        from_here: trainings of a later stretch, in which the recorded one diverged.
        seconds: what the answers took.
        rerun_steps: steps trained again, in all.
        layers: names of the layers that were looked at, in order of depth.
    """

    steps: int
    own_rate: float
    proved: bool
    remedies: dict[str, RemedyAnswer]
    refused: list[Refusal]
    from_here: list[Retrained]
    seconds: float
    rerun_steps: int
    layers: tuple[str, ...] = ()
    own_rates: tuple[float, float] = (math.nan, math.nan)
    cycled: int = 0

    def document(self) -> dict[str, Any]:
        """Return the answers as JSON has them."""
        from_here = [_told(one) | {"start": one.start, "remedy": one.remedy} for one in self.from_here]
        return {
            "schema": SCHEMA,
            "steps": self.steps,
            "own_rate": _number(self.own_rate),
            "own_rates": [_number(rate) for rate in self.own_rates],
            "cycled": self.cycled,
            "proved": self.proved,
            "remedies": {
                name: {
                    "trains_at": found.trains_at,
                    "fails_at": found.fails_at,
                    "outcome_at_own": found.at_own.outcome if found.at_own is not None else None,
                    "trials": [_told(one) for one in found.trials],
                }
                for name, found in self.remedies.items()
            },
            "refused": [{"what": one.what, "why": one.why} for one in self.refused],
            "layers": list(self.layers),
            **({"from_here": from_here} if from_here else {}),
        }


def what_if_of(run: Run) -> WhatIf | None:
    """Return the answers that a recording holds; None where it was made without ``--what-if``."""
    if "what_if_steps" not in run.attributes:
        return None
    points = run["what_if_point_trial"]
    trials: dict[str, list[Retrained]] = {}
    from_here: list[Retrained] = []
    starts = run["what_if_start"].tolist()
    ends = np.searchsorted(points, np.arange(len(starts) + 1))
    for index, remedy in enumerate(run["what_if_remedy"].tolist()):
        own_points = slice(ends[index], ends[index + 1])
        kept = trials.setdefault(remedy, []) if starts[index] <= min(starts) else from_here
        kept.append(
            Retrained(
                remedy,
                float(run["what_if_factor"][index]),
                float(run["what_if_rate"][index]),
                bool(run["what_if_grid"][index] == 1),
                str(run["what_if_outcome"][index]),
                str(run["what_if_reason"][index]),
                run["what_if_point_loss"][own_points].astype(float),
                int(starts[index]),
                run["what_if_point_rms"][own_points].astype(float),
                run["what_if_point_common_mode"][own_points].astype(float),
            )
        )
    own = float(run.attributes.get("what_if_own_rate", 0.0))
    return WhatIf(
        steps=int(run.attributes["what_if_steps"]),
        own_rate=own if own > 0 else math.nan,
        proved=run.attributes.get("what_if_proved") == 1,
        remedies={name: RemedyAnswer(name, sorted(found, key=lambda one: one.rate)) for name, found in trials.items()},
        refused=_refusals(str(run.attributes.get("what_if_refused", "[]"))),
        from_here=from_here,
        seconds=float(run.attributes.get("what_if_seconds", math.nan)),
        rerun_steps=int(run.attributes.get("what_if_rerun_steps", 0)),
        layers=tuple(run["what_if_layer"].tolist()),
        own_rates=(float(run.attributes.get("what_if_first_rate", math.nan)), float(run.attributes.get("what_if_last_rate", math.nan))),
        cycled=int(run.attributes.get("what_if_cycled", 0)),
    )


def _told(one: Retrained) -> dict[str, Any]:
    told = {"rate": one.rate, "outcome": one.outcome, "reason": one.reason, "losses": _numbers(one.losses)}
    if np.isfinite(one.rms).any():
        told |= {"rms": _numbers(one.rms), "common_mode": _numbers(one.common)}
    return told


def _refusals(text: str) -> list[Refusal]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    entries = found if isinstance(found, list) else []
    return [Refusal(str(one.get("what", "")), str(one.get("why", ""))) for one in entries if isinstance(one, dict)]


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    """Return numbers as JSON can say them, nested as they are."""
    return [_numbers(row) for row in values] if values.ndim > 1 else [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """Return a number as JSON can say it: what is not finite is null."""
    return float(value) if math.isfinite(value) else None
