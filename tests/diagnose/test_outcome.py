from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.outcome import Outcome, outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary
from tests.synthetic_runs import residual_recording

NOISE = 0.01 * np.sin(np.arange(60) ** 2)


def judged(loss: np.ndarray) -> Outcome:
    """The outcome of a run of a classifier of ten classes with these losses."""
    run = residual_recording(steps=len(loss), norm=True).run()
    run.variables["loss"] = np.asarray(loss, dtype=float)
    run.variables["update_norm"] = 2 * run.variables["update_norm"]  # far enough in sixty steps not to stand still
    return outcome(RunAnalysis(run))


STEPS = np.arange(60)


@pytest.mark.parametrize(
    ("loss", "word", "stuck_by"),
    [
        (2.3 * np.exp(-STEPS / 30) + NOISE, "trains", ""),
        # It leaps down, and stays.
        (np.where(STEPS < 2, 2.4, 0.2) + NOISE, "trains", ""),
        # Up and down again, and well below the start.
        (np.where((STEPS > 5) & (STEPS < 30), 3.0, 0.25) + np.where(STEPS < 6, 2.1, 0.0) + NOISE, "trains", ""),
        # From far above chance level down to it: nothing was learned.
        (2.303 + 7 * np.exp(-STEPS / 3.0) + NOISE, "stuck", "level"),
        # Up, and down again to where it began.
        (2.35 + 20 * np.exp(-(((STEPS - 15) / 5.0) ** 2)) + 0.05 * np.exp(-STEPS / 30), "stuck", None),
        # It leaps at once, and is on its way back.
        (np.where(STEPS < 1, 2.35, 14.0 + 500 * np.exp(-STEPS / 8)) + NOISE, "trains", ""),
        (np.where(STEPS < 1, 2.35, 0.5 + 500 * np.exp(-STEPS / 6)) + NOISE, "trains", ""),
        (2.0 + 0.1 * STEPS, "stuck", "risen"),
        # It ends above its first value, by less than single losses differ, and by more.
        (np.where(STEPS < 1, 2.305, 2.303) + NOISE, "stuck", "level"),
        (np.where(STEPS < 1, 2.27, 2.303) + NOISE, "stuck", "risen"),
        # The same as the first of these, but for leaps.
        (np.where(STEPS < 1, 2.305, 2.303) + NOISE + 5.0 * (STEPS % 20 < 3) * (STEPS > 5), "stuck", "risen"),
        (2.0 * 1.5**STEPS, "diverges", ""),
        (np.where(STEPS < 30, 2.0, np.inf), "diverges", ""),
    ],
)
def test_outcomes_of_trials(loss: np.ndarray, word: str, stuck_by: str | None) -> None:
    found = judged(loss)
    assert found.trial == word, found
    assert stuck_by is None or found.stuck_by == stuck_by


def test_a_loss_has_not_risen_where_the_weights_hardly_moved() -> None:
    run = residual_recording(steps=60, norm=True).run()
    run.variables["loss"] = np.where(STEPS < 1, 2.27, 2.303) + NOISE  # its first happened to be a low one
    run.variables["update_norm"] = 1e-6 * run.variables["update_norm"]
    assert outcome(RunAnalysis(run)).stuck_by == "slow"


def test_a_loss_that_leapt_far_down_is_not_said_to_stand() -> None:
    run = residual_recording(steps=60, norm=True).run()
    run.variables["loss"] = np.where(STEPS < 2, 2.4, 0.2) + NOISE  # no trend after its first steps
    analysis = RunAnalysis(run)
    assert not analysis.is_stuck
    assert "has not moved" not in loss_summary(analysis)
    run.variables["loss"] = 3.4 + NOISE
    assert "has not moved" in loss_summary(RunAnalysis(run))


