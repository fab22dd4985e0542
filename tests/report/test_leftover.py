"""What an attempt leaves that came to no step is no recording to be kept; everything else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bnprobe.report.leftover import holds_no_training
from bnprobe.store.writer import RunWriter
from tests.store.numbered_runs import NumberedRun


@pytest.mark.parametrize(
    ("status", "pid", "backwards", "is_leftover"),
    [
        pytest.param("crashed", 1, 0, True, id="it crashed before its first step"),
        pytest.param("interrupted", 1, 1, True, id="it was interrupted in its first step"),
        pytest.param("finished", 1, 500, False, id="its steps are missing, which is a finding"),
        pytest.param("running", os.getpid(), 0, False, id="it is still being written"),
        pytest.param("running", 2**22 + 1, 0, True, id="its process is gone"),
    ],
)
def test_without_a_step(tmp_path: Path, status: str, pid: int, backwards: int, is_leftover: bool) -> None:
    writer = RunWriter(tmp_path / "run.h5", {"pid": pid, "backwards_without_update": backwards})
    if status != "running":
        writer.close(status=status)
    assert holds_no_training(tmp_path / "run.h5") == is_leftover


def test_with_steps(tmp_path: Path) -> None:
    run = NumberedRun(tmp_path / "run.h5")
    run.add_steps(3)
    run.writer.close(status="crashed")
    assert not holds_no_training(tmp_path / "run.h5")


@pytest.mark.parametrize(("content", "is_leftover"), [(b"", True), (b"\x89HDF\r\n\x1a\n", False), (b"print(1)", False)])
def test_no_recording(tmp_path: Path, content: bytes, is_leftover: bool) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(content)
    assert holds_no_training(path) == is_leftover
