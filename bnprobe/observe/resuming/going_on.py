"""A recording that goes on in the run file of an earlier start of the same training."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bnprobe.errors import ResumeError, RunFileError
from bnprobe.observe import processes
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.axes.model_labels import shape_text
from bnprobe.observe.resuming.resumption import Here, Start, check_structure, start_of
from bnprobe.processes import read_rank
from bnprobe.store.earlier import read_earlier


class GoingOn:
    """Joins this process to what stands in a run file.

    Args:
        path: the run file.
        given: the step that the checkpoint goes on with, as the user says; None to find it out.
        attributes: root attributes of this process.

    Attributes:
        earlier: what stands in the file.
        first: the step that is taken to be the first until the checkpoint has been loaded.
        is_open: whether that is still to come.
        seconds_before: time from the start of the recording to that of this process.

    Raises:
        ResumeError: the file cannot be read, or is one of another number of ranks.
    """

    def __init__(self, path: Path, given: int | None, attributes: Mapping[str, object]) -> None:
        try:
            self.earlier = read_earlier(path)
        except RunFileError as error:
            raise ResumeError(str(error), error.hint) from None
        if (rank := read_rank(os.environ)).world_size > 1:
            self._check_ranks(rank.world_size)  # where the environment does not tell, torch's group will
        self.first = given if given is not None else self.earlier.last_step + 1
        self.is_open = True
        gap = self.earlier.seconds_since(attributes.get("created"))
        self.seconds_before = self.earlier.wall_time + (gap if gap == gap else 0.0)
        self._given = given

    def begin(self, axes: Axes, optimizers: Sequence[Optimizer], *, moved: bool = False) -> Start:
        """Say at which step the training goes on; to be called once, when it has loaded its checkpoint.

        Args:
            axes: what bears which name.
            optimizers: those of the script.
            moved: whether its first update has been made already.

        Raises:
            ResumeError: it is another training, or cannot be told to be at one step.
        """
        size = max(read_rank(os.environ).world_size, processes.of_group().world_size)
        self._check_ranks(size)
        trained = axes.trained(optimizers)
        here = [Here(one.name, shape_text(one.parameter), one.owner, one.is_known) for one in trained]
        is_whole = len(here) == sum(len(trained_parameters(optimizer.param_groups)) for optimizer in optimizers)
        check_structure(self.earlier, here, axes.present_parameters(), is_whole=is_whole)
        bearers = Counter([*(one.name for one in trained), *(name.partition("~")[0] for name in self.earlier.parameters if "~" in name)])
        parameters = {one.name: one.parameter for one in trained if bearers[one.name] == 1}
        start = start_of(self.earlier, self._given, parameters, optimizers, is_one_of_many=size > 1, moved=moved)
        return self._begun(start)

    def begin_after_last(self) -> Start:
        """Go on after the last recorded step, where it could not be told at which one; to be called instead of ``begin``."""
        return self._begun(Start(self.earlier.last_step + 1, "none of them"))

    def _begun(self, start: Start) -> Start:
        self.earlier.forget_weights()
        self.is_open = False
        return start

    def _check_ranks(self, now: int) -> None:
        before = str(self.earlier.attributes.get("world_size", "1"))
        if before != str(now):
            there, here = ("1 process" if before == "1" else f"{before} ranks"), f"{now} train" if now > 1 else "1 trains"
            path = self.earlier.path
            raise ResumeError(f"{path} is the recording of {there}, and {here} now", "record them to a file of their own with -o")

    def sentence(self, start: Start) -> str:
        """Say where the training goes on, how that is known, and what it makes void."""
        last = self.earlier.last_step
        known = {
            "given": "as given",
            "weights": "its weights are those of that step",
            "optimizer": "its optimizer has made so many updates",
        }.get(start.known_by, "which step the checkpoint is of cannot be told; --resume-at STEP says it")
        parts = [f"goes on at step {start.step:,} ({known})"]
        if start.step <= last:
            parts.append(f"what was recorded of steps {start.step:,} to {last:,} before is void")
        elif start.step > last + 1:
            parts.append(f"steps {last + 1:,} to {start.step - 1:,} were not recorded")
        return "; ".join(parts)