def test_a_loss_that_leapt_and_fell_but_not_to_its_first_is_no_progress() -> None:
    run = residual_recording(steps=60, norm=True).run()
    run.variables["loss"] = np.where(STEPS < 1, 2.35, 14.0 + 500 * np.exp(-STEPS / 2)) + NOISE
    found = outcome(RunAnalysis(run))
    assert found.word == "no-progress"
    assert found.reason.startswith("the loss leapt from 2.35 to ")
    assert found.reason.endswith(" and ends at 14, above where it began")


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        pytest.param(np.where(STEPS < 1, 0.7, 1.5 + 5.0 * np.exp(-STEPS / 40)), "still falls", id="it falls to the end"),
        pytest.param(np.where(STEPS < 1, 0.7, 1.5 + 5.0 * np.exp(-STEPS / 3)), "ends", id="it had little to do at first"),
    ],
)
def test_a_first_loss_that_was_easy_accuses_nobody(losses: np.ndarray, words: str) -> None:
    """The negatives of a queue come after the first step, say; and no update was large."""
    made = residual_recording(steps=60, norm=True)
    made.loss = losses + 0.1 * NOISE
    found = diagnose(made.run())
    assert found.outcome.word == "unclear"
    assert words in found.outcome.reason
    assert [one.id for one in found if one.severity == "error"] == []


def test_a_short_run_has_no_outcome() -> None:
    found = judged(np.linspace(2, 1, 12))
    assert (found.word, found.trial) == ("unclear", None)
    assert "only 12 losses were seen, and 20 are needed" in found.reason


WAVE = np.sin(np.arange(200) ** 2)
LONG = np.arange(200)


@pytest.mark.parametrize(
    ("loss", "word"),
    [
        (4.0 * np.exp(-LONG / 40) + 0.02 * WAVE + 0.1, "learns"),
        (np.where(LONG < 30, 2.0, 1.6) + 0.02 * WAVE, "learns-poorly"),
        (2.0 + 0.1 * WAVE, "no-progress"),
        # Twice the noise hides nothing of a fall of a fifth, ten times as much would.
        (2.0 + 8.0 * np.abs(WAVE), "unclear"),
        (2.0 + 0.002 * LONG + 0.02 * WAVE, "no-progress"),
        (np.where(LONG < 120, 3.0 * np.exp(-LONG / 20) + 0.01, 1.0) + 0.002 * WAVE, "learns-poorly"),
        # It leaps when the task changes, and learns again.
        (np.where(LONG < 100, 3.0 * np.exp(-LONG / 8), 3.0 * np.exp(-(LONG - 100) / 30)) + 0.001 * (1 + WAVE), "learns"),
        # Up and down by ten at a ten-thousandth of the start: the noise of a training that is done.
        (3.0 * np.exp(-LONG / 10) + 1e-5 * (2 + WAVE) * np.where(LONG > 150, 20, 1), "learns"),
        (np.where(LONG < 120, 2.0, np.nan), "diverged"),
        (2.0 * np.exp(-LONG / 40) - 5.0, "learns"),
        (0.5 * WAVE - 0.1, "unclear"),
    ],
)
def test_what_became_of_a_training(loss: np.ndarray, word: str) -> None:
    found = judged(loss)
    assert found.word == word, found


def test_a_loss_that_rises_or_relapses_is_an_error() -> None:
    for loss in (2.0 + 0.005 * LONG, np.where(LONG < 120, 3.0 * np.exp(-LONG / 20) + 0.01, 1.0)):
        made = residual_recording(steps=200)
        made.loss = loss + 0.002 * WAVE
        (first, *_) = diagnose(made.run())
        assert first.severity == "error", first


def test_several_optimizers_or_targets_that_move_are_never_called_stuck() -> None:
    for change in ({"groups": ["Adam[0]", "SGD[0]"]}, {"by_step": {"evaluations": np.full(200, 2)}}):
        made = dataclasses.replace(residual_recording(steps=200), **change)
        made.loss = 0.7 + 0.01 * WAVE + 0.001 * LONG
        found = diagnose(made.run())
        assert (found.outcome.word, found.outcome.trial, found.verdict.id) == ("unclear", "trains", "inconclusive"), found


