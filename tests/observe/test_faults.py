"""Whose exception it is that arrives inside a hook of ours."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnprobe.observe.faults import Faults, is_the_scripts

#: Stands for code of ours: compiled under a file name inside the package.
OURS = str(Path(__file__).parents[2] / "bnprobe" / "observe" / "hook.py")


class ScriptError(Exception):
    """An exception class of the script."""


def caught(action: Callable[[], Any]) -> Exception:
    """Return what an action raises when a hook of ours calls it."""
    names: dict[str, Any] = {}
    exec(compile("def hook(action):\n    return action()\n", OURS, "exec"), names)
    try:
        names["hook"](action)
    except Exception as error:
        trace = error.__traceback__
        assert trace is not None
        return error.with_traceback(trace.tb_next)  # from the hook on
    raise AssertionError("nothing was raised")


def ours(text: str) -> Callable[[], Any]:
    """Return a function of ours that runs some lines."""
    names: dict[str, Any] = {"ScriptError": ScriptError}
    exec(compile(f"def work():\n    {text}\n", OURS, "exec"), names)
    return names["work"]


def _raise(error: Exception) -> None:
    raise error


class Ringing:
    """A handler that is an object."""

    def __call__(self, number: int, frame: Any) -> None:
        raise TimeoutError("too late")

    def method(self, number: int, frame: Any) -> None:
        raise TimeoutError("too late")


def function(number: int, frame: Any) -> None:
    raise RuntimeError("too late")


@pytest.mark.parametrize("handler", [function, Ringing(), Ringing().method, lambda number, frame: _raise(ValueError("too late"))])
def test_what_a_handler_of_a_signal_raises_is_the_scripts(handler: Any) -> None:
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        assert is_the_scripts(caught(lambda: signal.raise_signal(signal.SIGUSR1)))
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("text", ["raise ScriptError('sent')", "raise TimeoutError"])
def test_what_another_thread_sends_is_the_scripts(text: str) -> None:
    assert is_the_scripts(caught(ours(text)))


@pytest.mark.parametrize(
    "text",
    ["raise ValueError('wrong shape')", "assert False", "{}['key']", "raise MemoryError", "import torch; torch.ones(2) @ torch.ones(3)"],
)
def test_faults_of_ours_are_ours(text: str) -> None:
    assert not is_the_scripts(caught(ours(text)))


def test_code_of_the_script_that_we_called_does_not_break_its_training() -> None:
    assert not is_the_scripts(caught(lambda: _raise(ScriptError("in a property of a module"))))


def test_a_guard_swallows_our_own_alone(capsys: pytest.CaptureFixture[str]) -> None:
    noted: list[tuple[str, str]] = []
    faults = Faults(False, lambda place, reason: noted.append((place, reason)))
    for _ in range(2):
        with faults.guard("a layer"):
            ours("raise ValueError('wrong shape')")()
    assert [place for place, _ in noted] == ["a layer"]
    assert capsys.readouterr().err.count("wrong shape") == 1
    with pytest.raises(KeyboardInterrupt), faults.guard("a layer"):
        raise KeyboardInterrupt


def test_a_strict_guard_swallows_nothing() -> None:
    with pytest.raises(ValueError, match="wrong shape"):
        Faults(True, lambda place, reason: None).report("a layer", ValueError("wrong shape"))
