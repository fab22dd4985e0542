"""One recording at a time to a run file, without an open file in the script's process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch.claim import Claim


def test_the_second_is_refused_in_one_sentence(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "run.h5")
    with pytest.raises(UsageError, match=rf"^process {os.getpid()} is recording to '.*run\.h5'$") as caught:
        Claim(tmp_path / "run.h5")
    assert caught.value.hint
    Claim(tmp_path / "other.h5").release()
    claim.release()
    claim.release()
    assert list(tmp_path.iterdir()) == []
    Claim(tmp_path / "run.h5").release()


def test_a_link_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "latest.h5").symlink_to(tmp_path / "run.h5")
    claim = Claim(tmp_path / "run.h5")
    with pytest.raises(UsageError, match="is recording to"):
        Claim(tmp_path / "latest.h5")
    claim.release()


def test_no_file_stays_open_and_all_may_be_closed(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    claim = Claim(tmp_path / "run.h5")
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(UsageError):
        Claim(tmp_path / "run.h5")
    claim.release()


def test_it_ends_with_the_process_and_not_with_its_children(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from bnprobe.launch.claim import Claim\n"
        f"claim = Claim(Path({str(tmp_path / 'run.h5')!r}))\n"
        "child = os.fork()\n"
        "if child == 0: claim.release(); time.sleep(60)\n"
        "print(child, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        child = int(process.stdout.readline())
    try:
        with pytest.raises(UsageError, match=f"process {process.pid} is recording"):
            Claim(tmp_path / "run.h5")
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while True:  # the kernel takes a process apart after it has been waited for
            try:
                Claim(tmp_path / "run.h5").release()
                break
            except UsageError:
                assert time.monotonic() < deadline
    finally:
        process.kill()
        os.kill(child, signal.SIGKILL)


def test_a_folder_that_is_missing_or_cannot_be_written_to_is_not_its_business(tmp_path: Path) -> None:
    Claim(tmp_path / "missing" / "run.h5").release()


@pytest.mark.parametrize(("owner", "name"), [("fcntl", "flock"), ("bnprobe.launch.claim", "_map")])
def test_where_nothing_can_be_locked_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, name: str) -> None:
    def failing(*arguments: object) -> None:
        if name == "flock":
            raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(f"{owner}.{name}", failing)
    Claim(tmp_path / "run.h5").release()
    assert list(tmp_path.iterdir()) == []