@pytest.mark.parametrize(("pace", "trial"), [(1.0, ("trains", "")), (1e-6, ("stuck", "slow"))])
def test_weights_that_stand_train_nothing_whatever_the_loss_may_do(pace: float, trial: tuple[str, str]) -> None:
    made = dataclasses.replace(residual_recording(steps=200), groups=["Adam[0]", "SGD[0]"])
    made.loss = 0.7 + 0.01 * WAVE + 0.001 * LONG
    run = made.run()
    run.variables["update_norm"] = pace * run.variables["update_norm"]
    found = outcome(RunAnalysis(run))
    assert (found.word, found.trial, found.stuck_by) == ("unclear", *trial), found
    assert ("the weights stand" in found.reason) is (pace < 1.0)


def test_an_output_that_is_the_same_for_all_samples_has_collapsed() -> None:
    made = residual_recording(steps=200)
    made.loss = np.where(LONG < 5, 3.2, 2.6) + 0.05 * WAVE
    made.activation.kappa[5:, -1] = 1 - 1e-9
    found = diagnose(made.run())
    assert found.outcome.word == "collapsed-output"
    assert "classifier" in found.outcome.reason
    # A single sample is common to itself.
    made.by_step["batch_size"] = np.ones(200)
    assert diagnose(made.run()).outcome.word != "collapsed-output"


