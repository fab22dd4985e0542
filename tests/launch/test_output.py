from __future__ import annotations

import os
from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch.output import check_output, default_output

RUN_FILE = b"\x89HDF\r\n\x1a\n and so on"


def refusal(path: Path, force: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        check_output(path, force)
    assert caught.value.hint
    return str(caught.value)


def test_new_file_is_not_left_behind(tmp_path):
    check_output(tmp_path / "run.h5", force=False)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    assert refusal(tmp_path / "runs" / "run.h5").endswith("runs' does not exist")


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "runs").write_text("")
    assert refusal(tmp_path / "runs" / "run.h5").endswith("runs' is not a folder")


def test_folder_in_place_of_the_file(tmp_path):
    assert refusal(tmp_path).endswith("it is a folder")
    assert refusal(tmp_path, force=True).endswith("it is a folder")


def test_existing_file_is_kept(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(RUN_FILE)
    assert refusal(path).endswith("already exists")
    check_output(path, force=True)
    assert path.read_bytes() == RUN_FILE


def test_foreign_file_is_never_overwritten(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("print(1)")
    assert "is not a run file" in refusal(path, force=True)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that even root cannot write to")
def test_folder_that_cannot_be_written():
    assert refusal(Path("/proc/self/run.h5")).startswith("cannot write '/proc/self/run.h5': ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    assert refusal(tmp_path / "run.h5").endswith("Permission denied")


def test_default_name():
    assert default_output("train") == Path(f"bnprobe-train.{os.getpid()}.h5")
