"""Scripts of all kinds under trial: schedules, tensor rates, seeds, errors."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.limits_file import Trial, read_limits
from tests.experiments.limits.conftest import QUADRATIC

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NOISY = """
import random, sys
import numpy as np, torch
torch.manual_seed(3); random.seed(3); np.random.seed(3)
model = torch.nn.Linear(3, 1)
optimizer = OPTIMIZER
scheduler = SCHEDULER
for step in range(30):
    inputs = torch.randn(8, 3) + random.random() + float(np.random.rand())
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    scheduler.step()
    print("after", step, [float(group["lr"]) for group in optimizer.param_groups], file=sys.stderr)
"""


def one_rate(lr_limit: Run, folder: Path, script: str, *options: str) -> dict[tuple[int, int], Trial]:
    """Try a script at a few rates; return the trials by seed and grid index."""
    (folder / "train.py").write_text(script)
    result = lr_limit("--remedy", "NONE", "--steps", "25", "-o", "limits.h5", *options, "train.py")
    assert result.returncode == 0, result.stderr
    return {(trial.seed, trial.grid_index): trial for trial in read_limits(folder / "limits.h5").trials}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        ("torch.optim.SGD(model.parameters(), lr=0.001)", "torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.002, total_steps=40)"),
        (
            "torch.optim.AdamW([{'params': [model.weight]}, {'params': [model.bias], 'lr': 2e-4}], lr=1e-3)",
            "torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))",
        ),
        (
            "torch.optim.Adam(model.parameters(), lr=torch.tensor(1e-3), capturable=False, foreach=False)",
            "torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)",
        ),
    ],
)
def test_the_rates_at_work_are_the_scripts_own_times_the_factor(lr_limit: Run, tmp_path: Path, optimizer: str, scheduler: str) -> None:
    trials = one_rate(
        lr_limit, tmp_path, NOISY.replace("OPTIMIZER", optimizer).replace("SCHEDULER", scheduler), "--seeds", "1", "--rates", "1e-3:6e-3"
    )
    own = trials[0, 0].rate
    assert len(own) == 25
    assert len(trials) > 1
    for trial in trials.values():
        count = len(trial.rate)
        np.testing.assert_allclose(trial.rate, own[:count] * trial.factor, rtol=1e-5)


@pytest.mark.slow
def test_seed_0_is_the_script_as_it_is_and_others_differ(lr_limit: Run, tmp_path: Path) -> None:
    plain = NOISY.replace("OPTIMIZER", "torch.optim.SGD(model.parameters(), lr=0.01)").replace(
        "SCHEDULER", "torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)"
    )
    (tmp_path / "alone.py").write_text(plain.replace("print(", "print(loss.item(), "))
    import sys

    alone = subprocess.run([sys.executable, "alone.py"], cwd=tmp_path, capture_output=True, text=True, check=True).stderr
    expected = [float(line.split()[0]) for line in alone.splitlines()][:25]
    trials = one_rate(lr_limit, tmp_path, plain, "--seeds", "3", "--rates", "0.008:0.011")
    losses = [trials[seed, 0].loss.tolist() for seed in range(3)]
    assert losses[0] == expected
    assert losses[0] != losses[1] != losses[2] != losses[0]


@pytest.mark.slow
def test_a_script_that_fails_is_told_with_its_last_lines(lr_limit: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        QUADRATIC.replace("MOMENTUM", "0").replace("    optimizer.step()", "    raise ValueError('no such data')")
    )
    result = lr_limit("-o", "limits.h5", "train.py")
    assert result.returncode == 1
    assert "bnprobe: the script gives no outcome at its own rate: the script ended with an error" in result.stderr
    assert "ValueError: no such data" in result.stderr
    (trial,) = read_limits(tmp_path / "limits.h5").trials
    assert trial.outcome == "failed"
    assert "line 17" in trial.output or "train.py" in trial.output


@pytest.mark.slow
def test_two_jobs_find_the_same_limits_as_one(lr_limit: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(QUADRATIC.replace("MOMENTUM", "0.0"))
    found = {}
    for jobs in ("1", "2"):
        result = lr_limit("--remedy", "NONE", "--remedy", "clip-norm", "--seeds", "1", "--jobs", jobs, "-o", f"{jobs}.h5", "train.py")
        assert result.returncode == 0, result.stderr
        found[jobs] = {(trial.remedy, trial.grid_index, trial.outcome) for trial in read_limits(tmp_path / f"{jobs}.h5").trials}
    assert found["1"] == found["2"]


CLINGING = """
import atexit, threading, time
import torch

atexit.register(time.sleep, 1000)
threading.Thread(target=time.sleep, args=(1000,)).start()
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(100000):
    inputs = torch.randn(8, 3)
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
    optimizer.zero_grad(); loss.backward()
    try:
        optimizer.step()
    except BaseException:
        CATCH
"""


@pytest.mark.slow
@pytest.mark.parametrize("catch", ["pass", "raise"])
def test_a_script_that_will_not_end_is_ended(lr_limit: Run, tmp_path: Path, catch: str) -> None:
    trials = one_rate(lr_limit, tmp_path, CLINGING.replace("CATCH", catch), "--seeds", "1", "--rates", "0.009:0.011")
    (trial,) = trials.values()
    assert trial.outcome != "failed", trial.reason
    assert trial.steps == 25
