from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.optimisation import distance_moved, learning_rate_too_low, weight_decay_too_strong
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.suites import shortened
from tests.synthetic_runs import Recording, in_detail_at, residual_recording


def at_chance(noise: float = 0.005, fall: float = 0.0) -> Recording:
    made = residual_recording(steps=60)
    made.loss = np.log(10) + noise * np.random.default_rng(5).standard_normal(60) - fall * np.arange(60)
    made.update_norm *= 2  # far enough in sixty steps not to stand still
    return made


def verdicts(made: Recording) -> list[str]:
    return [finding.id for finding in diagnose(made.run()) if not finding.is_candidate]


def test_weights_that_hardly_move() -> None:
    made = at_chance()
    made.update_norm[:] = 1e-7 * made.weight_norm
    assert verdicts(made) == ["learning-rate-too-low"]


def test_weights_move_in_steps_of_which_little_was_kept() -> None:
    made = residual_recording(steps=60)
    made.update_norm = np.linspace(1.0, 2.0, 60)[:, None] * 1e-3 * made.weight_norm[:1]
    made.weight_norm[:] = made.weight_norm[:1]
    run = made.run()
    every = distance_moved(RunAnalysis(run))
    assert every is not None and every > 0
    assert distance_moved(RunAnalysis(in_detail_at(run, (0, 1, 20, 50, 58, 59)))) == pytest.approx(every, rel=1e-5)


def test_a_schedule_that_ended_early_did_so_at_a_share_of_the_steps() -> None:
    made = at_chance()
    made.loss += 5.0 - np.log(10)
    made.learning_rate = np.where(np.arange(60) < 20, 0.1, 1e-7)
    found = [learning_rate_too_low(RunAnalysis(run)) for run in (made.run(), in_detail_at(made.run(), (*range(21), *range(40, 60, 5))))]
    assert all(one is not None and one.evidence[-1].value == pytest.approx(20 / 60, abs=0.03) for one in found)


@pytest.mark.parametrize(("after", "is_named"), [(2.25, True), (20.0, False)])
def test_a_schedule_that_fell_after_the_loss_had_risen_is_not_why_nothing_moves(after: float, is_named: bool) -> None:
    made = at_chance()
    made.loss[:20], made.loss[20:] = 4.5, 2.0 * after
    made.learning_rate = np.where(np.arange(60) < 20, 0.1, 1e-7)
    found = learning_rate_too_low(RunAnalysis(made.run()))
    assert (found is not None and "schedule" in found.cause) == is_named


def test_small_updates_of_a_run_that_trains_are_fine() -> None:
    made = residual_recording(steps=60)
    made.update_norm[:] = 1e-7 * made.weight_norm
    assert verdicts(made) == ["healthy"]


def test_a_run_at_chance_level_is_stuck() -> None:
    assert verdicts(at_chance()) == ["stuck"]


def test_where_what_differs_between_samples_ends_is_told_of_a_run_that_is_stuck() -> None:
    made = at_chance()
    end = made.index("stage2.block1.conv1")
    made.activation.kappa[:, end:] = 1 - 1e-13
    (found, *_) = diagnose(made.run())
    assert (found.id, found.layers[0]) == ("stuck", "stage2.block1.conv1")
    assert "What differs between samples ends at stage2.block1.conv1" in found.cause


def test_a_run_that_falls_slowly_from_there_is_not() -> None:
    assert verdicts(at_chance(fall=0.0005)) == ["inconclusive"]


@pytest.mark.parametrize(("fall", "is_named"), [(0.0, False), (0.0005, True)])
def test_while_the_loss_falls_a_distance_as_large_as_that_is_still_a_small_one(fall: float, is_named: bool) -> None:
    made = at_chance(fall=fall)
    made.update_norm *= 0.4 / distance_of(made)
    assert distance_of(made) == pytest.approx(0.4)
    assert (learning_rate_too_low(RunAnalysis(made.run())) is not None) == is_named


def distance_of(made: Recording) -> float:
    return distance_moved(RunAnalysis(made.run())) or 0.0


def test_a_few_steps_say_nothing() -> None:
    made = at_chance()
    made.observed[:] = True
    made.loss[15:] = np.linspace(2.2, 0.3, 45)
    assert verdicts(made) == ["healthy"]


