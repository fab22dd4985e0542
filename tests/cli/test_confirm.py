"""``bnprobe confirm``, as a person types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest
from typer.testing import CliRunner

from bnprobe.cli.app import app
from bnprobe.store.confirm_file import read_confirmation
from tests.processes import processes_of
from tests.synthetic_runs import BUILDERS

FAULTY = """
import argparse, time
import torch
from torch import nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, default=0.0)
parser.add_argument("--clear", action="store_true")
parser.add_argument("--unseeded", action="store_true")
options = parser.parse_args()
if not options.unseeded:
    torch.manual_seed(0)
x = torch.randn(256, 20)
y = (x @ torch.randn(20, 4)).argmax(1)
model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
for step in range(80):
    time.sleep(options.seconds)
    rows = torch.randint(0, 256, (64,))
    if options.clear:
        optimizer.zero_grad()
    loss = F.cross_entropy(model(x[rows]), y[rows])
    loss.backward()
    optimizer.step()
open("trained.txt", "w").write(str(loss.item()))
"""


def bnprobe(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bnprobe", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


def document(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(FAULTY)
    return tmp_path


def recorded(folder: Path, *words: str) -> None:
    assert bnprobe(folder, "record", "-q", "-o", "run.h5", "train.py", *words).returncode == 0
    (folder / "trained.txt").unlink()


@pytest.mark.slow
def test_a_faulty_script_from_its_recording_to_its_page(folder: Path) -> None:
    recorded(folder)
    result = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad", "--cause", "unscaled-input", "--cause", "detached-loss")
    assert result.returncode == 3, result.stderr
    assert "confirmed: missing-zero-grad: loss " in result.stdout
    assert "undecided: unscaled-input: standardise-inputs refused: no linear, convolutional" in result.stdout
    assert "undecided: detached-loss: keep-graph refused: no value that was detached" in result.stdout
    assert "as it is: " in result.stderr
    assert sorted(one.name for one in folder.iterdir()) == ["run.confirm.json", "run.h5", "train.py"], "the trials left nothing behind"
    again = bnprobe(folder, "confirm", "--json", "--cause", "missing-zero-grad", "run.h5")
    assert "5 trials were made before" in again.stderr
    found = document(again)
    assert (found["confirmed"], found["refuted"], found["undecided"]) == (["missing-zero-grad"], [], [])
    assert found["verdict"] == "missing-zero-grad"
    assert found["not_forked"] is None
    assert {one["name"] for one in found["trials"]} >= {"as it is", "a tenth of the rate", "clear-gradients"}
    said = bnprobe(folder, "diagnose", "run.h5").stdout
    assert "Confirmed by trial: loss" in said
    assert bnprobe(folder, "report", "run.h5").returncode == 0
    page = (folder / "run.html").read_text(encoding="utf-8")
    assert "Put to the test" in page and "Confirmed by trial: loss" in page


@pytest.mark.slow
def test_a_suspicion_is_tested_beside_the_verdict(folder: Path) -> None:
    recorded(folder)
    words = ("--cause", "eval-mode-training", "--cause", "weight-decay-too-strong", "--cause", "mean-shift")
    found = document(bnprobe(folder, "confirm", "--json", *words, "run.h5"))
    reasons = {one["id"]: one["reason"] for one in found["causes"]}
    assert next(iter(reasons)) == found["verdict"] == "missing-zero-grad"
    assert found["confirmed"] == ["missing-zero-grad"]
    assert found["refuted"][:2] == ["eval-mode-training", "weight-decay-too-strong"]
    assert reasons["weight-decay-too-strong"] == "it is not there: no parameter group has weight decay"


@pytest.mark.slow
def test_a_healthy_script_is_recorded_and_not_tried(folder: Path) -> None:
    result = bnprobe(folder, "confirm", "--json", "-o", "mine.h5", "train.py", "--clear")
    assert result.returncode == 0, result.stderr
    nothing: dict[str, Any] = {"confirmed": [], "refuted": [], "undecided": [], "causes": [], "trials": []}
    assert document(result) == {"verdict": "healthy", **nothing}
    assert not (folder / "mine.confirm.json").exists()


@pytest.mark.slow
def test_a_script_that_does_not_repeat_itself_is_run_twice(folder: Path) -> None:
    recorded(folder, "--unseeded")
    result = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad", "--json")
    assert "does not repeat its recording" in result.stderr
    names = [one["name"] for one in document(result)["trials"]]
    assert names[:2] == ["as it is", "as it is, again"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_command_goes_on_where_it_was(number: int, folder: Path) -> None:
    recorded(folder, "--seconds", "0.04")
    words = [sys.executable, "-m", "bnprobe", "confirm", "run.h5", "--cause", "missing-zero-grad"]
    command = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_a_trial(folder, 1)
    busy = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad")
    assert busy.returncode == 2 and "is using run.confirm.json" in busy.stderr, "two commands on one file"
    command.send_signal(number)
    _, told = command.communicate(timeout=60)
    assert command.returncode == (-9 if number == signal.SIGKILL else 130)
    time.sleep(0.5)
    assert processes_of(folder) == []
    if number != signal.SIGKILL:
        assert "to go on: bnprobe confirm --cause missing-zero-grad run.h5" in told
        assert not list(folder.glob(".run*")), "nothing is left beside the file"
    kept = read_confirmation(folder / "run.confirm.json").trials
    assert not read_confirmation(folder / "run.confirm.json").judgements
    result = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad")
    assert result.returncode == 3, result.stderr
    assert f"{len(kept)} trials were made before" in result.stderr
    found = read_confirmation(folder / "run.confirm.json").trials
    assert [(one.name, one.seconds) for one in found[: len(kept)]] == [(one.name, one.seconds) for one in kept]
    assert not list(folder.glob(".run*"))


def wait_for_a_trial(folder: Path, count: int) -> None:
    """Wait until so many trials are kept and another one is under way."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        file = folder / "run.confirm.json"
        if file.exists() and len(read_confirmation(file).trials) >= count and list(folder.glob(".run.confirm.json.trials/trial-*/run.h5")):
            return
        time.sleep(0.1)
    raise AssertionError(f"no {count} trials in time")


