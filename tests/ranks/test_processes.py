"""Ranks as real processes over gloo, started by torchrun."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bnprobe.diagnose.ranks import Between, between
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.ranks import read_trainings
from bnprobe.store.reader import Run
from tests.ranks.agreement import AT_LEAST, worst_disagreement

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Launch = Callable[..., Any]


def merged(launched: Any) -> tuple[Run, Between]:
    [run] = read_trainings(launched.files)
    found = between(RunAnalysis(run))
    assert found is not None
    return run, found


def remarks(found: Between) -> dict[str, str]:
    return {one.id: f"{one.severity}: {one.text}" for one in found.remarks}


def weights(stdout: str) -> list[str]:
    return sorted(re.findall(r"weights \d [-+.\de]+", stdout))


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_merged_are_one_process_and_train_the_same(launch: Launch, ranks: int) -> None:
    recorded = launch("data_parallel.py", ranks=ranks)
    plain = launch("data_parallel.py", ranks=ranks, options=None, folder="plain")
    assert recorded.status == plain.status == 0, recorded.stderr + plain.stderr
    assert weights(recorded.stdout) == weights(plain.stdout) != []
    assert [file.name for file in recorded.files] == [f"run.rank{rank}.h5" for rank in range(ranks)]
    assert "bnprobe report run.rank*.h5" in recorded.stderr
    one = launch("data_parallel.py", folder="one")
    run, found = merged(recorded)
    [whole] = read_trainings(one.files)
    worst, compared = worst_disagreement(run, whole)
    assert compared >= AT_LEAST
    assert worst[0] < 1e-6, worst
    assert found.standing == f"{ranks} ranks merged"
    assert remarks(found) == {}
    shown = subprocess.run(
        [sys.executable, "-m", "bnprobe", "report", *map(str, recorded.files)], capture_output=True, text=True, timeout=240, check=False
    )
    assert f"run: {ranks} ranks merged" in shown.stdout, shown.stderr
    assert f"{ranks} ranks merged." in (recorded.folder / "run.html").read_text(encoding="utf-8")


def test_rank_0_alone(launch: Launch) -> None:
    recorded = launch("data_parallel.py", ranks=2, options=("--ranks", "0"))
    assert recorded.status == 0, recorded.stderr
    assert [file.name for file in recorded.files] == ["run.h5"]
    [run] = read_trainings(recorded.files)
    assert not run.ranks


def test_the_rank_that_began_it_is_named(launch: Launch) -> None:
    run, found = merged(launch("data_parallel.py", "nan", ranks=2))
    assert remarks(found)["first-nonfinite"].startswith("error: Rank 1 began it: gradient not finite at step 6")
    assert [line.nonfinite.step for line in found.lines if line.nonfinite is not None] == [7, 6]
    assert run.ranks[1].attributes.keys() >= {"local_nonfinite"}
    assert "local_nonfinite" not in run.ranks[0].attributes or '"step": 6' not in str(run.ranks[0].attributes["local_nonfinite"])


def test_the_rank_that_began_it_is_named_at_a_step_that_was_not_measured(launch: Launch) -> None:
    _, found = merged(launch("data_parallel.py", "nan", ranks=2, options=("--every", "5")))
    assert remarks(found)["first-nonfinite"].startswith("error: Rank 1 began it: gradient not finite at step 6")


def test_a_missing_sampler(launch: Launch) -> None:
    _, found = merged(launch("data_parallel.py", "same", ranks=2))
    assert remarks(found)["same-batches"].startswith("warning: Both ranks were given the same batches")


def test_ranks_that_train_apart(launch: Launch) -> None:
    _, found = merged(launch("data_parallel.py", "apart", ranks=2))
    assert remarks(found)["weights-apart"].startswith("warning: The ranks do not hold the same weights from step 0 on")


def test_a_rank_that_is_killed(launch: Launch) -> None:
    recorded = launch("data_parallel.py", "killed", ranks=2)
    assert recorded.status != 0
    run, found = merged(recorded)
    assert found.standing == "2 ranks merged"
    assert run.ranks[1].status == "running"
    together = [run["ranks_merged"].tolist().count(count) for count in (2, 1)]
    assert together[0] > 0
    assert sum(together) == run.steps <= 13


def test_a_rank_without_a_training(launch: Launch) -> None:
    recorded = launch("data_parallel.py", "nothing", ranks=2)
    assert recorded.status == 0, recorded.stderr
    run, found = merged(recorded)
    assert run.steps == 20
    assert "rank 1 recorded no step" in remarks(found)["unequal-ends"]
