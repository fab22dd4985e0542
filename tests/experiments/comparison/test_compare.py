"""The command on scripts, as a person would type it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bnprobe.cli.app import app
from bnprobe.errors import RunFileError
from bnprobe.store.comparison_file import Trial, read_comparison
from tests.processes import processes_of

SCRIPT = """
import time
import torch
import torch.nn.functional as F

torch.manual_seed(3)
inputs = torch.randn(400, 8)
labels = (inputs @ torch.randn(8, 3)).argmax(1)
training, test = (inputs[:300], labels[:300]), (inputs[300:], labels[300:])
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for step in range(STEPS):
    chosen = torch.randint(300, (32,))
    loss = F.cross_entropy(model(training[0][chosen]), training[1][chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(PAUSE)
model.eval()
with torch.no_grad():
    total = right = 0
    for x, y in zip(test[0].split(32), test[1].split(32)):
        output = model(x)
        total += F.cross_entropy(output, y, reduction="sum").item()
        right += (output.argmax(1) == y).sum().item()
print(f"test loss {total / 100:.9f} accuracy {right / 100:.9f}")
"""
OPTIONS = ["--remedy", "layer-norm", "--remedy", "msr", "--seeds", "2", "--search-steps", "20", "-o", "c.h5"]


def write_script(folder: Path, steps: int = 40, pause: float = 0.0) -> None:
    (folder / "train.py").write_text(SCRIPT.replace("STEPS", str(steps)).replace("PAUSE", str(pause)))


def compare(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bnprobe", "compare", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.slow
def test_a_comparison_from_its_first_trial_to_its_page(tmp_path: Path) -> None:
    write_script(tmp_path)
    metric = ["--metric", r"accuracy ([0-9.]+)"]
    result = compare(tmp_path, *OPTIONS, *metric, "--json", "train.py")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    none, layer_norm, msr = found["techniques"]
    assert [one["technique"] for one in found["techniques"]] == ["NONE", "layer-norm", "msr"]
    assert msr["why_not"].startswith("not possible here") and "convolution" in msr["why_not"]
    for row in (none, layer_norm):
        assert row["trained"] == 2 and row["step_ratio"]["mean"] > 0 and row["peak_bytes"]["mean"] > 0
        # What the script prints is what was captured, at every seed.
        assert row["held_out_accuracy"]["values"] == pytest.approx(row["metric"]["values"], abs=1e-9)
        assert len(set(row["held_out_loss"]["values"])) == 2, "another seed is another training"
    whole = [one for one in found["trials"] if one["length"] is None]
    assert all(one["held_out_samples"] == 100 and one["held_out_step"] == one["steps"] == 40 for one in whole if one["outcome"] == "trains")
    assert any("torch.manual_seed(3) was" in sentence for sentence in found["caveats"])
    assert (tmp_path / "c.html").read_text(encoding="utf-8").count("layer-norm") > 3
    # The script alone, at its own rate and seed, prints what its trial has, if that rate was tried.
    alone = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = [float(number) for number in re.findall(r"[0-9]\.[0-9]+", alone)]
    own = [one for one in whole if (one["technique"], one["seed"]) == ("NONE", 0) and one["rate"] == pytest.approx(0.5)]
    for one in own:
        assert one["held_out_loss"] == pytest.approx(expected[0], rel=1e-6) and one["held_out_accuracy"] == expected[1]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["c.h5", "c.html", "train.py"], "a trial leaves nothing"
    # More of it may be asked for: what was made stays.
    more = compare(tmp_path, *OPTIONS, "--remedy", "clip-norm", *metric, "train.py")
    assert more.returncode == 0, more.stderr
    assert f"{len(found['trials'])} trainings were made before" in more.stderr and "clip-norm" in more.stdout
    assert len(read_comparison(tmp_path / "c.h5").trials) > len(found["trials"])


def wait_for_trials(folder: Path, count: int) -> list[Trial]:
    """Wait until so many trials are in the file and another one is under way."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            trials = list(read_comparison(folder / "c.h5").trials)
        except RunFileError:
            trials = []
        if len(trials) >= count and list(folder.glob(".c.h5.trials/trial-*/run.h5")):
            return trials
        time.sleep(0.2)
    raise AssertionError(f"no {count} trials in time")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_comparison_goes_on_where_it_was(number: int, tmp_path: Path) -> None:
    write_script(tmp_path, steps=25, pause=0.05)
    options = ["--remedy", "none", "--seeds", "2", "--steps", "25", "--search-steps", "20", "-o", "c.h5", "train.py"]
    command = subprocess.Popen(
        [sys.executable, "-m", "bnprobe", "compare", *options], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for_trials(tmp_path, 1)
    command.send_signal(number)
    _, told = command.communicate(timeout=60)
    assert command.returncode == (-9 if number == signal.SIGKILL else 130)
    time.sleep(0.5)
    assert processes_of(tmp_path) == []
    kept = list(read_comparison(tmp_path / "c.h5").trials)
    if number != signal.SIGKILL:
        assert "to go on: bnprobe compare --remedy none" in told
        assert not list(tmp_path.glob(".c.h5*"))
    result = compare(tmp_path, *options)
    assert result.returncode == 0, result.stderr
    assert f"{len(kept)} trainings were made before and are not repeated" in result.stderr
    found = read_comparison(tmp_path / "c.h5")
    assert [(one.grid_index, one.length, one.seconds) for one in found.trials[: len(kept)]] == [
        (one.grid_index, one.length, one.seconds) for one in kept
    ]
    made = [(one.remedy, one.seed, one.grid_index, one.length) for one in found.trials]
    assert len(set(made)) == len(made), "nothing is made twice"
    assert found.attributes["status"] == "finished" and not list(tmp_path.glob(".c.h5*"))
    compare(tmp_path, *options)
    assert len(read_comparison(tmp_path / "c.h5").trials) == len(made), "a finished comparison makes no trial"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--remedy", "msrr"], "no remedy 'msrr'"),
        (["--metric", "loss ("], "is no regular expression"),
        (["--metric", "loss"], "has no group"),
        (["--steps", "3"], "greater than or equal to 20"),
        (["-o", "train.py"], "holds no compared techniques"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_first_trial(
    options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_script(tmp_path)
    result = CliRunner().invoke(app, ["compare", *options, "train.py"])
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)
    assert not list(tmp_path.glob(".*trials"))
