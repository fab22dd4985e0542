from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse import stability
from bnprobe.store.reader import Run, read_run
from tests.synthetic_runs import Recording, exploding_recording, healthy, in_detail_at, killed, residual_recording, zero_steps


def read(made: Recording) -> Run:
    return made.run()


class TestDivergence:
    def test_a_healthy_run_has_none(self, tmp_path: Path) -> None:
        assert stability.divergence(read_run(healthy(tmp_path / "run.h5"))) is None

    def test_the_first_loss_above_a_thousand_times_the_first(self) -> None:
        made = residual_recording(steps=10)
        made.loss[:] = [2.0, 1.0, 3.0, 1999.0, 2000.0, 2000.1, 5.0, 1e9, 1.0, 1.0]
        found = stability.divergence(read(made))
        assert found == stability.Divergence(5, 5, "risen loss", 2000.1, 2.0, "its first value")

    @pytest.mark.parametrize("lost", [np.inf, np.nan])
    def test_a_loss_that_is_not_finite(self, lost: float) -> None:
        made = residual_recording(steps=6)
        made.loss[4:] = lost
        found = stability.divergence(read(made))
        assert found is not None
        assert (found.step, found.reason) == (4, "non-finite loss")

    def test_a_loss_that_was_not_observed_is_no_divergence(self) -> None:
        made = residual_recording(steps=6)
        made.loss[2] = np.nan
        assert stability.divergence(read(made)) is None
        made.loss[:] = np.nan
        assert stability.divergence(read(made)) is None

    def test_a_missing_loss_is_nan_where_a_signal_was_not_finite_either(self) -> None:
        made = residual_recording(steps=6)
        made.loss[2] = np.nan
        made.activation.rms[2, 5] = np.nan  # written with a non-finite count
        found = stability.divergence(read(made))
        assert found is not None
        assert found.step == 2

    def test_a_missing_loss_is_nan_where_the_recorder_noted_it(self) -> None:
        made = residual_recording(steps=6)
        made.loss[2] = np.nan
        made.events.append((2, "divergence", "the loss is nan"))
        assert stability.divergence(read(made)) is not None

    def test_a_loss_of_both_signs_has_no_ratio_to_its_first(self) -> None:
        made = residual_recording(steps=6)
        made.loss[:] = [-0.001, 0.002, -3.0, 4.0, 50.0, 100.0]
        assert stability.divergence(read(made)) is None

    def test_an_overflow_whose_step_the_gradient_scaler_skipped_is_none(self) -> None:
        made = residual_recording(steps=6)
        made.loss[2] = np.inf
        run = made.run()
        assert stability.divergence(run) is not None
        run["skipped"][2] = 1
        assert stability.divergence(run) is None
        run["loss"][2:] = np.inf  # but not if training diverges for good
        run["skipped"][2:] = 1
        found = stability.divergence(run)
        assert found is not None
        assert found.step == 2

    def test_a_killed_run_keeps_its_divergence(self, tmp_path: Path) -> None:
        found = stability.divergence(read_run(killed(tmp_path / "run.h5")))
        assert found is not None
        assert found.step == 15

    def test_a_leap_that_a_run_came_back_from_is_none(self) -> None:
        made = residual_recording(steps=60)
        made.loss[30] = 1e6
        assert stability.divergence(read(made)) is None
        made.loss[31:] = made.loss[0]
        found = stability.divergence(read(made))
        assert found is not None
        assert found.step == 30
        made = residual_recording(steps=60)
        made.loss[5] = 1e6  # before it had learned anything that it could come back to
        assert stability.divergence(read(made)) is not None

    def test_steps_need_not_start_at_zero(self) -> None:
        run = read(exploding_recording())
        run.variables["step"] = run["step"] + 100
        found = stability.divergence(run)
        assert found is not None
        assert (found.row, found.step) == (15, 115)


