"""Ranks of which one is killed, and which are started again from their checkpoint: each goes on in its file, and the files are one run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnprobe.diagnose.ranks import between
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.ranks import read_trainings
from bnprobe.store.reader import read_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Launch = Callable[..., Any]
RESUME = ("--resume", "run.h5")
STEPS, KEPT = 50, 20


def weights(stdout: str) -> list[str]:
    return sorted(re.findall(r"weights \d [-+.\de]+", stdout))


def test_ranks_go_on_in_their_files_and_merge(launch: Launch) -> None:
    # GIVEN two ranks that were started with --resume, of which one was killed between two checkpoints
    killed = launch("checkpointed.py", "killed", ranks=2, options=RESUME, output=None)
    assert killed.status != 0
    assert [file.name for file in killed.files] == ["run.rank0.h5", "run.rank1.h5"], killed.stderr
    assert [read_run(file).status for file in killed.files][1] == "running"
    assert all(read_run(file).steps > KEPT for file in killed.files)
    # WHEN the same command is typed again
    again = launch("checkpointed.py", ranks=2, options=RESUME, output=None)
    # THEN each goes on in its file, at the step of the checkpoint
    assert again.status == 0, again.stderr
    assert "going on in run.rank0.h5; each of 2 ranks to a file of its own" in again.stderr
    assert f"goes on at step {KEPT} (its weights are those of that step)" in again.stderr
    assert [file.name for file in again.files] == ["run.rank0.h5", "run.rank1.h5"]
    [run] = read_trainings(again.files)
    assert [[one.step for one in rank.resumptions] for rank in run.ranks] == [[KEPT], [KEPT]]
    [survivor], [victim] = ([one.ended for one in rank.resumptions] for rank in run.ranks)
    # The launcher ends the survivor, which may have seen its group fail before.
    assert survivor in ("crashed", "interrupted") and victim == "running"
    told = between(RunAnalysis(run))
    assert told is not None
    assert (told.standing, told.remarks) == ("2 ranks merged", ())
    assert (run.status, run.problems, run["step"].tolist()) == ("finished", [], list(range(STEPS)))
    # AND has trained, and recorded, what ranks do that nobody killed
    whole = launch("checkpointed.py", ranks=2, folder="whole")
    assert weights(again.stdout) == weights(whole.stdout) != []
    [other] = read_trainings(whole.files)
    assert run["ranks_merged"].tolist() == other["ranks_merged"].tolist() == [2] * STEPS
    for name in (
        "loss",
        "batch_size",
        "activation_rms",
        "activation_gradient_rms",
        "parameter_gradient_norm",
        "weight_norm",
        "update_norm",
    ):
        np.testing.assert_array_equal(run[name], other[name], err_msg=name)
