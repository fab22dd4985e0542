"""Trials write nothing into the user's folders, whatever the script does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NASTY = """
import json, logging, os, pathlib, pickle, shutil, sqlite3, subprocess, sys, tempfile
import h5py
import numpy as np
import torch

here = pathlib.Path(__file__).parent
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
assert (here / "log.txt").read_text() == "mine\\n"            # data can be read, by relative and by absolute path
assert open("data.csv").read() == "1,2\\n"

with open("log.txt", "a") as log:
    log.write("an epoch\\n")
assert (here / "log.txt").read_text() == "mine\\nan epoch\\n"  # the script finds its own changes
torch.save(model.state_dict(), "checkpoint.pt")
torch.save(model, here / "checkpoint.pt")
assert torch.load("checkpoint.pt", weights_only=False).weight.shape == (2, 4)
np.save("array.npy", np.ones(3)); np.savez(here / "arrays.npz", a=np.ones(3)); np.savetxt("array.txt", np.ones(3))
with h5py.File("metrics.h5", "a") as file:
    file["new"] = np.ones(3)
with open("state.pkl", "wb") as file:
    pickle.dump({"step": 1}, file)
(here / "runs" / "deep").mkdir(parents=True, exist_ok=True)
(here / "runs" / "deep" / "events.out.tfevents.1").write_bytes(b"events")
os.rename("old.txt", "renamed.txt")
os.replace("data.csv", "log.txt")
os.remove("precious.txt")
shutil.rmtree("folder")
os.truncate("metrics.h5", 0)
os.chmod("state.pkl", 0o600)
os.symlink("log.txt", "link.txt")
logging.basicConfig(filename=here / "run.log"); logging.warning("noise")
sqlite3.connect("mlruns.db").execute("create table t (x)").connection.commit()
subprocess.run("echo from a shell > shell.txt; rm -f state.pkl", shell=True, check=True)
np.memmap("map.bin", dtype="f4", mode="w+", shape=(8,))[:] = 1
pathlib.Path(tempfile.gettempdir(), "bnprobe-nasty-leak").write_text("leak")
pathlib.Path.home().joinpath("bnprobe-nasty-leak").write_text("leak")

for step in range(60):
    loss = (model(torch.randn(8, 4)) ** 2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    torch.save(optimizer.state_dict(), "checkpoint.pt")
"""


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder: modes, times of change and bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_mode, b"" if path.is_dir() else path.read_bytes())
    return found


@pytest.mark.slow
def test_a_trial_changes_none_of_the_users_files(lr_limit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "folder" / "deep").mkdir(parents=True)
    (project / "folder" / "deep" / "file.txt").write_text("deep")
    for name, text in {
        "log.txt": "mine\n",
        "data.csv": "1,2\n",
        "old.txt": "old",
        "precious.txt": "precious",
        "state.pkl": "state",
    }.items():
        (project / name).write_text(text)
    import h5py

    with h5py.File(project / "metrics.h5", "w") as file:
        file["old"] = [1.0]
    (project / "train.py").write_text(NASTY)
    before = contents(project)
    result = lr_limit(
        "--remedy", "NONE", "--seeds", "1", "--steps", "30", "--rates", "0.1:0.12", "-o", "../limits.h5", "train.py", cwd=project
    )
    assert result.returncode == 0, result.stderr
    assert "trains" in result.stderr, result.stderr
    assert contents(project) == before
    assert sorted(os.listdir(tmp_path)) == ["limits.h5", "limits.html", "project"]
    assert not (Path.home() / "bnprobe-nasty-leak").exists()
    assert not Path("/tmp/bnprobe-nasty-leak").exists()
