from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import pytest

from bnprobe.cli.voice import Voice, say, status_text
from bnprobe.errors import RunFileError
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
