"""Merged ranks against one process that saw all their samples."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.analyse.views import RunView
from bnprobe.diagnose.ranks import between
from bnprobe.diagnose.ranks.origins import first_nonfinite
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.launch import ending
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder
from bnprobe.ranks import trainings
from bnprobe.ranks.rules import FROM_CHANNELS, STEP, STEP_LAYER
from bnprobe.store.reader import Run, read_run
from bnprobe.store.schema import PASSED, VARIABLES
from tests.ranks.agreement import worst_disagreement
from tests.synthetic_runs import in_detail_at, residual_recording

CREATED = "2026-01-01T00:00:0{}+00:00"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Record what one rank of a training sees whose weights do not move: a share of every batch."""

    def record(rank: int, world: int, share: slice, steps: int = 3) -> Run:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        path = tmp_path / f"run.rank{rank}of{world}.{share.start}.h5"
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4)).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        recorder = Recorder(path, RecordOptions(budget=1e9), {"created": CREATED.format(rank)})
        recorder.install()
        generator = torch.Generator().manual_seed(1)
        for _ in range(steps):
            inputs = torch.randn(12, 2, 5, 5, generator=generator, dtype=torch.float64) + torch.arange(12.0)[:, None, None, None]
            targets = torch.randint(0, 4, (12,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[share]), targets[share]).backward()
            optimizer.step()
        recorder.finish(ending.finished())
        return read_run(path)

    return record


def test_merged_ranks_are_one_process_that_saw_all(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(rank, 3, slice(rank, None, 3)) for rank in (2, 0, 1)]
    [merged] = trainings(ranks)
    assert [run.attributes["rank"] for run in merged.ranks] == ["0", "1", "2"]
    assert merged["ranks_merged"].tolist() == [3, 3, 3]
    assert merged["batch_size"].tolist() == [12, 12, 12]
    worst, compared = worst_disagreement(
        merged, recorded(0, 1, slice(None)), but=("gradient_norm", "parameter_gradient_norm", "update_norm")
    )
    assert len(compared) > 30
    assert worst[0] < 1e-6, worst


def test_unequal_shares_weigh_by_their_samples(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(0, 2, slice(0, 9)), recorded(1, 2, slice(9, 12))]
    whole, [merged] = recorded(0, 1, slice(None)), trainings(ranks)
    # The gradient of a mean of means is none of the mean of all: the signals are, and the losses.
    gradients = tuple(name for name in VARIABLES if "gradient" in name or name == "update_norm")
    worst, compared = worst_disagreement(merged, whole, but=gradients)
    assert len(compared) > 20
    assert worst[0] < 1e-6, worst


def test_runs_of_two_launches_are_not_merged(recorded: Callable[..., Run]) -> None:
    first, second = recorded(0, 2, slice(0, 6)), recorded(1, 2, slice(6, 12))
    another = {
        "launch": "another",
        "launcher": "1",
        "created": "2026-01-01T00:30:00+00:00",
        "world_size": "3",
        "rank": "0",
    }
    for name, value in another.items():
        other = replace(second, attributes={**second.attributes, name: value})
        assert len(trainings([first, other])) == 2, name
    assert len(trainings([first, second])) == 1
    # on another machine another process has started it
    elsewhere = replace(second, attributes={**second.attributes, "launcher": "1", "launch_node": "1"})
    assert len(trainings([first, elsewhere])) == 1


