"""What became of a rerun, in the words of the diagnosis: judged as a trial of a learning-rate search is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.diagnose.outcome import outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES
from bnprobe.what_if.activations import Activations

Outcome = Literal["trains", "stuck", "diverges", "failed"]


@dataclass(frozen=True)
class Trial:
    """One rerun.

    Attributes:
        remedy: its specification, or "none".
        factor: on every learning rate.
        outcome: what became of it; failed where it could not be run.
        stuck_by: of one that is stuck: slow, risen or level.
        reason: the numbers that decided.
        losses: one a step.
        grid_index: place on the grid of factors; None where it lies on none.
        start: the recorded step with which its stretch begins.
        own_rate: the largest rate of any group within it.
        activations: of chosen layers; None where they were not looked at.
    """

    remedy: str
    factor: float
    outcome: Outcome
    stuck_by: str
    reason: str
    losses: tuple[float, ...]
    grid_index: int | None = None
    start: int = 0
    own_rate: float = float("nan")
    activations: Activations | None = None


@dataclass(frozen=True)
class Measured:
    """What a rerun was seen to do beside its loss, (S, ...) each."""

    columns: dict[str, NDArray[np.float64]]


class Judge:
    """Judges reruns against what is known of the recorded training: its layers, its classes.

    Args:
        run: the recording.
        first_step: where the stretch begins.
        steps: how many steps it has.
    """

    def __init__(self, run: Run, first_step: int, steps: int) -> None:
        self._run = run
        self._rows = np.flatnonzero((run["step"] >= first_step) & (run["step"] < first_step + steps))
        self._steps = steps

    def judge(self, losses: list[float], skipped: list[bool], factor: float, measured: Measured) -> tuple[Outcome, str, str]:
        """Return the outcome, how it is stuck if it is, and the numbers that decided."""
        rows = self._rows[: len(losses)]
        count = len(rows)
        variables = {
            name: values
            for name, values in self._run.variables.items()
            if not {"step", "snapshot", "curvature", "probe", "probe_point", "channel"} & set(VARIABLES[name].dims)
        }
        for name in ("step", "batch_size", "micro_steps", "evaluations", "model_training"):
            variables[name] = self._run[name][rows]
        variables["learning_rate"] = self._run["learning_rate"][rows] * factor
        variables["loss"] = np.array(losses[:count], dtype=float)
        variables["skipped"] = np.array(skipped[:count], dtype=int)
        for name, column in measured.columns.items():
            variables[name] = column[:count]
        lengths = {**self._run.lengths, "step": count, "snapshot": 0, "curvature": 0, "probe": 0, "probe_point": 0}
        own = replace(
            self._run, variables=variables, lengths=lengths, events=[], gaps=[], attributes={**self._run.attributes, "status": "stopped"}
        )
        found = outcome(RunAnalysis(own))
        return found.trial or "failed", found.stuck_by, found.reason