@pytest.mark.parametrize("level", [0.69, 5.0])
def test_a_loss_that_stays_elsewhere_is_no_progress_unless_it_may_be_meant_to(level: float) -> None:
    made = at_chance()
    made.loss += level - np.log(10)
    (first, *_) = diagnose(made.run())
    assert (first.id, first.severity) == ("stuck", "warning")
    made.groups = ["Adam[0]", "RMSprop[0]"]  # as of a GAN
    assert verdicts(made) == ["inconclusive"]


def test_noise_that_hides_whether_anything_is_learned_says_nothing() -> None:
    assert verdicts(at_chance(noise=2.0)) == ["inconclusive"]


def test_a_loss_that_rose_and_never_came_back_is_no_healthy_run() -> None:
    made = residual_recording(steps=60)
    made.loss[5:] = np.linspace(25.0, 4.0, 55)  # it falls, but from where large steps have thrown it
    made.update_norm[3:6] = 5 * made.weight_norm[3:6]
    assert verdicts(made) == ["learning-rate-too-high"]


@pytest.mark.parametrize(("moved", "found"), [(0.01, True), (0.1, False), (0.5, False)])
def test_a_loss_that_falls_steadily_and_too_slowly(moved: float, found: bool) -> None:
    made = at_chance(noise=1e-4, fall=0.015)  # 40 per cent in all, as fast at the end as before
    made.update_norm[:] = moved / 60 * made.weight_norm
    assert (learning_rate_too_low(RunAnalysis(made.run())) is not None) == found


def test_a_loss_without_any_gradient() -> None:
    made = at_chance()
    made.update_norm[:] = 0.0
    made.gradient_norm[:] = 0.0
    made.gradient.rms[:] = 0.0
    (first, *_) = diagnose(made.run())
    assert first.id == "stuck"
    assert "No gradient reaches any weight" in first.cause


