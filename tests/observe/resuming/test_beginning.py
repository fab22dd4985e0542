"""Where a recording begins, and how a training that goes on is given its step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnprobe.errors import ResumeError
from bnprobe.observe.faults import Faults
from bnprobe.observe.resuming.beginning import Beginning, Joining
from bnprobe.observe.resuming.resumption import Start


class GoingOn:
    """Stands for what reads the run file."""

    def __init__(self, answer: Start | Exception) -> None:
        self.is_open = True
        self.asked: list[bool] = []
        self._answer = answer

    def begin(self, axes: Any, optimizers: Any, *, moved: bool) -> Start:
        self.asked.append(moved)
        if isinstance(self._answer, Exception):
            raise self._answer
        self.is_open = False
        return self._answer

    def begin_after_last(self) -> Start:
        self.is_open = False
        return Start(30, "none of them")

    def sentence(self, start: Start) -> str:
        return f"goes on at step {start.step}"


class Joined:
    """A joining, and all it tells."""

    def __init__(self, going_on: GoingOn | None) -> None:
        self.told: list[Any] = []
        beginning: Any = SimpleNamespace(going_on=going_on)
        if going_on is not None:
            beginning = _OpenWhile(going_on)
        writer: Any = SimpleNamespace(begin_resumption=lambda *known: self.told.append(known))
        axes: Any = None
        self.joining = Joining(
            beginning,
            axes,
            writer,
            list,
            Faults(False, lambda place, reason: self.told.append(place)),
            self.told.append,
            lambda kind, text: self.told.append((kind, text)),
        )


class _OpenWhile(Beginning):
    def __init__(self, going_on: GoingOn) -> None:
        super().__init__(None, False, None, {})
        self._going_on = going_on  # type: ignore[assignment]


def test_a_file_of_its_own_begins_at_zero(tmp_path: Path) -> None:
    beginning = Beginning(tmp_path / "run.h5", False, None, {})
    assert (beginning.first, beginning.earlier, beginning.seconds_before, beginning.going_on) == (0, None, 0.0, None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"run\.h5"):
        Beginning(tmp_path / "run.h5", True, None, {})


def test_nothing_is_asked_where_nothing_goes_on() -> None:
    joined = Joined(None)
    joined.joining.join()
    assert joined.told == []


def test_the_first_gradient_settles_the_step_and_later_ones_nothing() -> None:
    going_on = GoingOn(Start(20, "weights"))
    joined = Joined(going_on)
    joined.joining.join(moved=True)
    joined.joining.join()
    assert joined.told == [20, (20, "weights"), ("resumption", "goes on at step 20")]
    assert going_on.asked == [True]


def test_a_fault_of_ours_goes_on_after_the_last_step() -> None:
    joined = Joined(GoingOn(RuntimeError("a defect")))
    joined.joining.join()
    assert joined.told == ["the step at which the training goes on", 30, (30, "none of them"), ("resumption", "goes on at step 30")]


def test_another_training_is_refused_and_numbers_nothing() -> None:
    joined = Joined(GoingOn(ResumeError("another model", "elsewhere")))
    with pytest.raises(ResumeError, match="another model"):
        joined.joining.join()
    assert joined.told == []
