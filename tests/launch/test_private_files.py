"""Both ways of keeping a process from the user's files; each in a process of its own, which cannot take it back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnprobe.errors import UsageError
from bnprobe.launch import private_files
from bnprobe.launch.private_files import COVERED, REFUSED, refuse_writes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and Landlock are Linux")

FRIENDLY = """
import os, shutil, sys, tempfile
from pathlib import Path
from bnprobe.launch.private_files import protect_files
protection = protect_files(Path(sys.argv[1]))
import torch

assert open("data.txt").read() == "mine"
with open("data.txt", "a") as file:
    file.write(", changed")
assert Path("data.txt").read_text() == "mine, changed"
Path("runs/deep").mkdir(parents=True, exist_ok=True)
Path("runs/deep/events").write_bytes(b"x")
assert os.listdir("runs") == ["deep"] and Path("runs/deep/events").stat().st_size == 1
os.makedirs("checkpoints")
try:
    os.mkdir("folder")
except FileExistsError:
    pass
torch.save({"a": 1}, "checkpoints/a.pt")
os.replace("checkpoints/a.pt", "checkpoints/best.pt")
assert torch.load("checkpoints/best.pt") == {"a": 1}
assert not os.path.exists("checkpoints/a.pt")
shutil.copy("data.txt", "copy.txt")
os.remove("copy.txt")
shutil.rmtree("checkpoints")
assert sorted(os.listdir(".")) == ["data.txt", "folder", "runs"]
Path(tempfile.mkdtemp(), "file").write_text("temporary")
Path(sys.argv[1], "result").write_text(protection)
"""

TIDY = """
import os, shutil, sys, tempfile
from pathlib import Path
from bnprobe.launch.private_files import refuse_writes
protection = refuse_writes(Path(sys.argv[1]))
import torch

assert open("data.txt").read() == "mine"
place = Path(tempfile.mkdtemp())
assert place.is_relative_to(sys.argv[1]) and os.environ["TMPDIR"] == tempfile.gettempdir()
torch.save({"a": 1}, place / "a.pt")
assert torch.load(place / "a.pt") == {"a": 1}
shutil.copy("data.txt", place / "copy.txt")  # which sets the mode of the copy
os.replace(place / "copy.txt", place / "data.txt")
shutil.rmtree(place)
for write in (lambda: open("data.txt", "a"), lambda: open("new.txt", "w"), lambda: os.mkdir("new"), lambda: os.truncate("data.txt", 0)):
    try:
        write()
    except PermissionError:
        continue
    raise AssertionError("a write was not refused")
Path(sys.argv[1], "result").write_text(protection)
"""

HOSTILE = """
import os, shutil, sqlite3, subprocess, sys
from pathlib import Path
from bnprobe.launch.private_files import protect_files, refuse_writes
HOW(Path(sys.argv[1]))
import h5py
for attack in (
    lambda: os.remove("data.txt"),
    lambda: os.rename("data.txt", "elsewhere.txt"),
    lambda: os.link("data.txt", "other.txt"),
    lambda: shutil.rmtree("folder"),
    lambda: subprocess.run("echo bad > data.txt; rm -rf folder; touch new.txt data.txt; chmod 0 data.txt", shell=True, check=True),
    lambda: h5py.File("data.txt", "w"),
    lambda: sqlite3.connect("new.db").execute("create table t (x)"),
    lambda: os.truncate("folder/file.txt", 0),
    lambda: os.chmod("data.txt", 0),
    lambda: os.utime("data.txt", (0, 0)),
    lambda: os.chown("data.txt", os.getuid(), os.getgid()),
    lambda: os.setxattr("data.txt", "user.bnprobe", b"x"),
    lambda: os.fchmod(os.open("data.txt", os.O_RDONLY), 0),
):
    try:
        attack()
    except Exception:
        pass
"""


def run(tmp_path: Path, program: str) -> Path:
    """Run a program in a project folder; return the folder that it may write to."""
    project, own = tmp_path / "project", tmp_path / "own"
    (project / "folder").mkdir(parents=True)
    own.mkdir()
    (project / "data.txt").write_text("mine")
    (project / "folder" / "file.txt").write_text("deep")
    before = state(project)
    subprocess.run([sys.executable, "-c", program, str(own)], cwd=project, check=True, timeout=120)
    assert state(project) == before
    return own


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder: bytes, modes, owners, times, attributes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        own = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (content, own.st_mode, own.st_uid, own.st_gid, own.st_mtime_ns, own.st_nlink, os.listxattr(path))
    return found


def works(protect: Callable[[Path], object], folder: Path) -> bool:
    """Try a protection in a child, which cannot take it back."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            protect(folder)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def refusal(tmp_path: Path) -> None:
    """Skip where the kernel is too old."""
    (tmp_path / "try").mkdir()
    if not works(refuse_writes, tmp_path / "try"):
        pytest.skip("this kernel has no Landlock of Linux 6.2, or no seccomp")


def test_a_script_finds_what_it_wrote_and_leaves_nothing(tmp_path: Path) -> None:
    if not works(private_files._cover, tmp_path):
        pytest.skip("this machine allows no view of the file system of its own")
    assert (run(tmp_path, FRIENDLY) / "result").read_text() == COVERED


@pytest.mark.usefixtures("refusal")
def test_where_writes_are_refused_a_script_reads_and_has_a_place_for_temporary_files(tmp_path: Path) -> None:
    assert (run(tmp_path, TIDY) / "result").read_text() == REFUSED


def test_a_view_of_its_own_keeps_all_writes_from_the_users_files(tmp_path: Path) -> None:
    run(tmp_path, HOSTILE.replace("HOW", "protect_files"))


@pytest.mark.usefixtures("refusal")
def test_the_kernel_keeps_all_writes_from_the_users_files(tmp_path: Path) -> None:
    run(tmp_path, HOSTILE.replace("HOW", "refuse_writes"))


@pytest.mark.parametrize("missing", ["refuse_writes_outside", "ignore_changes_of_modes"])
def test_without_either_there_is_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    kept = dict(os.environ)
    monkeypatch.setattr(private_files, "_can_be_covered", lambda folder: False)
    for name in ("refuse_writes_outside", "ignore_changes_of_modes"):
        monkeypatch.setattr(private_files, name, lambda *arguments, works=name != missing: works)
    with pytest.raises(UsageError, match="could overwrite your files") as caught:
        private_files.protect_files(tmp_path)
    assert caught.value.hint is not None and "user namespaces" in caught.value.hint
    assert dict(os.environ) == kept
