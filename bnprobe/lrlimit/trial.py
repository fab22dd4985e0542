"""One trial at a scaled learning rate, as a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bnprobe.experiments.process import Change, Script, TrialProcess
from bnprobe.store.limits_file import factor_of


@dataclass(frozen=True)
class Assignment:
    """One trial to be made.

    Attributes:
        remedy: specifications joined by '+', or NONE.
        seed: 0 is the script as it is.
        grid_index: place on the grid of factors.
    """

    remedy: str
    seed: int
    grid_index: int


class RunningTrial(TrialProcess):
    """A trial of a learning rate under way.

    Args:
        script: what is tried.
        assignment: how.
        remedies: the specifications of the remedy.
        steps: optimizer steps.
        folder: its own, new; removed by ``clear``.
        threads: that torch may use, unless the environment says otherwise.
        probes: whether the recording shall predict a limit, too.
    """

    def __init__(
        self, script: Script, assignment: Assignment, remedies: list[str], steps: int, folder: Path, threads: int, *, probes: bool
    ) -> None:
        change = Change(remedies=tuple(remedies), factor=factor_of(assignment.grid_index), seed=assignment.seed)
        super().__init__(script, change, steps, folder, threads, command="lr-limit", probes=probes)
        self.assignment = assignment
        self.probes = probes
