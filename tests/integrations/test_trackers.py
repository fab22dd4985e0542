"""What a tracker is told of a run, read back by the libraries of the trackers; `.ci/run` installs them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer

from bnprobe.analyse.views import RunView
from bnprobe.cli.track import _wait_beside
from bnprobe.diagnose import diagnose
from bnprobe.errors import BnprobeError, UsageError
from bnprobe.integrations.trackers import check
from bnprobe.integrations.trackers.feed import Feed
from bnprobe.store.reader import read_run
from tests import synthetic_runs


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[dict[str, float]] = []
        self.findings: list[str] = []
        self.verdict = ""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.steps.append(step)
        self.values.append(dict(values))

    def finding(self, step: int, name: str, text: str) -> None:
        assert step == self.steps[-1]
        self.findings.append(name)

    def close(self, verdict: str) -> None:
        self.verdict = verdict


def test_every_step_and_finding_is_told_once_and_in_order(tmp_path: Path) -> None:
    told = Told()
    feed = Feed(told)
    half = RunView.of(read_run(synthetic_runs.exploding_recording(steps=10).write(tmp_path / "half.h5")))
    whole = RunView.of(read_run(synthetic_runs.exploding_recording(steps=18).write(tmp_path / "whole.h5")))
    for run in (half, half, whole, whole):
        feed.take(run)
    feed.close(whole)
    assert told.steps == list(range(18))
    assert len(told.findings) == len(set(told.findings))
    assert diagnose(whole).verdict.id in told.findings
    assert diagnose(whole).verdict.id in told.verdict


def test_the_largest_of_the_layers_is_that_of_the_file(tmp_path: Path) -> None:
    run = RunView.of(read_run(synthetic_runs.healthy(tmp_path / "run.h5")))
    told = Told()
    Feed(told).take(run)
    row = int(np.flatnonzero(run.observed())[-1])
    assert told.values[row]["bnprobe/largest activation rms"] == np.nanmax(run["activation_rms"][row])
    assert told.values[row]["bnprobe/loss"] == run["loss"][row]
    assert not any(math.isnan(value) for values in told.values for value in values.values())


def test_an_unknown_tracker_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match="no tracker 'neptune'") as told:
        check("neptune:x")
    assert "tensorboard, wandb, mlflow" in str(told.value.hint)


def test_a_library_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("wandb", "mlflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "mlflow.py").write_text("raise AssertionError('imported')")
    check("mlflow")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "wandb").mkdir()  # what the tracker itself leaves behind
    with pytest.raises(BnprobeError, match="needs wandb") as told:
        check("wandb")
    assert told.value.hint == "pip install 'wandb'"


def test_an_earlier_file_of_that_name_is_not_the_recorders(tmp_path: Path) -> None:
    run = synthetic_runs.healthy(tmp_path / "run.h5")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(typer.Exit):
        _wait_beside(run, gone.pid)
    with h5py.File(run, "a") as file:
        file.attrs["pid"] = gone.pid
    _wait_beside(run, gone.pid)


def track(run: Path, to: str, **environment: str) -> str:
    command = [sys.executable, "-m", "bnprobe", "track", str(run), "--to", to]
    done = subprocess.run(
        command, cwd=run.parent, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = synthetic_runs.healthy(tmp_path / "run.h5")
    with h5py.File(run, "a") as file:
        file.attrs.update(rank="1", world_size="2")
    assert "rank 1 of 2" in track(run, f"tensorboard:{tmp_path / 'runs'}")
    read = accumulator.EventAccumulator(str(tmp_path / "runs" / "run"))
    read.Reload()
    losses = [(event.step, event.value) for event in read.Scalars("bnprobe/loss")]
    assert losses == [(step, pytest.approx(loss)) for step, loss in enumerate(read_run(run)["loss"])]


@pytest.mark.slow
def test_wandb_takes_it_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    track(synthetic_runs.exploding(tmp_path / "run.h5"), "wandb:p", WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert b"bnprobe/loss" in written and b"bnprobe/verdict" in written


@pytest.mark.slow
def test_mlflow_reads_it(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    run = synthetic_runs.exploding(tmp_path / "run.h5")
    track(run, f"mlflow:{(tmp_path / 'store').as_uri()}")
    client = mlflow.MlflowClient((tmp_path / "store").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("bnprobe").experiment_id])
    losses = {metric.step: metric.value for metric in client.get_metric_history(found.info.run_id, "bnprobe/loss")}
    recorded = read_run(run)["loss"]
    assert losses == {step: loss for step, loss in enumerate(recorded) if not math.isnan(loss)}
    assert diagnose(read_run(run)).verdict.id in found.data.tags["bnprobe.verdict"]
    assert found.info.status == "FINISHED"


@pytest.mark.slow
def test_a_training_is_tracked_while_it_is_recorded_and_not_changed(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (tmp_path / "train.py").write_text(
        "import os, time, torch\n"
        "torch.manual_seed(0)\n"
        "model = torch.nn.Linear(3, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for step in range(30):\n"
        "    loss = model(torch.randn(8, 3)).pow(2).mean()\n"
        "    optimizer.zero_grad(); loss.backward(); optimizer.step()\n"
        "    time.sleep(0.1)\n"
        "try: os.wait()\n"
        "except ChildProcessError: print('no child')\n"
        "print(loss.item().hex())\n"
    )
    plain = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", "run.h5", "--track", f"tensorboard:{tmp_path / 'runs'}", "train.py"]
    recorded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert recorded.stdout == plain.stdout
    end = time.monotonic() + 60
    while time.monotonic() < end:
        read = accumulator.EventAccumulator(str(tmp_path / "runs" / "run"))
        if (tmp_path / "runs" / "run").exists() and "bnprobe/verdict" in read.Reload().Tags()["tensors"]:
            break
        time.sleep(0.5)
    assert [event.step for event in read.Scalars("bnprobe/loss")] == list(range(30))
