"""Tracebacks show a script's frames and torch's, and none of those that the recorder has put between."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator

import pytest

from bnprobe.observe.attaching.frames import clean, runs_a_script, uncounted
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.attaching.tracebacks import QuietTracebacks


@pytest.fixture
def quiet() -> Iterator[None]:
    patches = Patches()
    QuietTracebacks().attach(patches)
    yield
    patches.undo()


@uncounted
def _between(depth: int) -> None:
    if depth:
        _between(depth - 1)
    _fails()


def _fails() -> None:
    try:
        {}["absent"]  # type: ignore[index]
    except KeyError as error:
        raise ValueError("shown") from error


def _names(text: str) -> list[str]:
    return [line.rpartition(" in ")[2] for line in text.splitlines() if line.startswith("  File")]


def test_what_is_printed_leaves_them_out(quiet: None) -> None:
    try:
        _between(2)
    except ValueError as error:
        assert _names(traceback.format_exc())[-2:] == ["test_what_is_printed_leaves_them_out", "_fails"]
        assert [entry.name for entry in traceback.extract_tb(error.__traceback__)] == ["test_what_is_printed_leaves_them_out", "_fails"]


def test_an_exception_that_is_cleaned_has_none_nor_have_those_it_came_from() -> None:
    with pytest.raises(ValueError, match="shown") as caught:
        _between(1)
    first = caught.value
    try:
        raise first
    except ValueError as again:
        clean(again)
    assert "_between" not in _names("".join(traceback.format_exception(first)))
    assert _names("".join(traceback.format_exception(first)))[-1] == "_fails"


def test_a_stack_ends_above_what_runs_the_script(quiet: None) -> None:
    shown: list[str] = []

    def script() -> None:
        uncounted(lambda: shown.extend(_names("".join(traceback.format_stack()))))()

    @runs_a_script
    def execute() -> None:
        script()

    execute()
    assert shown == ["script"]


def test_a_thread_that_fails_shows_its_own_frames() -> None:
    shown: list[str] = []
    hook, patches = threading.excepthook, Patches()
    threading.excepthook = lambda args: shown.extend(_names("".join(traceback.format_tb(args.exc_traceback))))
    QuietTracebacks().attach(patches)
    try:
        _between(1)
    except ValueError as error:
        threading.excepthook(threading.ExceptHookArgs((ValueError, error, error.__traceback__, None)))
    finally:
        patches.undo()
        threading.excepthook = hook
    assert shown == ["test_a_thread_that_fails_shows_its_own_frames", "_fails"]
