"""Which executor is asked for, with what, and what is said where it is not there."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bnprobe.cli.app import app
from bnprobe.cli.compare import _executors
from bnprobe.errors import UsageError
from bnprobe.experiments import process
from bnprobe.experiments.executors import devices, local
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.slurm import CLUSTER
from bnprobe.experiments.order import Change, Script, TrialOrder
from tests.comparison_trials import comparison

COMMANDS = ["lr-limit", "compare", "confirm"]


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_one_sentence_with_the_command(executor: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"needs the package {package}, which is not installed") as told, Resources(executor).open():
        pass
    assert told.value.hint == f"pip install 'bnprobe[{executor}]'"


def test_this_machine_needs_neither() -> None:
    code = (
        "import sys; from bnprobe.experiments.executors.catalogue import Resources\n"
        "with Resources('local', 2).open(): print(sorted({'ray', 'submitit', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_executor_is_refused_before_the_first_trial(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command, "--executor", "condor", "train.py"])
    assert "--executor is 'condor', expected one of local, ray, slurm" in result.output + str(result.exception)
    assert [one.name for one in tmp_path.iterdir()] == ["train.py"]


def test_where_there_is_no_slurm_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(CLUSTER, raising=False)
    with pytest.raises(UsageError, match="there is no SLURM here"), Resources("slurm").open():
        pass


def test_trials_share_the_cores_of_this_machine_and_are_told_theirs_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    alone = Resources(jobs=1)
    assert not alone.is_shared_out and alone.threads >= 1
    assert Resources(jobs=1, cpus=3).threads == 3
    assert (Resources("ray").at_once, Resources("ray").threads) == (8, 2)
    assert Resources("slurm", 24, 4, 1).options == ["--executor", "slurm", "--jobs", "24", "--cpus-per-trial", "4", "--gpus-per-trial", "1"]
    assert Resources().options == []


@pytest.mark.parametrize(("environment", "threads"), [("5", 5), ("6,2", 6), ("", 2), ("0", 2), ("many", 2)])
def test_threads_are_those_of_the_option_else_of_the_environment(
    environment: str, threads: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    assert Resources("slurm").threads == threads
    assert Resources("slurm", cpus=3).threads == Resources(cpus=3).threads == 3
    order = TrialOrder(Script("train.py", False, ()), Change(), 1, 3, command="compare")
    started: list[dict[str, str]] = []
    monkeypatch.setattr(process.subprocess, "Popen", lambda *_, env, **__: started.append(env))
    process.TrialProcess(order, tmp_path / "told")
    process.TrialProcess(dataclasses.replace(order, threads=None), tmp_path / "untold")
    assert [one["OMP_NUM_THREADS"] for one in started] == ["3", environment]


def test_a_file_of_comparisons_remembers_who_made_its_trials() -> None:
    assert _executors(None, Resources("ray")) == "ray"
    assert _executors(comparison(), Resources()) == "local"
    assert _executors(comparison(), Resources("slurm")) == "local and slurm"
    assert _executors(comparison(executor="local and slurm"), Resources("slurm")) == "local and slurm"


def test_each_trial_has_gpus_that_no_other_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Process:
        def __init__(self, order: TrialOrder, folder: Path, environment: Mapping[str, str]) -> None:
            self.shown = environment[devices.VISIBLE]
            self.over = False

        def is_over(self) -> bool:
            return self.over

    monkeypatch.setattr(local, "TrialProcess", Process)
    monkeypatch.setenv(devices.VISIBLE, "4, 5,6,7,8")
    assert Resources(jobs=9, gpus=2).at_once == 2
    order = TrialOrder(Script("train.py", False, ()), Change(), 1, 1, command="compare")
    with Resources(jobs=9, gpus=2).open() as executor:
        first, second = executor.start(order, tmp_path / "1"), executor.start(order, tmp_path / "2")
        assert isinstance(first, Process) and isinstance(second, Process)
        assert (first.shown, second.shown) == ("4,5", "6,7")
        first.over = True
        third = executor.start(order, tmp_path / "3")
        assert isinstance(third, Process) and third.shown == "4,5"
    monkeypatch.setenv(devices.VISIBLE, "-1")
    with pytest.raises(UsageError, match="of this machine's GPUs, 0 can be seen"):
        _ = Resources(gpus=1).at_once
