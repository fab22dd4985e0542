"""What the training does reaches its recording through here: while there is one, from the recorded thread, one event at a time.

A fault of ours ends here, and the training goes on. Of one thing the script is told: that it is not the training of its run file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from bnprobe.errors import ResumeError
from bnprobe.observe.faults import Faults
from bnprobe.observe.training_thread import TrainingThread
from bnprobe.torch_private import in_backward


class Gate:
    """Stands between a training and its recording.

    Args:
        faults: where a fault of ours goes.
        on_other_thread: called once for each other thread that trains.
        on_refusal: called when the script has been told that nothing of it is recorded.

    Attributes:
        thread: whose training is recorded, and the lock on the state of the recording.
        is_shut: whether the recording is over.
        refusal: why nothing of this process is in the file, where the script was told.
        before_event: called before an event is let through: what was put off is made up for.
    """

    def __init__(self, faults: Faults, on_other_thread: Callable[[], None], on_refusal: Callable[[], None]) -> None:
        self.faults = faults
        self.is_shut = False
        self.refusal: Exception | None = None
        self.before_event: Callable[[], None] = lambda: None
        self._on_other_thread = on_other_thread
        self._on_refusal = on_refusal
        self.thread = self._thread()

    def shut_in_child(self) -> None:
        """This is a forked child, which is not recorded; the lock may have been held by a thread that is not here."""
        self.is_shut = True
        self.thread = self._thread()

    def refuse(self, error: Exception) -> None:
        """This training does not go on in that file, which stays as it is."""
        self.refusal = error
        self.is_shut = True
        self._on_refusal()

    def _thread(self) -> TrainingThread:
        return TrainingThread(self._on_other_thread, in_backward)


class Guarded(Protocol):
    """Whatever has events of the training for methods."""

    @property
    def gate(self) -> Gate:
        """Who lets them through."""


_Arguments = ParamSpec("_Arguments")
_Guarded = TypeVar("_Guarded", bound=Guarded)


def in_turn(event: Callable[Concatenate[_Guarded, _Arguments], None]) -> Callable[Concatenate[_Guarded, _Arguments], None]:
    """Let a method be called by the training: it does nothing unless its gate lets it through."""
    return _in_turn(event, has_happened=False)


def in_turn_after(event: Callable[Concatenate[_Guarded, _Arguments], None]) -> Callable[Concatenate[_Guarded, _Arguments], None]:
    """As ``in_turn``, of what has happened: it is heard even where the script raises something of its own before its turn has come."""
    return _in_turn(event, has_happened=True)


def _in_turn(
    event: Callable[Concatenate[_Guarded, _Arguments], None], *, has_happened: bool
) -> Callable[Concatenate[_Guarded, _Arguments], None]:
    @functools.wraps(event)
    def take(guarded: _Guarded, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        gate = guarded.gate
        if not gate.is_shut and gate.thread.claims():
            with gate.thread.lock:
                try:
                    try:
                        gate.before_event()
                    except BaseException:
                        if has_happened:
                            event(guarded, *args, **kwargs)
                        raise
                    event(guarded, *args, **kwargs)
                except ResumeError as error:
                    gate.refuse(error)
                    raise
                except Exception as error:
                    gate.faults.report("an event of the training", error)

    return take  # type: ignore[return-value]