def test_a_merge_in_parts_is_that_of_all_steps(recorded: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = [recorded(0, 2, slice(0, 9), steps=5), recorded(1, 2, slice(9, 12), steps=4)]
    [whole] = trainings(ranks)
    monkeypatch.setattr("bnprobe.ranks.merge.BLOCK_BYTES", 1)
    [in_parts] = trainings(ranks)
    assert set(in_parts.variables) == set(whole.variables)
    for name, values in whole.variables.items():
        assert in_parts[name].dtype == values.dtype, name
        np.testing.assert_array_equal(in_parts[name], values, err_msg=name)


def test_ranks_that_kept_the_detail_of_other_steps(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(0, 2, slice(0, 9), steps=6), recorded(1, 2, slice(9, 12), steps=5)]
    [whole] = trainings(ranks)
    [merged] = trainings([in_detail_at(ranks[0], (0, 2, 3, 4)), in_detail_at(ranks[1], (0, 1, 3, 4))])
    assert merged["step"].tolist() == [0, 3, 4]
    assert merged["passed"].tolist() == [1, 2, 5]  # each step once, that included which one rank alone took
    assert merged.trained_steps == 6
    for name, rule in STEP.items():
        np.testing.assert_array_equal(merged[name], whole[name][[0, 3, 4]], err_msg=f"{name} {rule}")
    np.testing.assert_array_equal(merged["activation_rms"], whole["activation_rms"][[0, 3, 4]])
    np.testing.assert_array_equal(merged["learning_rate"], whole["learning_rate"][[0, 3, 4]])
    for name, source in PASSED.items():
        np.testing.assert_array_equal(merged[name], whole[source][[1, 2, 5]], err_msg=name)
    np.testing.assert_array_equal(merged.every_loss[1], whole["loss"])


@pytest.mark.slow
def test_a_merge_takes_little_beside_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    block = 2**19  # all steps at once take 32 MiB
    monkeypatch.setattr("bnprobe.ranks.merge.BLOCK_BYTES", block)
    made = [residual_recording(steps=3000) for _ in range(2)]
    ranks = []
    for number, recording in enumerate(made):
        run = recording.run()
        attributes = {"rank": str(number), "world_size": "2", "launch": "a", "launcher": "1", "created": CREATED.format(number)}
        ranks.append(replace(run, attributes={**run.attributes, **attributes}))
    tracemalloc.start()
    [merged] = trainings(ranks)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert merged["ranks_merged"].tolist() == [2] * 3000
    assert peak - kept < 10 * block


def test_a_missing_rank_is_said(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(rank, 3, slice(rank, None, 3)) for rank in (0, 2)]
    found = between(RunAnalysis(trainings(ranks)[0]))
    assert found is not None
    assert found.standing == "2 of 3 ranks merged; rank 1 is missing"


@pytest.mark.slow
def test_the_same_batches_are_named(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(0, 3, slice(0, 6)), recorded(1, 3, slice(6, 12)), recorded(2, 3, slice(0, 6))]
    [merged] = trainings(ranks)
    assert merged.batches == [[0, 2], [1]]
    assert merged["batch_size"].tolist() == [12, 12, 12], "what two ranks were given alike counts once"
    found = between(RunAnalysis(merged))
    assert found is not None
    [remark] = [one for one in found.remarks if one.id == "same-batches"]
    assert remark.severity == "warning"
    assert remark.text.startswith("Ranks 0 and 2 were given the same batches")


def test_a_rank_that_ended_early_is_merged_as_far_as_it_goes(recorded: Callable[..., Run]) -> None:
    ranks = [recorded(0, 2, slice(0, 6), steps=5), recorded(1, 2, slice(6, 12), steps=3)]
    [merged] = trainings(ranks)
    assert merged["ranks_merged"].tolist() == [2, 2, 2, 1, 1]
    found = between(RunAnalysis(merged))
    assert found is not None
    assert "rank 1 ends at step 2" in next(one.text for one in found.remarks if one.id == "unequal-ends")


def test_a_loss_that_was_not_seen_began_nothing() -> None:
    made = residual_recording(steps=30)
    made.loss[10:12] = np.nan
    assert first_nonfinite(RunView.of(made.run())) is None
    made.loss[20:] = np.nan
    found = first_nonfinite(RunView.of(made.run()))
    assert found is not None and (found.what, found.step) == ("loss", 20)


def test_every_variable_of_steps_has_a_rule() -> None:
    apart = {"step", "ranks_merged"}
    assert {name for name, variable in VARIABLES.items() if variable.dims == ("step",)} - apart == set(STEP)
    made = {name for name in VARIABLES if name.endswith(("_energy", "_rms")) and VARIABLES[name].dims == ("step", "layer")}
    layered = {name for name, variable in VARIABLES.items() if variable.dims == ("step", "layer")}
    assert layered - made == set(STEP_LAYER) | set(FROM_CHANNELS)
