from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.analyse.stability import divergence
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.divergence import learning_rate_too_high
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.store.reader import Run
from tests.synthetic_runs import LineProbe, Recording, residual_recording


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


class TestLearningRateTooHigh:
    def diverging(self) -> Recording:
        made = residual_recording(steps=12)
        made.loss[:] = 2.3 * 10.0 ** np.maximum(np.arange(12) - 5, 0)
        return made

    def test_large_updates_up_to_the_divergence(self) -> None:
        made = self.diverging()
        made.update_norm[4:, 3] = 0.5 * made.weight_norm[4:, 3]
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert (found.step, found.layers) == (4, (made.parameters[3]["parameter_layer"],))
        assert "50 % of its weights' size at a learning rate of 0.1" in found.cause

    def test_line_probes_say_how_far_the_rate_was_over_its_limit(self) -> None:
        made = self.diverging()
        made.update_norm[4:, 3] = 0.5 * made.weight_norm[4:, 3]
        made.line_probes = [LineProbe(2, 0.1, (1.0, 2.0)), LineProbe(5, 0.1, (0.1, 0.125)), LineProbe(11, 0.1, (0.001, 0.002))]
        found = learning_rate_too_high(case(made))
        assert found is not None
        last = found.evidence[-1]
        assert "over what the loss tolerated" in last.what
        assert (last.value, last.threshold, last.step) == (pytest.approx(8.0), 1.0, 5)

    def test_line_probes_that_stayed_below_are_no_evidence(self) -> None:
        made = self.diverging()
        made.update_norm[4:, 3] = 0.5 * made.weight_norm[4:, 3]
        made.line_probes = [LineProbe(2, 0.1, (1.0, 2.0))]
        found = learning_rate_too_high(case(made))
        assert found is not None and not any("tolerated" in one.what for one in found.evidence)

    def test_a_large_update_long_before_does_not_count(self) -> None:
        made = self.diverging()
        made.update_norm[1, 3] = made.weight_norm[1, 3]
        assert learning_rate_too_high(case(made)) is None

    def test_an_update_after_the_loss_was_lost_does_not_count(self) -> None:
        made = self.diverging()
        made.update_norm[9:] = made.weight_norm[9:]
        assert learning_rate_too_high(case(made)) is None

    def test_large_updates_of_a_run_that_trains_are_a_warning_if_they_stay(self) -> None:
        made = residual_recording(steps=40)
        made.update_norm[:16] = 0.3 * made.weight_norm[:16]
        assert learning_rate_too_high(case(made)) is None
        made.update_norm[:] = 0.3 * made.weight_norm
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert found.severity == "warning"

    def test_large_updates_after_a_spike_do_not_tell_why_the_loss_leapt(self) -> None:
        made = residual_recording(steps=80)
        made.loss[:] = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(80)
        made.loss[:10], made.loss[40:] = 2.0, 1.9
        made.update_norm[40:] = 0.3 * made.weight_norm[40:]
        assert learning_rate_too_high(case(made)) is None
        made.update_norm[20:] = 0.3 * made.weight_norm[20:]
        assert learning_rate_too_high(case(made)) is not None

    @pytest.mark.parametrize("level", [np.log(10), 60.0])
    def test_a_run_that_falls_to_guessing_or_rises(self, level: float) -> None:
        made = residual_recording(steps=40)
        made.loss[10:] = level + 0.01 * np.random.default_rng(0).standard_normal(30)
        made.update_norm[3:6] = 2 * made.weight_norm[3:6]
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert found.step == 3

    def test_adversaries_that_rise_accuse_no_rate(self) -> None:
        made = residual_recording(steps=40)
        made.loss[:] = np.geomspace(0.7, 6.0, 40) + 0.01 * np.random.default_rng(0).standard_normal(40)
        made.update_norm[3:6] = 2 * made.weight_norm[3:6]
        assert learning_rate_too_high(case(made)) is not None
        made.groups = ["Adam[0]", "Adam#2[0]"]
        assert learning_rate_too_high(case(made)) is None

    def test_small_weights_that_move_by_many_times_their_size_are_none(self) -> None:
        made = residual_recording(steps=40)
        made.loss[10:] = np.log(10) + 0.01 * np.random.default_rng(0).standard_normal(30)
        made.weight_norm[:6, 3] = 1e-3 * np.arange(1, 7)  # started near zero; a usual initialisation would have made it 2.3
        made.update_norm[:6, 3] = 1e-3
        assert learning_rate_too_high(case(made)) is None
        made.update_norm[:6, 3] = 1.0
        assert learning_rate_too_high(case(made)) is not None

    def test_one_large_update_loses_no_run_unless_it_is_larger_than_the_weights(self) -> None:
        made = residual_recording(steps=40)
        made.loss[10:] = np.log(10) + 0.01 * np.random.default_rng(0).standard_normal(30)
        made.update_norm[0] = 0.5 * made.weight_norm[0]
        assert learning_rate_too_high(case(made)) is None
        made.update_norm[0] = 1.5 * made.weight_norm[0]
        assert learning_rate_too_high(case(made)) is not None

    def test_a_warm_up_begins_where_the_updates_begin_to_grow(self) -> None:
        made = self.diverging()
        made.update_norm[:, 3] = np.array([0.001, 0.001, 0.04, 0.07, *([0.2] * 8)]) * made.weight_norm[:, 3]
        found = learning_rate_too_high(case(made))
        assert found is not None
        assert found.step == 2


def test_a_run_killed_one_step_after_the_loss_was_lost_has_the_same_verdict(recorded: Callable[..., Run]) -> None:
    whole = recorded("learning-rate-too-high")
    lost = divergence(whole)
    assert lost is not None
    cut = recorded("learning-rate-too-high-killed")
    assert (cut.status, cut.steps) == ("running", lost.step + 1)
    assert [diagnose(run)[0].id for run in (whole, cut)] == ["learning-rate-too-high"] * 2


class TestRisingLoss:
    def test_a_short_run_whose_loss_rises_is_a_warning(self) -> None:
        made = residual_recording(steps=5)
        made.loss[:] = [6.85, 8.1, 11.0, 15.2, 17.6]
        (found,) = diagnose(made.run())
        assert (found.id, found.severity, found.confidence) == ("rising-loss", "warning", 0.4)
        assert "has risen from 6.85 to 17.6 in 5 steps, too few to say whether it will come back." in found.cause
        made.update_norm[1, 3] = 0.5 * made.weight_norm[1, 3]
        (found,) = diagnose(made.run())
        assert "at step 1, which speaks for a learning rate that is too high" in found.cause

    def test_a_short_run_whose_loss_falls_is_not_called_healthy(self) -> None:
        (found,) = diagnose(residual_recording(steps=5).run())
        assert (found.id, found.confidence) == ("inconclusive", 0.5)
        assert "only 5 losses were seen, and 20 are needed to tell" in found.cause
