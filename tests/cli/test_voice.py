from __future__ import annotations

import io
import math
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from bnprobe.cli.voice import Voice, say, status_text
from bnprobe.errors import ResumeError, RunFileError
from bnprobe.launch.ending import Ending
from bnprobe.observe.options import Progress

DONE = Ending("finished", "", 0)


def closing(file: Path) -> list[str]:
    assert file.is_absolute()
    return ["recorded 3 steps", "next: bnprobe report run.h5"]


@pytest.fixture
def voice():
    return Voice(Path("run.h5"), quiet=False, status_line=None, closing_lines=closing)


def test_closing_lines(voice, capsys):
    voice.ended(DONE, recorded=True, hurried=False)
    assert capsys.readouterr() == ("", "bnprobe: recorded 3 steps\nbnprobe: next: bnprobe report run.h5\n")


def test_a_script_that_watches_its_children_sees_none_of_ours(voice, monkeypatch):
    """The process that reads run files ends before python does."""
    ended: list[int] = []
    monkeypatch.setitem(
        sys.modules,
        "bnprobe.store.quarantine",
        SimpleNamespace(stop_server=lambda: ended.append(os.waitpid(os.fork() or os._exit(0), 0)[1])),
    )
    seen: list[int] = []
    before = signal.signal(signal.SIGCHLD, handler := lambda number, frame: seen.append(number))
    try:
        voice.ended(DONE, recorded=True, hurried=False)
        assert signal.getsignal(signal.SIGCHLD) is handler
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (ended, seen) == ([0], [])


def test_a_child_of_the_script_that_ends_meanwhile_is_told(voice, monkeypatch):
    def stop_server():
        started.append(os.fork() or os._exit(0))
        os.waitid(os.P_PID, started[-1], os.WEXITED | os.WNOWAIT)

    monkeypatch.setitem(sys.modules, "bnprobe.store.quarantine", SimpleNamespace(stop_server=stop_server))
    started: list[int] = []
    seen: list[int] = []

    def reap(number, frame):  # what other tests have left to this process may end at the same time
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                seen.append(ended)

    before = signal.signal(signal.SIGCHLD, reap)
    try:
        voice.ended(DONE, recorded=True, hurried=False)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert seen.count(started[0]) == 1


def test_process_in_a_hurry_does_not_read_the_file(capsys):
    def never(file: Path) -> list[str]:
        raise AssertionError

    voice = Voice(Path("run.h5"), quiet=False, status_line=None, closing_lines=never)
    voice.ended(Ending("interrupted", "SIGTERM", 143), recorded=True, hurried=True)
    assert capsys.readouterr().err.splitlines() == [
        "bnprobe: ended by SIGTERM; recorded to run.h5",
        "bnprobe: next: bnprobe report run.h5",
    ]


def test_nothing_recorded_is_said_even_when_quiet(capsys):
    Voice(Path("run.h5"), quiet=True, status_line=None, closing_lines=closing).ended(DONE, False, False)
    assert capsys.readouterr().err == "bnprobe: the script never imported torch; nothing was recorded\n"


@pytest.mark.parametrize(
    ("recorded", "files", "before"),
    [
        (True, None, "what was recorded before is in run.h5"),
        (False, None, "no step was recorded before"),
        (False, [], "no step was recorded before"),
        (False, [Path("run.child1.h5")], "what its processes trained before is in files beside"),
    ],
)
def test_another_program_in_the_scripts_place(capsys, recorded, files, before):
    beside = None if files is None else lambda: files
    voice = Voice(Path("run.h5"), quiet=False, status_line=None, closing_lines=closing, beside=beside)
    voice.replaced("os.execv", recorded=recorded)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"bnprobe: another program takes the script's place (os.execv); {before}"
    assert ("hint: --children" if files is None else "recorded to a file beside") in second
    assert "with this environment" in second
    voice.not_replaced()
    assert capsys.readouterr().err == "bnprobe: it could not be started; the recording goes on\n"


def test_another_program_where_processes_cannot_be_recorded(capsys):
    Voice(Path("run.h5"), quiet=False, status_line=None, closing_lines=closing, may_follow=False).replaced("os.execv", recorded=True)
    assert "--children" not in capsys.readouterr().err


def test_another_program_is_no_error_of_which_a_quiet_voice_speaks(capsys):
    voice = Voice(Path("run.h5"), quiet=True, status_line=None, closing_lines=closing)
    voice.replaced("os.execv", recorded=True)
    voice.not_replaced()
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing_else(capsys):
    voice = Voice(Path("run.h5"), quiet=True, status_line=None, closing_lines=closing)
    voice.progress(Progress(1, 2.0, 0.1, "", 0.0, 0.0, "noteworthy"))
    voice.ended(DONE, True, False)
    assert capsys.readouterr().err == ""


def test_message_gets_a_line_of_its_own(voice, capsys):
    voice.progress(Progress(12, math.nan, 0.1, "", 0.0, 0.0, "the loss is not finite at step 12"))
    assert capsys.readouterr().err == "bnprobe: the loss is not finite at step 12\n"


@pytest.mark.parametrize("error", [RunFileError("run.h5 is empty"), ValueError("no axis")])
def test_file_that_cannot_be_summed_up(capsys, error):
    def failing(file: Path) -> list[str]:
        raise error

    Voice(Path("run.h5"), quiet=False, status_line=None, closing_lines=failing).ended(DONE, True, False)
    assert str(error) in capsys.readouterr().err


def test_fault_with_its_hint(voice, capsys):
    voice.fault(RunFileError("cannot write run.h5", "free some space"))
    voice.ended(DONE, recorded=False, hurried=False)
    assert capsys.readouterr().err.splitlines() == [
        "bnprobe: the recording failed: cannot write run.h5",
        "bnprobe: hint: free some space",
        "bnprobe: nothing was recorded",
    ]


def test_saying_something_never_fails(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        say("nobody hears this")


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(0, math.nan, math.nan, "", math.nan, 0.0, ""), "bnprobe: step 0 | loss nan | overhead 0 %"),
        (
            Progress(9, 1e9, 0.5, "body.7", 400.0, 0.031, ""),
            "bnprobe: step 9 | loss 1e+09 | rate 0.5 | worst layer body.7 (rms x 1e+400) | overhead 3 %",
        ),
        (
            Progress(9, 0.12345, 0.5, "body.7", -2.0, 0.031, ""),
            "bnprobe: step 9 | loss 0.1235 | rate 0.5 | worst layer body.7 (rms x 0.01) | overhead 3 %",
        ),
    ],
)
def test_status_text(progress, expected):
    assert status_text(progress) == expected


def test_a_refusal_that_the_script_caught_is_said_at_the_end(voice, capsys):
    voice.left_alone(ResumeError("run.h5 is the recording of another model", "use -o"))
    assert capsys.readouterr().err.splitlines() == [
        "bnprobe: the script caught this and went on unrecorded: run.h5 is the recording of another model",
        "bnprobe: hint: use -o",
        "bnprobe: no step was added to run.h5",
    ]


def test_a_file_without_a_new_step_is_left_alone(voice, capsys):
    voice.left_alone(None)
    assert capsys.readouterr().err == "bnprobe: no step was added to run.h5\n"
