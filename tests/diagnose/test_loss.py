from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding
from bnprobe.diagnose.loss import loss_spike
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording

Findings = Callable[..., list[Finding]]


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_softmax_before_cross_entropy(findings: Findings, every: int, seed: int) -> None:
    (first, *_) = findings("double-softmax", seed, every=every)
    assert (first.id, first.step, first.layers) == ("double-softmax", 0, ("5",))
    assert "by 5 (Softmax)" in first.cause
    assert "cannot fall below 0.905" in first.cause  # -ln(e / (e + 4))


def test_probabilities_for_a_loss_that_wants_them(findings: Findings) -> None:
    assert [one.id for one in findings("probabilities")] == ["healthy"]


class TestLossSpike:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("every", [1, 5])
    def test_an_odd_batch(self, findings: Findings, seed: int, every: int) -> None:
        (first, *_) = findings("loss-spike-batch", seed, every=every)
        assert (first.id, first.severity, first.step, first.layers) == ("loss-spike", "warning", 40, ("0:input",))
        assert "the batch of step 40 moved first" in first.cause

    @pytest.mark.parametrize("seed", range(3))
    def test_a_rate_that_leaps(self, findings: Findings, seed: int) -> None:
        (first, *_) = findings("loss-spike-rate", seed)
        assert (first.id, first.step) == ("loss-spike", 40)
        assert "the update of step 40 moved first" in first.cause
        assert "as the learning rate went from 0.05 to 3" in first.cause

    def test_a_single_hard_sample_is_none(self) -> None:
        made = residual_recording(steps=60)
        made.loss[40] *= 60
        assert loss_spike(RunAnalysis(made.run())) is not None
        made.by_step["batch_size"] = np.ones(60)
        assert loss_spike(RunAnalysis(made.run())) is None
        made.loss[40:50] *= 30
        assert loss_spike(RunAnalysis(made.run())) is not None

    def test_a_run_that_diverged_has_no_spike(self) -> None:
        made = residual_recording(steps=60)
        made.loss[40:] *= 50
        assert loss_spike(RunAnalysis(made.run())) is not None
        made.loss[50:] = np.nan
        made.events.append((50, "divergence", "the loss is nan"))
        assert loss_spike(RunAnalysis(made.run())) is None

    def test_a_new_optimizer_begins_a_training_of_another_kind(self) -> None:
        made = residual_recording(steps=60)
        made.loss[40:] += 3.0 * np.exp(-np.arange(20) / 4.0)
        assert loss_spike(RunAnalysis(made.run())) is not None
        made.groups = ["SGD[0]", "Adam[0]"]
        made.by_step["learning_rate"] = np.where(np.arange(60)[:, None] < [[60, 40]], [[0.1, np.nan]], [[np.nan, 1e-3]])
        assert loss_spike(RunAnalysis(made.run())) is None

    def test_a_new_group_of_the_same_optimizer_and_a_last_batch_that_is_smaller_begin_nothing(self) -> None:
        made = residual_recording(steps=60)
        made.loss[40:] += 3.0 * np.exp(-np.arange(20) / 4.0)
        made.groups = ["SGD[0]", "SGD[1]"]
        made.by_step["learning_rate"] = np.where(np.arange(60)[:, None] < [[60, 40]], [[0.1, np.nan]], [[0.1, 1e-3]])
        assert loss_spike(RunAnalysis(made.run())) is not None
        made.by_step["batch_size"] = np.where(np.arange(60) < 40, 64, 32)
        assert loss_spike(RunAnalysis(made.run())) is None
        made.loss[:] = residual_recording(steps=60).loss
        made.loss[59] += 3.0
        made.by_step["batch_size"] = np.where(np.arange(60) < 59, 64, 10)
        assert loss_spike(RunAnalysis(made.run())) is not None

    def test_hard_batches_that_come_again_are_none(self) -> None:
        made = residual_recording(steps=200)
        made.loss[:] = 1.0 + 0.05 * np.sin(np.arange(200.0) ** 2)
        made.loss[[150, 152]] = 1.4
        assert loss_spike(RunAnalysis(made.run())) is not None
        made.loss[[30, 60, 90, 120]] = 1.4
        assert loss_spike(RunAnalysis(made.run())) is None
        made.loss[150:156] = 1.4  # longer than such a batch, or two
        assert loss_spike(RunAnalysis(made.run())) is not None
