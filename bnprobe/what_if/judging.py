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
from bnprobe.what_if.movement import Movement

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
        saw_weights_move: whether a rate that is too small could have been told.
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
    saw_weights_move: bool = True


class Judge:
    """Judges reruns against what is known of the recorded training: its layers, its classes.

    Args:
        run: the recording.
        first_step: where the stretch begins.
        steps: how many recorded steps it has.
        cycled: steps of the reruns, where these go through its batches several times.
    """

    def __init__(self, run: Run, first_step: int, steps: int, cycled: int = 0) -> None:
        self._run = run
        rows = np.flatnonzero((run["step"] >= first_step) & (run["step"] < first_step + steps))
        self._rows = np.resize(rows, cycled) if cycled and len(rows) else rows
        self._first_step, self._is_cycled = first_step, bool(cycled)

    def judge(self, losses: list[float], skipped: list[bool], factor: float, movement: Movement | None) -> tuple[Outcome, str, str]:
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
        if self._is_cycled:
            variables["step"] = self._first_step + np.arange(count)
        variables["learning_rate"] = self._run["learning_rate"][rows] * factor
        variables["loss"] = np.array(losses[:count], dtype=float)
        variables["skipped"] = np.array(skipped[:count], dtype=int)
        if movement is not None:
            variables |= self._moved(movement, count)
        lengths = {**self._run.lengths, "step": count, "snapshot": 0, "curvature": 0, "probe": 0, "probe_point": 0}
        own = replace(
            self._run, variables=variables, lengths=lengths, events=[], gaps=[], attributes={**self._run.attributes, "status": "stopped"}
        )
        found = outcome(RunAnalysis(own))
        return found.trial or "failed", found.stuck_by, found.reason

    def sees(self, movement: Movement) -> bool:
        """Return whether a rate that is too small can be told: weights were watched under names that the recording has, too."""
        known = {parameter.name for parameter in self._run.parameters}
        return any(np.isfinite(column).any() for name, column in movement.columns["update_norm"].items() if name in known)

    def _moved(self, movement: Movement, count: int) -> dict[str, NDArray[np.float64]]:
        """Return the figures of the parameters that the recording knows, (S, P) each."""
        names = [parameter.name for parameter in self._run.parameters]
        unknown = np.full(count, np.nan)
        return {
            variable: np.array([by_name[name][:count] if name in by_name else unknown for name in names]).T.reshape(count, len(names))
            for variable, by_name in movement.columns.items()
        }