class TestDepartures:
    def test_nobody_leaves_a_healthy_run(self, tmp_path: Path) -> None:
        run = read_run(healthy(tmp_path / "run.h5"))
        assert stability.deviations(run) == []
        assert stability.deviations(run, "activation_gradient") == []

    def test_who_left_first_in_time_then_in_depth(self) -> None:
        made = residual_recording(steps=20)
        first, second, third = (made.index(name) for name in ("stage2.block2.conv1", "stage2.block3.conv1", "stage1.block1.conv1"))
        growth = 10.0 ** np.arange(1, 9)  # from step 12 on, tenfold at each
        made.activation.rms[12:, [first, second]] *= growth[:, None]
        made.activation.rms[13:, third] *= growth[:-1]
        made.gradient.rms[12:, [first, second]] *= growth[:, None]
        run = read(made)
        found = stability.deviations(run)
        assert [(one.layer, one.step) for one in found] == [(first, 12), (second, 12), (third, 13)]
        assert found[0].decades == pytest.approx(1.0, abs=0.1)
        assert found[0].rms / found[0].baseline_rms == pytest.approx(10.0, rel=0.2)
        # gradients come from the loss: the deeper layer met the disturbance first
        assert [one.layer for one in stability.deviations(run, "activation_gradient")] == [second, first]

    def test_a_layer_that_comes_back_has_not_left(self) -> None:
        made = residual_recording(steps=20)
        made.activation.rms[8:12, 4] *= 30
        assert stability.deviations(read(made)) == []

    def test_a_layer_that_settles_at_a_new_level_has_a_new_course(self) -> None:
        made = residual_recording(steps=30)
        made.activation.rms[8:, 4] *= 30
        assert stability.deviations(read(made)) == []

    def test_a_slow_drift_is_training(self) -> None:
        made = residual_recording(steps=100)
        made.activation.rms *= 10 ** (0.03 * np.arange(100))[:, None]
        assert stability.deviations(read(made)) == []

    def test_a_value_that_is_not_finite_has_left_at_once(self) -> None:
        made = residual_recording(steps=10)
        made.activation.rms[7:, 5] = np.nan
        found = stability.deviations(read(made))
        assert [(one.layer, one.step, one.decades) for one in found] == [(5, 7, np.inf)]

    def test_what_was_not_measured_cannot_leave(self) -> None:
        made = exploding_recording()
        made.observed[:] = False
        run = read(made)
        assert stability.deviations(run) == []
        assert stability.baseline_rows(run).size == 0
        assert stability.measured_rows(run).size == 0


class TestLossCourse:
    def test_a_falling_loss_has_moved(self) -> None:
        course = stability.loss_course(read(residual_recording(steps=60)))
        assert course is not None
        assert course.moved
        assert course.is_falling
        assert course.late < course.early <= course.first

    def test_noise_has_not(self) -> None:
        made = residual_recording(steps=60)
        made.loss = np.log(10) + 0.02 * np.random.default_rng(0).standard_normal(60)
        course = stability.loss_course(read(made))
        assert course is not None
        assert not course.moved
        assert not course.is_falling

    def test_a_slow_fall_below_the_noise_is_still_a_fall(self) -> None:
        made = residual_recording(steps=100)
        made.loss = np.linspace(2.32, 2.26, 100) + 0.01 * np.random.default_rng(0).standard_normal(100)
        course = stability.loss_course(read(made))
        assert course is not None
        assert course.is_falling

    def test_only_what_came_before_the_divergence_counts(self) -> None:
        made = residual_recording(steps=40)
        made.loss[30:] = 1e9
        course = stability.loss_course(read(made))
        assert course is not None
        assert course.steps == 30
        assert course.late < 3

    @pytest.mark.parametrize("lost", [60, 50])
    def test_every_loss_counts_whatever_detail_was_kept(self, lost: int) -> None:
        made = residual_recording(steps=60)
        made.loss[lost:] = 1e9
        run = read(made)
        assert stability.loss_course(in_detail_at(run, (0, 10, 20, *range(40, 60)))) == stability.loss_course(run)

    def test_without_steps_there_is_none(self, tmp_path: Path) -> None:
        run = read_run(zero_steps(tmp_path / "run.h5"))
        assert stability.loss_course(run) is None
        assert stability.divergence(run) is None
        assert stability.deviations(run) == []