class TestWeightDecay:
    @pytest.mark.parametrize("kind", shortened(["weight-decay-too-strong", "adamw-decay"], 1))
    @pytest.mark.parametrize("every", shortened([1, 5], 1))
    @pytest.mark.slow
    def test_trainings(self, findings: Callable[..., list[Finding]], kind: str, every: int) -> None:
        (first, *_) = findings(kind, every=every)
        assert first.id == "weight-decay-too-strong"

    def test_a_usual_decay(self, findings: Callable[..., list[Finding]]) -> None:
        assert [one.id for one in findings("weight-decay")] == ["healthy"]

    def decaying(self, decay: float, left: float) -> Recording:
        made = residual_recording(steps=60)
        made.weight_norm *= left ** (np.arange(60) / 59)[:, None]
        made.by_step["weight_decay"] = np.full((60, 1), decay)
        return made

    @pytest.mark.parametrize(("decay", "left", "found"), [(0.5, 0.2, True), (0.5, 0.9, False)])
    def test_weights_that_shrink_at_the_pace_of_the_decay(self, decay: float, left: float, found: bool) -> None:
        assert (weight_decay_too_strong(RunAnalysis(self.decaying(decay, left).run())) is not None) == found

    @pytest.mark.parametrize(("left", "found"), [(0.2, True), (0.75, False)])
    def test_weights_that_shrink_without_a_decay_are_penalised_by_the_loss(self, left: float, found: bool) -> None:
        penalised = weight_decay_too_strong(RunAnalysis(self.decaying(5e-4, left).run()))
        assert (penalised is not None) == found
        if penalised is not None:
            assert "penalty" in penalised.cause

    def test_two_networks_that_are_measured_in_turn_do_not_shrink(self) -> None:
        made = residual_recording(steps=60)
        half = len(made.parameters) // 2
        made.weight_norm[:, :half] *= 50.0
        made.weight_norm[::2, half:] = np.nan
        made.weight_norm[1::2, :half] = np.nan
        assert weight_decay_too_strong(RunAnalysis(made.run())) is None
        made.weight_norm[:, half:] *= 0.2 ** (np.arange(60) / 59)[:, None]
        made.weight_norm[:, :half] *= 0.2 ** (np.arange(60) / 59)[:, None]
        found = weight_decay_too_strong(RunAnalysis(made.run()))
        assert found is not None
        assert all(np.isfinite(one.value) for one in found.evidence)

    def test_weights_in_front_of_a_normalisation_may_shrink(self) -> None:
        made = self.decaying(0.5, 0.2)
        names = [layer["layer"] for layer in made.layers if layer["layer_kind"] == "convolution"]
        for first, second in pairwise(made.layers):
            if first["layer"] in names and second["layer_role"] == "output":
                second["layer_kind"] = "normalisation"
        before = {first["layer"] for first, second in pairwise(made.layers) if second["layer_kind"] == "normalisation"}
        others = [i for i, parameter in enumerate(made.parameters) if parameter["parameter_layer"] not in before]
        assert before and others
        made.weight_norm[:, others] = made.weight_norm[0, others]
        assert weight_decay_too_strong(RunAnalysis(made.run())) is None

    def test_a_penalty_draws_weights_in_front_of_a_normalisation_down_as_well(self) -> None:
        made = self.decaying(0.0, 0.5)
        for first, second in pairwise(made.layers):
            if first["layer_kind"] == "convolution" and second["layer_role"] == "output":
                second["layer_kind"] = "normalisation"
        assert weight_decay_too_strong(RunAnalysis(made.run())) is not None
        made.weight_norm[:, [i for i, one in enumerate(made.parameters) if "conv" in one["parameter_layer"]]] = 8.0
        assert weight_decay_too_strong(RunAnalysis(made.run())) is None  # only the last layer found its size

    def test_a_gradient_of_zero_has_no_ratio(self) -> None:
        made = self.decaying(0.5, 0.2)
        made.gradient_norm[:] = 0.0
        found = weight_decay_too_strong(RunAnalysis(made.run()))
        assert found is not None
        assert "NaN" not in found.cause and "nan" not in found.cause
        assert all(np.isfinite(one.value) for one in found.evidence)

    def test_weights_that_came_back_had_shrunk(self) -> None:
        made = self.decaying(0.5, 0.2)
        made.weight_norm[30:] = 0.85 * made.weight_norm[0]
        assert weight_decay_too_strong(RunAnalysis(made.run())) is not None

    def test_a_run_that_fitted_its_data_by_decades_was_not_kept_from_it(self) -> None:
        made = self.decaying(5e-4, 0.2)
        made.loss = 2.0 * np.exp(-np.arange(60) / 6)
        assert weight_decay_too_strong(RunAnalysis(made.run())) is None

    def test_a_linear_model_may_be_smaller_than_its_start(self) -> None:
        made = self.decaying(0.0, 0.2)
        made.parameters, made.weight_norm = made.parameters[-1:], made.weight_norm[:, -1:]
        made.update_norm, made.gradient_norm = made.update_norm[:, -1:], made.gradient_norm[:, -1:]
        assert weight_decay_too_strong(RunAnalysis(made.run())) is None


class TestSchedule:
    def test_a_rate_that_was_spent_early(self) -> None:
        made = at_chance()
        made.loss += 2.0
        made.learning_rate = 0.1 * 0.5 ** np.arange(60)
        (first, *_) = diagnose(made.run())
        assert (first.id, first.severity, first.step) == ("learning-rate-too-low", "error", 7)
        assert "The schedule took the learning rate from 0.1" in first.cause
        made.learning_rate = 0.1 * np.cos(np.arange(60) / 60 * np.pi / 2)  # a schedule of the training's own length
        assert learning_rate_too_low(RunAnalysis(made.run())) is None

    @pytest.mark.parametrize(("status", "found"), [("finished", True), ("stopped", False)])
    def test_a_short_look_says_nothing_of_the_steps_to_come(self, status: str, found: bool) -> None:
        made = at_chance()
        made.status = status
        made.update_norm[:] = 1e-3 * made.weight_norm
        assert (learning_rate_too_low(RunAnalysis(made.run())) is not None) == found

    @pytest.mark.parametrize(("status", "found"), [("finished", True), ("stopped", False)])
    def test_a_warm_up_that_was_cut(self, status: str, found: bool) -> None:
        made = at_chance()
        made.status = status
        made.learning_rate = 1e-6 * (1 + np.arange(60))
        made.update_norm[:] = 1e-6 * made.weight_norm
        assert (learning_rate_too_low(RunAnalysis(made.run())) is not None) == found

    def test_the_distance_counts_each_step_once_wherever_it_was_measured(self) -> None:
        made = at_chance()
        made.update_norm[:] = np.where(np.arange(60)[:, None] < 10, 0.01, 1e-5) * made.weight_norm
        made.observed[:] = np.arange(60) < 12  # nearly all of the measured steps are large
        made.observed[-1] = True
        found = learning_rate_too_low(RunAnalysis(made.run()))
        assert found is not None
        assert found.evidence[0].value == pytest.approx(0.1, rel=0.1)


