from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnprobe.report.wording import ending
from bnprobe.store.reader import Run


def run(**attributes: str | int) -> Run:
    return Run(Path("run.h5"), attributes, [], [], [], [], [], {})


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"status": "finished"}, "ran to its end"),
        ({"status": "stopped", "ending": "--max-steps 80"}, "on request (--max-steps 80)"),
        ({"status": "interrupted", "ending": "SIGTERM"}, "interrupted (SIGTERM)"),
        ({"status": "crashed", "ending": "ValueError: no data"}, "exception (ValueError: no data)"),
        ({"status": "exited", "ending": "sys.exit(3)"}, "left early (sys.exit(3))"),
        ({"status": "odd"}, "status: odd"),
        ({}, "status: unknown"),
    ],
)
def test_each_end_has_its_sentence(attributes: dict[str, str], words: str) -> None:
    assert words in ending(run(**attributes))


def test_a_run_whose_process_is_gone_was_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert "most likely killed" in ending(run(status="running", pid=child.pid))


def test_a_run_whose_process_lives_is_still_going() -> None:
    assert "likely still going" in ending(run(status="running", pid=os.getpid()))


@pytest.mark.parametrize("pid", ["7", 0, -1, 2**80, 3.5])
def test_a_process_number_that_is_none_is_not_asked_for(pid: object) -> None:
    assert "most likely killed" in ending(run(status="running", pid=pid))  # type: ignore[arg-type]
