"""Both ways of keeping a process from the user's files; each in a process of its own, which cannot take it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnprobe.launch.landlock import refuse_writes_outside

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and Landlock are Linux")

FRIENDLY = """
import os, shutil, sys, tempfile
from pathlib import Path
from bnprobe.launch.private_files import {how}
protection = {how}(Path(sys.argv[1]))
import torch
protection.after_torch()

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
torch.save({{"a": 1}}, "checkpoints/a.pt")
os.replace("checkpoints/a.pt", "checkpoints/best.pt")
assert torch.load("checkpoints/best.pt") == {{"a": 1}}
assert not os.path.exists("checkpoints/a.pt")
shutil.copy("data.txt", "copy.txt")
os.remove("copy.txt")
shutil.rmtree("checkpoints")
assert sorted(os.listdir(".")) == ["data.txt", "folder", "runs"]
Path(tempfile.mkdtemp(), "file").write_text("temporary")
Path(sys.argv[1], "result").write_text(protection.words)
"""

HOSTILE = """
import os, shutil, sqlite3, subprocess, sys
from pathlib import Path
from bnprobe.launch.private_files import {how}
{how}(Path(sys.argv[1]))
import h5py
refused = 0
for attack in (
    lambda: os.remove("data.txt"),
    lambda: os.rename("data.txt", "elsewhere.txt"),
    lambda: shutil.rmtree("folder"),
    lambda: subprocess.run("echo bad > data.txt; rm -rf folder; touch new.txt", shell=True, check=True),
    lambda: h5py.File("data.txt", "w"),
    lambda: sqlite3.connect("new.db").execute("create table t (x)"),
    lambda: os.truncate("folder/file.txt", 0),
    lambda: os.chmod("data.txt", 0),
):
    try:
        attack()
    except Exception:
        refused += 1
"""


def run(tmp_path: Path, program: str, how: str) -> Path:
    """Run a program in a project folder; return the folder that it may write to."""
    project, own = tmp_path / "project", tmp_path / "own"
    (project / "folder").mkdir(parents=True)
    own.mkdir()
    (project / "data.txt").write_text("mine")
    (project / "folder" / "file.txt").write_text("deep")
    subprocess.run([sys.executable, "-c", program.format(how=how), str(own)], cwd=project, check=True, timeout=120)
    found = {str(path.relative_to(project)): path.read_text() for path in project.rglob("*") if path.is_file()}
    assert found == {"data.txt": "mine", "folder/file.txt": "deep"}
    assert sorted(os.listdir(project)) == ["data.txt", "folder"]
    assert (project / "data.txt").stat().st_mode & 0o777
    return own


def has_landlock() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if refuse_writes_outside([]) else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("how", ["protect_files", "refuse_files"])
def test_a_script_finds_what_it_wrote_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    if how == "refuse_files" and not has_landlock():
        pytest.skip("this kernel has no Landlock")
    own = run(tmp_path, FRIENDLY, how)
    assert (own / "result").read_text()


@pytest.mark.parametrize("how", ["protect_files", "refuse_files"])
def test_no_way_of_writing_reaches_the_users_files(tmp_path: Path, how: str) -> None:
    if how == "refuse_files" and not has_landlock():
        pytest.skip("this kernel has no Landlock")
    run(tmp_path, HOSTILE, how)
