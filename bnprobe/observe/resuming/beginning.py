"""How a recording begins: at step 0 of a file of its own, or, with ``--resume``, in the file of an earlier start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bnprobe.errors import ResumeError
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import Faults
from bnprobe.observe.resuming.going_on import GoingOn
from bnprobe.observe.resuming.resumption import Start
from bnprobe.store.earlier import Earlier
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import user_modes_disabled


class Beginning:
    """Knows where a recording begins.

    Args:
        path: the run file, where it is known.
        resumes: whether the training goes on.
        given: the step that the checkpoint goes on with, as the user says; None to find it out.
        attributes: root attributes of this process.

    Attributes:
        first: number of the first step; of a training that goes on a guess until its checkpoint has been loaded.
        earlier: what stands in the file.
        seconds_before: time from the start of the recording to that of this process.

    Raises:
        ResumeError: the training cannot go on in the file.
    """

    def __init__(self, path: Path | None, resumes: bool, given: int | None, attributes: Mapping[str, object]) -> None:
        self.first = 0
        self.earlier: Earlier | None = None
        self.seconds_before = 0.0
        self._going_on: GoingOn | None = None
        if resumes and path is not None:
            self._going_on = going_on = GoingOn(path, given, attributes)
            self.first, self.earlier, self.seconds_before = going_on.first, going_on.earlier, going_on.seconds_before

    @property
    def going_on(self) -> GoingOn | None:
        """What is to tell at which step the training goes on; None where that is known."""
        return self._going_on if self._going_on is not None and self._going_on.is_open else None


class Joining:
    """Lets a training go on at its step: the first gradient it takes, or the first update it makes, shows its checkpoint loaded.

    Args:
        beginning: where the recording begins.
        axes: what bears which name.
        writer: the run file.
        optimizers: those of the recorded training.
        faults: where a fault goes.
        renumber: gives the open step, the first one, its number.
        tell: called with the kind of the event and a sentence that says where the training goes on.
    """

    def __init__(
        self,
        beginning: Beginning,
        axes: Axes,
        writer: RunWriter,
        optimizers: Callable[[], list[Optimizer]],
        faults: Faults,
        renumber: Callable[[int], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._beginning = beginning
        self._axes = axes
        self._writer = writer
        self._optimizers = optimizers
        self._faults = faults
        self._renumber = renumber
        self._tell = tell

    def join(self, *, moved: bool = False) -> None:
        """A gradient is about to be taken, or an update made.

        Args:
            moved: whether the update has been made already.

        Raises:
            ResumeError: it is another training, or cannot be told to be at one step.
        """
        going_on = self._beginning.going_on
        if going_on is None:
            return
        start = self._start(going_on, moved=moved)
        self._renumber(start.step)
        self._writer.begin_resumption(start.step, start.known_by)
        self._tell("resumption", going_on.sentence(start))

    def _start(self, going_on: GoingOn, *, moved: bool) -> Start:
        try:
            with user_modes_disabled():
                return going_on.begin(self._axes, self._optimizers(), moved=moved)
        except ResumeError:
            raise
        except Exception as error:
            self._faults.report("the step at which the training goes on", error)
            return going_on.begin_after_last()