def test_a_fall_says_nothing_where_the_output_is_the_same_for_all_samples() -> None:
    made = residual_recording(steps=200)
    made.loss = np.where(LONG < 5, 3.2, 0.4) + 0.05 * WAVE
    assert diagnose(made.run()).outcome.word == "learns"
    made.activation.kappa[5:, -1] = 1 - 1e-9
    found = diagnose(made.run())
    assert (found.outcome.word, found.verdict.severity) == ("learns-poorly", "info")
    # Targets that differ by little beside their mean, which the network follows.
    made.by_step |= {"prediction_error": np.full(200, 0.1), "target_variance": np.ones(200)}
    assert diagnose(made.run()).outcome.word == "learns"


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"target_class": np.zeros(200), "target_classes": np.ones(200)}, "learns-poorly"),
        ({"target_smallest": np.zeros(200), "target_largest": np.zeros(200)}, "learns-poorly"),
        ({"target_class": (LONG // 20).astype(float), "target_classes": np.ones(200)}, "learns"),  # one class after another
        ({"target_class": np.zeros(200), "target_classes": np.full(200, 2.0)}, "learns"),
        ({"target_smallest": np.zeros(200), "target_largest": np.ones(200)}, "learns"),
        ({"target_class": np.where(LONG < 5, 0.0, np.nan), "target_classes": np.where(LONG < 5, 1.0, np.nan)}, "learns"),  # too few
    ],
    ids=["one class", "one number", "class by class", "two classes", "two numbers", "few looks"],
)
def test_a_fall_says_nothing_where_every_target_is_the_same(seen: dict[str, np.ndarray], word: str) -> None:
    made = residual_recording(steps=200)
    made.loss = np.where(LONG < 5, 3.2, 0.4) + 0.05 * WAVE
    made.by_step |= seen
    # As in contrastive and ranking losses: outputs keep differing by sample.
    assert diagnose(made.run()).outcome.word == "learns"
    made.activation.kappa[5:, -1] = 0.98
    assert diagnose(made.run()).outcome.word == word


NEAR_ONE, NEAR_ZERO = -1 + 0.8 * np.exp(-LONG / 20) + 0.001 * (1 + WAVE), 2.0 * np.exp(-LONG / 20) + 0.001 * (1 + WAVE)


@pytest.mark.parametrize(
    ("loss", "late", "seen", "word"),
    [
        pytest.param(NEAR_ONE, 0.8, {}, "unclear", id="all cosines are one"),
        pytest.param(NEAR_ZERO, 0.8, {}, "unclear", id="all distances are zero"),
        pytest.param(NEAR_ONE, 0.4, {}, "learns", id="outputs keep differing"),
        pytest.param(NEAR_ZERO, 0.8, {"target_variance": np.ones(200)}, "learns", id="there is a target"),
        pytest.param(NEAR_ONE - 0.5, 0.8, {}, "learns", id="no cosine"),
        pytest.param(NEAR_ZERO + 0.5, 0.8, {}, "learns", id="not at its floor"),
    ],
)
def test_an_embedding_whose_outputs_come_to_be_alike(loss: np.ndarray, late: float, seen: dict[str, np.ndarray], word: str) -> None:
    """Losses that compare outputs with each other are smallest where all of them are one."""
    made = residual_recording(steps=200)
    made.loss = loss
    made.by_step |= seen
    made.activation.kappa[:, -1] = np.where(LONG < 5, 0.3, late)
    found = diagnose(made.run())
    assert (found.outcome.word, found.verdict.severity) == (word, "info"), found.outcome
    assert ("outputs come to be alike" in found.outcome.reason) is (word == "unclear")


def test_a_signed_loss_whose_targets_may_move_says_nothing_by_its_fall() -> None:
    """What fell may be a critic's part, while the policy's goes anywhere."""
    made = residual_recording(steps=200)
    made.loss = 3.0 * np.exp(-LONG / 20) + 0.05 * WAVE
    assert (made.loss < 0).any()
    assert diagnose(made.run()).outcome.word == "learns"
    made.by_step["evaluations"] = np.ones(200)
    assert diagnose(made.run()).outcome.word == "unclear"


def test_one_of_several_heads_may_be_constant() -> None:
    made = residual_recording(steps=200)
    made.loss = np.where(LONG < 5, 3.2, 0.4) + 0.05 * WAVE
    made.activation.kappa[5:, -1] = 1 - 1e-9
    head, mean = made.layers[-1], made.layers[-2]
    mean |= {"layer": "mean", "layer_kind": "linear", "layer_type": "Linear", "channels": 2}
    named = {"parameter_size": 128, "parameter_group": 0}
    made.parameters[-1] |= {"parameter_layer": head["layer"], "parameter_shape": "10x64"}
    made.parameters[-2] |= {"parameter_layer": "mean", "parameter_shape": "2x64", **named}
    assert diagnose(made.run()).outcome.word == "learns"
    made.activation.kappa[5:, -2] = 1 - 1e-9
    assert diagnose(made.run()).outcome.word == "learns-poorly"


def test_an_easy_first_batch_is_no_rise() -> None:
    made = residual_recording(steps=200)
    noise = np.exp(0.8 * np.random.default_rng(0).standard_normal(200))
    made.loss = np.geomspace(0.05, 1e-4, 200) * noise
    made.loss[:6] = 0.01, 0.1, 0.08, 0.12, 0.09, 0.1
    assert not RunAnalysis(made.run()).rose_early
    made.loss = np.full(200, 0.3) + 0.001 * WAVE
    made.loss[0] = 0.01
    assert RunAnalysis(made.run()).rose_early


@pytest.mark.parametrize(
    ("sign", "labelled", "word"),
    [pytest.param(-1.0, True, "unclear", id="turned"), (1.0, True, "learns"), pytest.param(-1.0, False, "learns", id="no cross-entropy")],
)
def test_a_cross_entropy_whose_sign_is_turned_is_not_said_to_learn(sign: float, labelled: bool, word: str) -> None:
    made = residual_recording(steps=60)
    fall = np.linspace(0.0, 2.0, 60)
    made.loss = -np.log(10) - fall if sign < 0 else np.log(10) - fall
    if labelled:
        made.by_step["target_classes"] = np.full(60, 10.0)
    found = outcome(RunAnalysis(made.run()))
    assert found.word == word
    assert ("its sign is most likely wrong" in found.reason) == (word == "unclear")


@pytest.mark.parametrize(
    ("every", "said"), [(1, "gradients in most steps, so"), (10, "in most of the steps looked at, which are multiples of 10 apart")]
)
def test_evaluations_are_told_of_the_steps_looked_at(every: int, said: str) -> None:
    made = residual_recording(steps=200)
    made.by_step["evaluations"] = np.where(np.arange(200) % every == every - 1, 1, -1)
    assert said in RunAnalysis(made.run()).loss_may_stand