def test_what_no_gradient_reached_is_told_where_no_cause_is_found() -> None:
    recording = at_chance()
    assert "shows none of the known causes" in diagnose(recording.run()).verdict.cause
    recording.gradient_norm[:, 0] = np.nan
    said = diagnose(recording.run()).verdict.cause
    first = recording.run().parameters[0]
    assert f"No gradient ever reached {first.size} parameters that an optimizer has, those of {first.layer}: look for" in said
    assert "known causes" not in said


def _falling(made: Recording, to: float = 0.1) -> Recording:
    made.loss = 2.0 * to ** np.minimum(np.arange(made.steps) / 25, 1.0) * (1 + 0.005 * np.random.default_rng(5).standard_normal(made.steps))
    return made


@pytest.mark.parametrize(("late", "end", "is_named"), [(2e-6, 28, True), (1e-2, 28, False), (2e-6, 45, False)])
def test_a_schedule_that_ended_the_training_is_told_although_the_loss_had_fallen(late: float, end: int, is_named: bool) -> None:
    made = _falling(residual_recording(steps=60))
    made.learning_rate = np.where(np.arange(60) < end, 0.1, 0.1 * late)
    assert verdicts(made) == (["learning-rate-too-low"] if is_named else ["healthy"])


@pytest.mark.parametrize(("level", "factor"), [(1.0, 1e-3), (0.2, 1e-5)])
def test_a_schedule_that_lowers_the_rate_of_a_loss_that_stands_ended_nothing(level: float, factor: float) -> None:
    made = _falling(residual_recording(steps=60))
    noise = 0.01 * np.random.default_rng(5).standard_normal(60)
    made.loss = level * (1 + noise) + (2.0 - level) * np.exp(-np.arange(60) / 2)
    made.learning_rate = np.where(np.arange(60) < 22, 0.1, 0.1 * factor)
    assert verdicts(made) == ["healthy"]


def test_a_loss_that_fell_at_once_and_stands_at_its_noise_has_moved() -> None:
    made = _falling(residual_recording(steps=400))
    made.loss = 0.39 + 0.3 * (np.arange(400) < 10) + 0.03 * np.random.default_rng(5).standard_normal(400)
    run = RunAnalysis(made.run())
    assert run.course is not None and run.course.fallen_p > 0.01
    assert not run.is_stuck and run.course.moved_at_once


@pytest.mark.parametrize(
    ("rates", "is_named"),
    [
        pytest.param(np.tile(np.linspace(1e-5, 1e-3, 12), 5), True, id="a warm-up in every epoch"),
        pytest.param(np.tile(np.linspace(1e-3, 1e-5, 12), 5), False, id="warm restarts"),
        pytest.param(np.tile([*np.linspace(1e-5, 1e-3, 6), *np.linspace(1e-3, 1e-5, 6)], 5), False, id="cycles"),
        pytest.param(np.tile([*np.linspace(1e-5, 1e-3, 4), *[1e-3] * 8], 5), False, id="each task with a warm-up of its own"),
        pytest.param(np.tile([1e-3] * 11 + [1e-5], 5), False, id="a small rate now and then"),
    ],
)
def test_a_warm_up_that_begins_anew_is_told_from_schedules_that_come_back(rates: np.ndarray, is_named: bool) -> None:
    made = _falling(residual_recording(steps=60))
    made.learning_rate = rates
    found = [finding for finding in diagnose(made.run()) if finding.id == "learning-rate-too-low" and not finding.is_candidate]
    assert bool(found) == is_named
    if is_named:
        assert "begins anew every 12 steps, 4 times" in found[0].cause
