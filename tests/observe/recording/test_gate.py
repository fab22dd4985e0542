"""Who gets through to a recording, and what comes back."""

from __future__ import annotations

import threading

import pytest

from bnprobe.errors import ResumeError
from bnprobe.observe.faults import Faults
from bnprobe.observe.recording.gate import Gate, in_turn


class Guarded:
    """Something with an event of the training."""

    def __init__(self, *, strict: bool = False) -> None:
        self.gaps: list[str] = []
        self.refused: list[bool] = []
        self.heard: list[object] = []
        self.gate = Gate(Faults(strict, lambda place, reason: self.gaps.append(place)), lambda: None, lambda: self.refused.append(True))

    @in_turn
    def on_event(self, thing: object) -> None:
        """Something happens."""
        if isinstance(thing, Exception):
            raise thing
        self.heard.append(thing)


def test_an_event_passes_until_the_recording_is_over() -> None:
    guarded = Guarded()
    guarded.on_event(1)
    guarded.gate.is_shut = True
    guarded.on_event(2)
    assert guarded.heard == [1]


def test_a_fault_of_ours_ends_there() -> None:
    guarded = Guarded()
    guarded.on_event(RuntimeError("a defect"))
    guarded.on_event(1)
    assert guarded.gaps == ["an event of the training"] and guarded.heard == [1]


def test_a_training_of_another_file_is_told_and_no_longer_heard() -> None:
    guarded, error = Guarded(), ResumeError("another model", "record it elsewhere")
    with pytest.raises(ResumeError, match="another model"):
        guarded.on_event(error)
    guarded.on_event(1)
    assert guarded.gate.refusal is error and guarded.refused == [True] and guarded.heard == []


def test_another_thread_that_trains_is_not_heard() -> None:
    guarded = Guarded()
    guarded.on_event("mine")
    other = threading.Thread(target=guarded.on_event, args=("another's",))
    other.start()
    other.join()
    assert guarded.heard == ["mine"]


def test_a_forked_child_hears_nothing_and_waits_for_no_lock() -> None:
    guarded = Guarded()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(60)

    lock = guarded.gate.thread.lock
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    guarded.gate.shut_in_child()
    guarded.on_event(1)
    assert guarded.gate.thread.lock.acquire(blocking=False) and guarded.heard == []
    done.set()
    holder.join()
