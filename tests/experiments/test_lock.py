"""The lock of a folder, between real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.experiments.lock import NAME, owned_folder

OWNER = """
import sys, time
from pathlib import Path
from bnprobe.experiments.lock import owned_folder
with owned_folder(Path(sys.argv[1]), "limits.h5"):
    (Path(sys.argv[1]) / "trial-1").mkdir()
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the folder."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path / "folder")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def own(folder: Path) -> list[str]:
    """Own the folder; return what was in it beside the lock."""
    with owned_folder(folder, "limits.h5"):
        return [name for name in os.listdir(folder) if name != NAME]


def test_a_folder_is_there_while_it_is_owned_and_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "folder"
    with owned_folder(folder, "limits.h5"):
        (folder / "trial-1").mkdir()
    assert not folder.exists()
    assert own(folder) == []


def test_a_file_system_that_keeps_removed_files_until_they_are_closed_keeps_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, close = tmp_path / "folder", os.close

    def unlink(path: Path) -> None:
        path.rename(path.with_name(".nfs0001"))

    def closed(descriptor: int) -> None:
        close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / ".nfs0001")

    with owned_folder(folder, "limits.h5"):
        monkeypatch.setattr(Path, "unlink", unlink)
        monkeypatch.setattr(os, "close", closed)
    monkeypatch.undo()
    assert not folder.exists()


def test_another_process_that_owns_it_is_named(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    with pytest.raises(UsageError, match=f"process {owner.pid} is using limits.h5") as caught:
        own(tmp_path / "folder")
    assert caught.value.hint is not None and "-o" in caught.value.hint
    assert (tmp_path / "folder" / "trial-1").is_dir(), "what the owner is at work on is left alone"


def test_the_same_process_does_not_own_it_twice(tmp_path: Path) -> None:
    with owned_folder(tmp_path / "folder", "limits.h5"), pytest.raises(UsageError, match=f"process {os.getpid()}"):
        own(tmp_path / "folder")


def test_a_killed_owner_owns_nothing(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert (tmp_path / "folder" / "trial-1").is_dir()
    assert own(tmp_path / "folder") == []


def test_the_lock_does_not_pass_to_what_the_owner_starts(tmp_path: Path) -> None:
    program = OWNER.replace("print(", "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, ")
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "folder")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[0])
    process.kill()
    process.wait()
    process.stdout.close()
    try:
        assert own(tmp_path / "folder") == []
    finally:
        os.kill(child, 9)


def test_a_number_in_the_file_holds_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])  # got the number of an owner that a reboot ended
    try:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / NAME).write_text(str(other.pid))
        assert own(tmp_path / "folder") == []
    finally:
        other.kill()
        other.wait()


def test_a_link_in_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "theirs")
    assert own(tmp_path / "folder") == []
    assert (tmp_path / "theirs" / "file").read_text() == "mine"


def test_many_processes_own_it_one_after_another(tmp_path: Path) -> None:
    """While the owners come and go, and each removes the folder, no two are ever in it."""
    program = """
import os, sys, time
from pathlib import Path
from bnprobe.errors import UsageError
from bnprobe.experiments.lock import owned_folder
folder, times = Path(sys.argv[1]), 0
while times < 40:
    try:
        with owned_folder(folder, "limits.h5"):
            os.mkdir(folder / "inside")  # fails where another one is inside
            times += 1
    except UsageError:
        pass
"""
    many = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "folder")]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in many] == [0] * 4
