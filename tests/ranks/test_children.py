"""Trainings in processes that the script starts: recorded where that is asked for, named where it is not, and never changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from bnprobe.diagnose.ranks import between
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.processes import IN_CHILDREN
from bnprobe.ranks import read_trainings
from bnprobe.store.reader import read_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Launch = Callable[..., Any]


def weights(stdout: str) -> list[str]:
    return sorted(re.findall(r"weights \d [-+.\de]+", stdout))


@pytest.mark.parametrize(
    ("how", "files", "trainings"),
    [
        ("spawn", ["run.rank0.h5", "run.rank1.h5"], [2]),
        ("fork", ["run.rank0.h5", "run.rank1.h5"], [2]),
        ("again", ["run.h5", "run.rank1.h5"], [2]),
        ("apart", ["run.child1.h5", "run.child2.h5"], [0, 0]),
    ],
)
def test_children_are_recorded_and_train_the_same(launch: Launch, how: str, files: list[str], trainings: list[int]) -> None:
    recorded = launch("children.py", how, options=("--children", "--strict"))
    plain = launch("children.py", how, options=None, folder="plain")
    assert recorded.status == plain.status == 0, recorded.stderr + plain.stderr
    assert weights(recorded.stdout) == weights(plain.stdout) != []
    assert [file.name for file in recorded.files] == files
    found = read_trainings(recorded.files)
    assert [len(run.ranks) for run in found] == trainings
    assert [(run.steps, run.status) for run in found] == [(20, "finished")] * len(trainings)
    assert f"bnprobe report {' '.join(files)}" in recorded.stderr
    assert not list(recorded.folder.glob(".*.lock"))
    if how == "spawn":
        assert found[0]["batch_size"].tolist() == [16] * 20
        told = between(RunAnalysis(found[0]))
        assert told is not None
        assert (told.standing, told.remarks) == ("2 ranks merged", ())


def test_processes_that_share_weights_are_ranks(launch: Launch) -> None:
    recorded = launch("children.py", "hogwild", options=("--children",))
    assert [file.name for file in recorded.files] == ["run.child1.h5", "run.child2.h5"], recorded.stderr
    [run] = read_trainings(recorded.files)
    told = between(RunAnalysis(run))
    assert told is not None
    assert told.standing == "2 ranks merged"
    assert "weights-apart" not in {one.id for one in told.remarks}


def test_a_recording_that_a_script_starts_is_left_to_itself(launch: Launch) -> None:
    recorded = launch("children.py", "records", options=("--children",))
    assert recorded.status == 0, recorded.stderr
    assert "status 0" in recorded.stdout, recorded.stderr
    assert [file.name for file in recorded.files] == ["run.h5", "run_inner.h5"]
    assert [read_run(file).steps for file in recorded.files] == [20, 20]
    told = f"this process was started by a script that is recorded to {recorded.folder / 'run.h5'}: what it trains is in run_inner.h5 alone"
    assert told in recorded.stderr


def test_a_script_that_trains_in_another_python_alone(launch: Launch) -> None:
    recorded = launch("children.py", "elsewhere", options=("--children",))
    assert [file.name for file in recorded.files] == ["run.child1.h5"], recorded.stderr
    assert "layers to run.child1.h5" in recorded.stderr
    assert "nothing was recorded" not in recorded.stderr


def test_a_child_that_is_killed(launch: Launch) -> None:
    recorded = launch("children.py", "spawn", "killed", options=("--children",))
    assert recorded.status != 0
    [run] = read_trainings(recorded.files)
    assert sorted(rank.attributes["rank"] for rank in run.ranks) in (["0", "1"], []), recorded.stderr
    assert [file.name for file in recorded.files] == ["run.rank0.h5", "run.rank1.h5"]
    assert read_run(recorded.files[1]).status == "running"


def test_children_that_are_not_recorded_are_named(launch: Launch) -> None:
    recorded = launch("children.py", "spawn")
    assert recorded.status == 0, recorded.stderr
    [file] = recorded.files
    [gap] = [gap for gap in read_run(file).gaps if gap.subject == IN_CHILDREN]
    assert gap.reason.startswith("2 processes that the script started took ")
    assert gap.reason.endswith("if they train: bnprobe record --children")
    assert gap.reason in recorded.stderr


def test_a_rank_whose_others_are_not_recorded_says_so(launch: Launch) -> None:
    recorded = launch("children.py", "again")
    [run] = read_trainings(recorded.files)
    assert (run.attributes["rank"], run.attributes["world_size"], run.steps) == ("0", "2", 20)
    assert any("this is one of 2 ranks" in gap.reason for gap in run.gaps if gap.subject == IN_CHILDREN)
