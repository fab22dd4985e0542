"""What SLURM is told of a job, with an `sbatch` that writes it down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnprobe.errors import BnprobeError
from bnprobe.experiments.executors import slurm
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.order import Change, Script, TrialOrder

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'bnprobe[slurm]'")
ORDER = TrialOrder(Script("train.py", False, ()), Change(), None, 3, command="lr-limit")
SBATCH = """#!/bin/sh
echo call >> {folder}/calls
[ "$(wc -l < {folder}/calls)" -gt {refused} ] || {{ {refusal}; }}
cp "$1" {folder}/script
env > {folder}/environment
echo Submitted batch job 7
"""


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv(slurm.CLUSTER, raising=False)
    monkeypatch.setattr(slurm, "_AGAIN_SECONDS", 0.0)
    write(tmp_path)
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    with Resources("slurm").open() as opened:
        yield opened


def write(folder: Path, refused: int = 0, refusal: str = "") -> None:
    (folder / "sbatch").write_text(SBATCH.format(folder=folder, refused=refused, refusal=refusal or "exit 1"))
    (folder / "sbatch").chmod(0o755)


def test_a_job_has_the_processors_of_its_trial_and_is_never_started_again(executor: Executor, tmp_path: Path) -> None:
    executor.start(ORDER, tmp_path / "trial-1")
    lines = (tmp_path / "script").read_text().splitlines()
    assert {"#SBATCH --cpus-per-task=3", "#SBATCH --no-requeue"} <= set(lines)
    [started] = [line for line in lines if line.startswith("srun ")]
    assert " --cpus-per-task=3 " in started


def test_a_job_knows_nothing_of_the_one_that_submits_it(executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"SBATCH_PARTITION": "gpu", "SLURM_CONF": "/etc/slurm.conf", "RANK": "0", "OF_THE_COMMAND": "1"}
    for name, value in {**told, "SLURM_JOB_ID": "6", "SLURM_CPUS_PER_TASK": "64", "SRUN_DEBUG": "3"}.items():
        monkeypatch.setenv(name, value)
    executor.start(ORDER, tmp_path / "trial-1")
    found = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines() if "=" in line)
    assert {name: found.get(name) for name in told} == told
    assert not {"SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SRUN_DEBUG"} & set(found)
    assert os.environ["SLURM_JOB_ID"] == "6"


@pytest.mark.parametrize(
    ("refusal", "what"),
    [
        ("echo Socket timed out >&2; exit 1", "SLURM does not take the job: .*Socket timed out"),
        ("echo busy; exit 0", "sbatch output .busy"),
    ],
)
def test_what_slurm_does_not_take_is_submitted_once_more(executor: Executor, tmp_path: Path, refusal: str, what: str) -> None:
    write(tmp_path, refused=1, refusal=refusal)
    executor.start(ORDER, tmp_path / "trial-1")
    assert (tmp_path / "script").exists()
    write(tmp_path, refused=9, refusal=refusal)
    with pytest.raises(BnprobeError, match=what):
        executor.start(ORDER, tmp_path / "trial-2")
    assert (tmp_path / "calls").read_text().count("call") == 4
