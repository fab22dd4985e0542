"""``bnprobe record --resume``: a script that is killed and started again, as a user does it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.reader import read_run

TRAINING = """
import os, sys, time
import torch
steps, die_at, width = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
first = 0
if os.path.exists("checkpoint.pt"):
    saved = torch.load("checkpoint.pt")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    first = saved["step"]
for step in range(first, steps):
    inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), inputs[:, :3].argmax(1)).backward()
    optimizer.step()
    if (step + 1) % 50 == 0:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, "checkpoint.pt")
    if step + 1 == die_at:
        time.sleep(2.1)  # a burst is due
        model(inputs).sum().backward()
        optimizer.zero_grad()
    if step + 1 == die_at + 1:
        os.kill(os.getpid(), 9)
torch.save(model.state_dict(), sys.argv[4])
"""


def started(folder: Path, *arguments: object, options: tuple[str, ...] = ("--resume", "run.h5")) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(TRAINING)
    command = ["-m", "bnprobe", "record", *options] if options != ("plain",) else []
    line = [sys.executable, *command, "train.py", *map(str, arguments)]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)


def test_it_asks_for_one_file(tmp_path: Path) -> None:
    result = started(tmp_path, options=("--resume", "run.h5", "-o", "other.h5"))
    assert result.returncode == 2 and "-o asks for a new file" in result.stderr


@pytest.mark.slow
def test_a_killed_script_goes_on_in_its_file(tmp_path: Path) -> None:
    # GIVEN a script that was killed between two of its checkpoints
    killed = started(tmp_path, 130, 80, 8, "final.pt")
    assert killed.returncode == -signal.SIGKILL and "recording to run.h5" in killed.stderr
    # WHEN the same command is typed again
    again = started(tmp_path, 130, -1, 8, "final.pt")
    # THEN it goes on at the checkpoint
    assert again.returncode == 0, again.stderr
    assert "going on in run.h5" in again.stderr
    assert "goes on at step 50 (its weights are those of that step)" in again.stderr
    run = read_run(tmp_path / "run.h5")
    assert run["step"].tolist() == list(range(130)) and np.isfinite(run["loss"]).all()
    assert (run.status, run.resumptions[0].ended, run.resumptions[0].step) == ("finished", "running", 50)
    # AND has trained as it does by itself
    (tmp_path / "checkpoint.pt").unlink()
    assert started(tmp_path, 130, -1, 8, "plain.pt", options=("plain",)).returncode == 0
    import torch

    plain, resumed = torch.load(tmp_path / "plain.pt"), torch.load(tmp_path / "final.pt")
    assert all(torch.equal(plain[name], resumed[name]) for name in plain)
    # AND another model is refused, and leaves the file alone
    before = (tmp_path / "run.h5").read_bytes()
    (tmp_path / "checkpoint.pt").unlink()
    other = started(tmp_path, 130, -1, 9, "other.pt")
    assert other.returncode == 2 and "run.h5 is the recording of another model: 0.weight is 9x4 here and 8x4 there" in other.stderr
    assert (tmp_path / "run.h5").read_bytes() == before and not (tmp_path / "other.pt").exists()
