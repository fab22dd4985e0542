"""Ray with two nodes, and submitit on this machine: the same file as without them, and nothing lost, twice or left, whatever dies."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bnprobe.store.comparison_file import WHOLE, read_comparison
from bnprobe.store.limits_file import Limits, read_limits
from tests.experiments.comparison.test_compare import write_script
from tests.experiments.limits.conftest import QUADRATIC
from tests.processes import processes_of

Cluster = tuple[str, dict[str, str]]
ROOT = Path(__file__).parents[3]
#: Says which number it was given, as soon as a file is gone.
SCRIPT = """
import sys, time
from pathlib import Path
while Path(GATE).exists():
    time.sleep(0.05)
print("number", sys.argv[1])
"""
SETTINGS = ["steps", "seeds", "jobs", "threads", "rates", "remedies", "script_digest", "status"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    (folder / "train.py").write_text(QUADRATIC.replace("MOMENTUM", "0.0"))
    lr_limit(folder, "local.h5", dict(os.environ))
    return folder


def lr_limit(folder: Path, file: str, environment: dict[str, str], *options: str) -> None:
    command = [sys.executable, "-m", "bnprobe", "lr-limit", "--remedy", "NONE", "--seeds", "1", "--steps", "20", "--rates", "0.02:0.05"]
    command += ["--jobs", "2", "--cpus-per-trial", "1", *options, "-o", file, "train.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr


def numbers_of(limits: Limits) -> tuple[Any, ...]:
    """All that a file holds but when, and how fast."""
    trials = [{key: value for key, value in dataclasses.asdict(one).items() if key != "seconds"} for one in limits.trials]
    return trials, [dataclasses.asdict(one) for one in limits.predictions], {name: limits.attributes[name] for name in SETTINGS}


def test_the_file_is_that_of_this_machine_to_the_last_number(cluster: Cluster, made_here: Path) -> None:
    executor, environment = cluster
    lr_limit(made_here, f"{executor}.h5", environment, "--executor", executor)
    here, there = read_limits(made_here / "local.h5"), read_limits(made_here / f"{executor}.h5")
    assert len(here.trials) == 2 and all(len(one.loss) == 20 for one in here.trials)
    np.testing.assert_equal(numbers_of(there), numbers_of(here))
    assert not list(made_here.glob(".*")), "nothing is left beside the file"


@pytest.fixture(scope="module")
def compared_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    write_script(folder, steps=30)
    compare(folder, "local.h5", dict(os.environ))
    return folder


def compare(folder: Path, file: str, environment: dict[str, str], *options: str) -> None:
    command = [sys.executable, "-m", "bnprobe", "compare", "--remedy", "clip-norm", "--seeds", "1", "--search-steps", "20"]
    command += ["--jobs", "2", "--cpus-per-trial", "1", *options, "-o", file, "train.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr


def comparison_of(path: Path) -> list[dict[str, Any]]:
    """What a comparison holds of each trial but its costs, in an order that does not depend on which ended first."""
    trials = [dataclasses.asdict(one) for one in read_comparison(path).trials]
    costs = ("seconds", "step_seconds", "peak_bytes", "device_bytes")
    kept = [{key: value for key, value in one.items() if key not in costs} for one in trials]
    return sorted(kept, key=lambda one: (one["remedy"], one["seed"], one["length"], one["grid_index"]))


def test_a_comparison_goes_to_its_end_and_has_the_numbers_of_this_machine(cluster: Cluster, compared_here: Path) -> None:
    executor, environment = cluster
    compare(compared_here, f"{executor}.h5", environment, "--executor", executor)
    here, there = comparison_of(compared_here / "local.h5"), comparison_of(compared_here / f"{executor}.h5")
    assert {one["remedy"] for one in here} == {"NONE", "clip-norm"}
    assert any(one["length"] == WHOLE and one["held_out_samples"] == 100 and len(one["loss"]) == 30 for one in here)
    np.testing.assert_equal(there, here)
    assert not list(compared_here.glob(".*")), "nothing is left beside the file"


@pytest.fixture
def gate() -> Iterator[Path]:
    """A file that trials wait for to go; under /dev, which a trial sees as it is."""
    path = Path("/dev/shm", f"bnprobe-test-{uuid.uuid4().hex}")
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def numbered(folder: Path, gate: Path, cluster: Cluster, count: int) -> subprocess.Popen[str]:
    """Start a plan of numbered trials, which wait at the gate."""
    executor, environment = cluster
    (folder / "trial.py").write_text(SCRIPT.replace("GATE", repr(str(gate))))
    command = [sys.executable, "-m", "tests.experiments.executors.numbered", "--executor", executor, "--count", str(count)]
    path = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [*command, "results.jsonl", "trial.py"],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not in time")


def attempts(folder: Path) -> list[psutil.Process]:
    """The processes of this folder's attempts whose trials run."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "bnprobe.experiments.executors.attempt" in words and words[-1].startswith(str(folder)) and process.children():
                found.append(process)
        except psutil.Error:
            continue
    return found


def both_run(folder: Path) -> Callable[[], list[psutil.Process]]:
    def look() -> list[psutil.Process]:
        found = attempts(folder)
        return found if len(found) == 2 else []

    return look


@pytest.mark.parametrize("victim", ["worker", "attempt"])
def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_twice(cluster: Cluster, victim: str, gate: Path, tmp_path: Path) -> None:
    command = numbered(tmp_path, gate, cluster, 3)
    first = wait_for(both_run(tmp_path), "two trials")[0]
    (first.parent() if victim == "worker" else first).kill()
    wait_for(lambda: list(tmp_path.glob(".results.jsonl.trials/*/attempt-2-*/taken")), "a second attempt")
    gate.unlink()
    _, told = command.communicate(timeout=200)
    assert command.returncode == 0, told
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert sorted(one["number"] for one in results) == [0, 1, 2]
    assert all(one["said"] == [f"number {one['number']}"] for one in results)
    assert sorted(one["begun"] for one in results) == [1, 1, 2]
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_experiment_leaves_no_process_and_no_folder(cluster: Cluster, number: int, gate: Path, tmp_path: Path) -> None:
    command = numbered(tmp_path, gate, cluster, 3)
    wait_for(both_run(tmp_path), "two trials")
    command.send_signal(number)
    _, told = command.communicate(timeout=100)
    assert "KeyboardInterrupt" in told
    nothing_is_left(tmp_path)


def test_what_a_killed_command_left_is_ended_by_the_next(cluster: Cluster, gate: Path, tmp_path: Path) -> None:
    killed = numbered(tmp_path, gate, cluster, 2)
    old = {one.pid for one in wait_for(both_run(tmp_path), "two trials")}
    killed.kill()
    killed.wait(60)
    assert killed.stderr is not None
    killed.stderr.close()  # its jobs still hold the other end
    command = numbered(tmp_path, gate, cluster, 2)

    def only_new_ones_run() -> bool:
        running = {one.pid for one in attempts(tmp_path)}
        return len(running) == 2 and not running & old

    wait_for(only_new_ones_run, "the end of the old trials, and two new ones")
    gate.unlink()
    _, told = command.communicate(timeout=200)
    assert command.returncode == 0, told
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert sorted(one["number"] for one in results) == [0, 1]
    nothing_is_left(tmp_path)


def nothing_is_left(folder: Path) -> None:
    wait_for(lambda: not processes_of(folder), f"an end of {processes_of(folder)}")
    assert {one.name for one in folder.iterdir()} <= {"trial.py", "results.jsonl"}