def test_a_recording_that_cannot_be_made_again_is_refused(folder: Path) -> None:
    run = BUILDERS["exploding"](folder / "run.h5")

    def error() -> str:
        return str(CliRunner().invoke(app, ["confirm", str(run)]).exception)

    with h5py.File(run, "r+") as file:
        file.attrs.pop("argv", None)
    assert "does not say which script it is a recording of" in error()
    with h5py.File(run, "r+") as file:
        file.attrs["argv"], file.attrs["cwd"], file.attrs["world_size"] = '["train.py"]', str(folder), "4"
    assert "is one of 4 processes that trained together" in error()
    with h5py.File(run, "r+") as file:
        file.attrs["cwd"] = str(folder / "gone")
    assert "which is not there any more" in error()


@pytest.mark.slow
def test_what_cannot_be_done_is_said_before_anything_is_run(folder: Path) -> None:
    assert "no such file" in bnprobe(folder, "confirm", "missing.py").stderr
    nowhere = bnprobe(folder, "confirm", "--executor", "slurm", "train.py")
    assert nowhere.returncode == 2 and "slurm" in nowhere.stderr.lower()
    assert not list(folder.glob("*.h5"))
    recorded(folder)
    mistyped = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-gradient")
    assert mistyped.returncode == 2 and "did you mean missing-zero-grad" in mistyped.stderr
    assert bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad", "--steps", "40").returncode == 3
    other = bnprobe(folder, "confirm", "run.h5", "--cause", "missing-zero-grad", "--steps", "60")
    assert other.returncode == 2 and "differ in --steps" in other.stderr
    (folder / "train.py").write_text(FAULTY + "\n# changed\n")
    changed = bnprobe(folder, "confirm", "run.h5", "--steps", "40")
    assert changed.returncode == 2 and "the script, which has changed" in changed.stderr
    (folder / "train.py").unlink()
    gone = bnprobe(folder, "confirm", "run.h5")
    assert gone.returncode == 2 and "is not there any more" in gone.stderr
