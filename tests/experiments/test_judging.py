"""What trials say of a cause: the rules, on trials written out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bnprobe.experiments.counterfactuals import AGAIN, AS_IS, GENERIC
from bnprobe.experiments.evidence import is_better, spread_of
from bnprobe.experiments.judging import judge, judge_cause, judge_recording, refusal_of
from bnprobe.store.confirm_file import Trial
from tests.synthetic_runs import in_detail_at, residual_recording

GAP = ("batch-norm-small-batch",)
LEARNS: dict[str, Any] = {"status": "ran", "outcome": "learns", "level": 2, "steps": 200, "start": 2.3}


def trial(name: str = "trial", late: float = 0.3, **changes: Any) -> Trial:
    return Trial(name, **{**LEARNS, "late": late, **changes})


def diverged(name: str) -> Trial:
    return trial(name, math.inf, outcome="diverged", level=0, steps=9)


def stuck(name: str, late: float = 2.31) -> Trial:
    return trial(name, late, outcome="no-progress", level=0)


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ("RemedyError: no optimizer", "no optimizer"),
        ("NothingToActOn: no convolution: none", "no convolution: none"),
        ("TreatedAlready: all", "all"),
        ("RunFileError: damaged", ""),
        ("ValueError: x", ""),
        ("", ""),
    ],
)
def test_a_remedy_that_cannot_act_is_refused(ending: str, why: str) -> None:
    made = residual_recording(steps=20)
    made.attributes["ending"] = ending
    assert refusal_of(made.run()) == why


@pytest.mark.parametrize("status", ["crashed", "exited", "running", "interrupted"])
def test_a_recording_that_broke_off_has_no_outcome(status: str) -> None:
    run = residual_recording(steps=40).run()
    assert judge_recording(AS_IS, run).status == "ran"
    run.attributes["status"] = status
    found = judge_recording(AS_IS, run)
    assert (found.status, found.steps) == ("failed", 40) and "at step 40" in found.why


def test_a_recording_of_little_detail_is_as_long_as_its_training() -> None:
    run = residual_recording(steps=40).run()
    found = judge_recording(AS_IS, in_detail_at(run, range(0, 40, 2)))
    assert found.steps == 40
    assert found.loss == tuple(run["loss"].tolist())


def refused(name: str) -> Trial:
    return Trial(name, "refused", "there is none")


def named(trial: Trial, *causes: str) -> Trial:
    """The trial, whose own diagnosis names causes."""
    return replace(trial, findings=causes)


def judged(cause: str, as_is: Trial, generic: Trial, *tests: Trial, again: Trial | None = None) -> tuple[str, str]:
    made = {one.name: one for one in (as_is, generic, *tests)}
    found = judge_cause(cause, made, [as_is, *([again] if again else [])])
    return found.word, found.reason


def test_a_cause_is_confirmed_where_only_its_counterfactual_trains() -> None:
    word, reason = judged("missing-zero-grad", stuck(AS_IS), stuck(GENERIC), trial("clear-gradients", 0.12))
    assert word == "confirmed"
    assert reason == "loss 0.12 after 200 steps with clear-gradients, 2.31 without"


def test_it_is_refuted_where_that_changes_nothing() -> None:
    for same in (stuck("clear-gradients", 2.29), trial("clear-gradients", 2.0, level=0)):
        assert judged("missing-zero-grad", stuck(AS_IS), stuck(GENERIC), same)[0] == "refuted"
    assert judged("missing-zero-grad", diverged(AS_IS), diverged(GENERIC), diverged("clear-gradients"))[0] == "refuted"


def test_a_mistake_that_is_there_is_not_refuted_for_doing_no_harm() -> None:
    base, undone = named(stuck(AS_IS), "missing-zero-grad"), replace(stuck("clear-gradients", 2.29), acts="9 gradients left")
    word, reason = judged("missing-zero-grad", base, stuck(GENERIC), undone)
    assert word == "undecided"
    assert reason.startswith("it is there (9 gradients left), and the script trains no better without it: loss 2.29 after")
    assert judged("missing-zero-grad", named(base), stuck(GENERIC), undone)[0] == "refuted", "the recording names none"


def test_a_loss_that_is_not_finite_before_any_update_is_no_matter_of_the_rate() -> None:
    at_once = [replace(diverged(one), steps=1) for one in (AS_IS, GENERIC)]
    guarded = stuck("guard-arithmetic", 1e-7)
    word, reason = judged("numerical-fault", *at_once, guarded)
    assert word == "confirmed" and reason.endswith("diverged at step 0 without, before any update")
    assert judged("numerical-fault", *at_once, diverged("guard-arithmetic"))[0] == "refuted"
    assert judged("numerical-fault", diverged(AS_IS), diverged(GENERIC), guarded)[0] != "confirmed", "steps were taken before"


def test_it_is_undecided_where_a_smaller_rate_does_as_well() -> None:
    word, reason = judged("missing-zero-grad", diverged(AS_IS), trial(GENERIC, 0.3), trial("clear-gradients", 0.29))
    assert word == "undecided"
    assert reason.startswith("loss 0.29 after 200 steps with clear-gradients, diverged at step 8 without, ")
    assert reason.endswith("but loss 0.3 after 200 steps with a tenth of the rate")
    assert judged("missing-zero-grad", diverged(AS_IS), trial(GENERIC, 0.3), trial("clear-gradients", 0.1))[0] == "confirmed"


def test_it_is_undecided_where_the_trial_makes_things_worse_or_refuses() -> None:
    assert judged("missing-zero-grad", trial(AS_IS, 1.0), trial(GENERIC, 2.0), diverged("clear-gradients"))[0] == "undecided"
    word, reason = judged("missing-zero-grad", stuck(AS_IS), stuck(GENERIC), refused("clear-gradients"))
    assert (word, reason) == ("undecided", "clear-gradients refused: there is none")


def test_a_refusal_beside_a_trial_that_changed_nothing_refutes() -> None:
    made = (refused("reinitialise"), stuck("layer-norm"))
    assert judged("vanishing-gradients", stuck(AS_IS), stuck(GENERIC), *made)[0] == "refuted"


def test_a_trial_without_an_outcome_refutes_nothing() -> None:
    made = (Trial("reinitialise", "failed", "the script ended with an error"), stuck("layer-norm"))
    assert judged("vanishing-gradients", stuck(AS_IS), stuck(GENERIC), *made)[0] == "undecided"


def test_one_counterfactual_of_several_is_enough() -> None:
    made = (stuck("reinitialise"), trial("layer-norm", 0.2))
    as_is = named(stuck(AS_IS), "vanishing-gradients")
    assert judged("vanishing-gradients", as_is, stuck(GENERIC), *made)[0] == "confirmed"


@pytest.mark.parametrize(
    ("cause", "name"), [("mean-shift", "layer-norm"), ("saturated-units", "reinitialise"), ("loss-spike", "clip-norm")]
)
def test_what_helps_many_confirms_only_what_the_recording_names(cause: str, name: str) -> None:
    """Somebody suspects it: that layer norm lets a network train does not say that its mean had shifted."""
    other = named(diverged(AS_IS), "exploding-gradients")
    word, reason = judged(cause, other, diverged(GENERIC), trial(name, 0.2))
    assert word == "undecided"
    assert reason.endswith("but that helps many a training that fails, and the recording does not warn of this cause")
    assert judged(cause, named(other, "exploding-gradients", cause), diverged(GENERIC), trial(name, 0.2))[0] == "confirmed"


def test_what_helps_many_confirms_nothing_beside_a_mistake_that_is_undone() -> None:
    base = named(stuck(AS_IS), "vanishing-gradients")
    made = {one.name: one for one in (base, stuck(GENERIC), trial("layer-norm", 1.1), trial("training-mode", 0.1))}
    found = {one.cause: one for one in judge(("vanishing-gradients", "eval-mode-training"), made, [base])}
    assert (found["vanishing-gradients"].word, found["eval-mode-training"].word) == ("undecided", "confirmed")
    assert found["vanishing-gradients"].reason.startswith(
        "layer-norm helps, but so does training-mode, which takes away eval-mode-training"
    )
    assert judge(("vanishing-gradients",), made, [base])[0].word == "confirmed"


def test_of_causes_of_one_trial_the_recording_decides() -> None:
    base = named(stuck(AS_IS), "probabilities-for-logarithms")
    made = (stuck(GENERIC), trial("bypass-squashing", 0.1))
    word, reason = judged("double-softmax", base, *made)
    assert word == "undecided" and reason.endswith("but that takes away probabilities-for-logarithms, too, which the recording names")
    assert judged("probabilities-for-logarithms", base, *made)[0] == "confirmed"
    assert judged("double-softmax", named(base), *made)[0] == "confirmed", "it names neither"


def test_what_was_looked_for_and_is_not_there_is_refuted() -> None:
    absent = Trial("training-mode", "refused", "no module was in evaluation mode while it was trained", is_ruled_out=True)
    word, reason = judged("eval-mode-training", stuck(AS_IS), stuck(GENERIC), absent)
    assert (word, reason) == ("refuted", "it is not there: no module was in evaluation mode while it was trained")
    assert judged("eval-mode-training", stuck(AS_IS), stuck(GENERIC), replace(absent, is_ruled_out=False))[0] == "undecided"


def test_what_is_not_there_is_not_confirmed_by_a_second_trial() -> None:
    absent = Trial("norm-by-call", "refused", "no batch norm is called more than once in a forward", is_ruled_out=True)
    base = trial(AS_IS, 0.3, held_out=4.5, findings=("batch-norm-reused",))
    made = (trial(GENERIC, 0.8, held_out=4.0), absent, trial("group-norm", 0.3, held_out=0.3))
    assert judged("batch-norm-reused", base, *made)[0] == "refuted"


def test_of_a_rate_the_tenth_is_the_counterfactual() -> None:
    assert judged("learning-rate-too-high", named(diverged(AS_IS), "learning-rate-too-high"), trial(GENERIC, 0.2))[0] == "confirmed"
    assert judged("learning-rate-too-high", stuck(AS_IS), stuck(GENERIC))[0] == "refuted"


def test_rates_that_all_diverge_do_not_refute_that_the_rate_is_too_high() -> None:
    word, reason = judged("learning-rate-too-high", diverged(AS_IS), diverged(GENERIC), diverged("a hundredth of the rate"))
    assert word == "undecided" and reason.endswith("all of them diverge, and a rate that is smaller still may not")
    one_is_stuck = judged("learning-rate-too-high", diverged(AS_IS), diverged(GENERIC), stuck("a hundredth of the rate", 9.0))
    assert one_is_stuck[0] != "confirmed"


def test_smaller_steps_confirm_nothing_beside_a_cause_that_goes_away_at_full_ones() -> None:
    base = named(diverged(AS_IS), "learning-rate-too-high", "loss-spike")
    made = {one.name: one for one in (base, trial(GENERIC, 0.5), trial("clear-gradients", 0.1), trial("clip-norm", 0.1))}
    causes = ("learning-rate-too-high", "missing-zero-grad", "loss-spike")
    found = {one.cause: one for one in judge(causes, made, [made[AS_IS]])}
    assert found["missing-zero-grad"].word == "confirmed"
    assert found["learning-rate-too-high"].word == found["loss-spike"].word == "undecided"
    assert "so does clear-gradients, which takes away missing-zero-grad" in found["learning-rate-too-high"].reason


def test_of_causes_that_one_trial_takes_away_the_first_stands() -> None:
    base = named(stuck(AS_IS), "symmetric-initialisation", "saturated-units")
    made = {one.name: one for one in (base, stuck(GENERIC), trial("reinitialise", 0.1))}
    found = judge(("symmetric-initialisation", "saturated-units"), made, [made[AS_IS]])
    assert [one.word for one in found] == ["confirmed", "undecided"]
    assert found[1].reason.startswith("reinitialise helps, but it also takes away symmetric-initialisation")


def test_what_a_confirmed_cause_brings_about_is_not_confirmed_beside_it() -> None:
    base = named(diverged(AS_IS), "exploding-activations")
    made = {one.name: one for one in (base, diverged(GENERIC), trial("standardise-inputs", 0.4), trial("layer-norm", 0.1))}
    for causes in (("unscaled-input", "exploding-activations"), ("exploding-activations", "unscaled-input")):
        found = {one.cause: one for one in judge(causes, made, [base])}
        assert (found["unscaled-input"].word, found["exploding-activations"].word) == ("confirmed", "undecided"), "in either order"
        expected = "layer-norm helps, but unscaled-input, which standardise-inputs takes away, can bring this about"
        assert found["exploding-activations"].reason.startswith(expected)
    assert judge(("exploding-activations",), made, [made[AS_IS]])[0].word == "confirmed"


def test_a_symptom_that_goes_away_confirms() -> None:
    gap = {"findings": ("batch-norm-small-batch",)}
    made = (trial(AS_IS, 0.3, **gap), trial(GENERIC, 0.3, **gap))
    word, reason = judged("batch-norm-small-batch", *made, trial("group-norm", 0.35))
    assert word == "confirmed" and reason.endswith("and what showed it is gone")
    assert judged("batch-norm-small-batch", *made, trial("group-norm", 0.35, **gap))[0] == "refuted"
    assert judged("batch-norm-small-batch", made[0], trial(GENERIC, 0.3), trial("group-norm", 0.35))[0] == "undecided"


def test_what_two_runs_of_the_script_differ_by_is_no_difference() -> None:
    made = (trial(AS_IS, 1.0), trial(GENERIC, 2.0), trial("clear-gradients", 0.75))
    assert judged("missing-zero-grad", *made)[0] == "confirmed"
    assert judged("missing-zero-grad", *made, again=trial(AGAIN, 0.98))[0] == "confirmed"
    assert judged("missing-zero-grad", *made, again=trial(AGAIN, 0.8))[0] == "refuted"
    assert spread_of([1.0, 0.8, math.nan]) == pytest.approx(0.2)


def test_nothing_is_said_where_the_script_gives_no_outcome() -> None:
    broken = Trial(AS_IS, "failed", "the script ended with an error at step 0")
    assert judged("missing-zero-grad", broken, stuck(GENERIC)) == (
        "undecided",
        "the script as it is gave no outcome: the script ended with an error at step 0",
    )


def test_a_cause_without_a_trial_says_so() -> None:
    assert judged("stuck", stuck(AS_IS), stuck(GENERIC)) == ("undecided", "there is no trial for this cause")


def test_a_loss_is_clearly_lower_beyond_its_noise_alone() -> None:
    base = trial(late=1.0, noise=0.2)
    assert not is_better(trial(late=0.7, noise=0.2), base, 0.0, changes_loss=False)
    assert is_better(trial(late=0.7, noise=0.01), replace(base, noise=0.01), 0.0, changes_loss=False)
    assert not is_better(trial(late=0.81), trial(late=1.0), 0.0, changes_loss=False)


def test_a_loss_that_cannot_be_negative_and_is_has_not_learned() -> None:
    made = (trial(AS_IS, -187.0, start=0.5), trial(GENERIC, -20.0, start=0.6))
    assert judged("targets-out-of-range", *made, trial("targets-in-range", 0.27, start=0.69))[0] == "confirmed"
    assert judged("targets-out-of-range", *made, trial("targets-in-range", 0.68, start=0.69))[0] == "refuted"


def test_losses_of_another_kind_are_compared_with_their_own_start() -> None:
    base = trial(late=1.5, start=2.3)
    assert is_better(trial(late=30.0, start=100.0), base, 0.0, changes_loss=True)
    assert not is_better(trial(late=0.1, start=0.12), base, 0.0, changes_loss=True)


def test_the_evaluations_of_the_script_confirm_what_shows_there() -> None:
    made = (trial(AS_IS, 0.3, held_out=4.5, missed=0.6), trial(GENERIC, 0.8, held_out=4.0, missed=0.6))
    word, reason = judged("batch-norm-reused", *made, trial("norm-by-call", 0.3, held_out=0.32, missed=0.1))
    assert (word, reason) == ("confirmed", "held-out loss 0.32 with norm-by-call, 4.5 without")
    made = tuple(replace(one, samples=200) for one in made)
    word, reason = judged("batch-norm-reused", *made, trial("norm-by-call", 0.3, missed=0.1, samples=200))
    assert (word, reason) == ("confirmed", "10.0% of the held-out labels missed with norm-by-call, 60.0% without")
    assert judged("batch-norm-reused", *made, trial("norm-by-call", 0.3, held_out=4.4, missed=0.59))[0] == "refuted"
    assert judged("missing-zero-grad", *made, trial("clear-gradients", 0.3, held_out=0.3))[0] == "refuted", "it shows elsewhere"


def test_a_tenth_of_the_rate_counts_only_where_it_helps() -> None:
    gap = {"findings": ("batch-norm-small-batch",)}
    as_is, calm = trial(AS_IS, 0.3, **gap), trial("group-norm", 0.35)
    assert judged("batch-norm-small-batch", as_is, trial(GENERIC, 2.0, level=1), calm)[0] == "confirmed"


def losses(fall: float, noise: float = 0.5, steps: int = 200) -> tuple[float, ...]:
    """Losses that fall by so much, with the noise of the same batches for all."""
    batches = np.random.default_rng(0).normal(0.0, noise, steps)
    return tuple((2.0 - fall * np.linspace(0.0, 1.0, steps) + batches).tolist())


def test_losses_on_the_same_batches_are_compared_step_by_step() -> None:
    made = (trial(AS_IS, 1.97, loss=losses(0.0), level=0), trial(GENERIC, 1.99, loss=losses(-0.01), level=0))
    further = trial("float32", 1.9, loss=losses(0.1), level=0)
    word, reason = judged("lost-updates", *made, further)
    assert word == "confirmed" and reason.endswith("on the same batches it is lower step by step")
    assert judged("lost-updates", *made, further, again=trial(AGAIN, 1.99, loss=losses(0.02)))[0] == "refuted", "it does not repeat itself"
    assert judged("lost-updates", *made, trial("float32", 1.96, loss=losses(0.01), level=0))[0] == "refuted", "not worth a word"
    other_batches = trial("float32", 1.9, loss=losses(0.1)[::-1], level=0)
    assert judged("lost-updates", *made, other_batches)[0] == "refuted", "no more than their noise"
    assert judged("vanishing-gradients", *made, replace(further, name="layer-norm"))[0] == "refuted", "that helps many"


def test_a_further_fall_is_told_beside_what_the_script_fell_as_it_is() -> None:
    made = (trial(AS_IS, 0.5, loss=losses(1.5)), trial(GENERIC, 1.9, loss=losses(0.1)))
    assert judged("lost-updates", *made, trial("float32", 0.45, loss=losses(1.55)))[0] == "refuted"
    assert judged("lost-updates", *made, trial("float32", 0.45, loss=losses(1.9)))[0] == "confirmed"


def leaping(rise: float, after: float, at: int = 60) -> tuple[float, ...]:
    """Losses that leap at a step, and lie above the level before for as long as one looks."""
    return (*[1.0] * at, 1.0 + rise, *[1.0 + after] * 60)


def test_a_spike_is_confirmed_where_the_loss_comes_back_sooner() -> None:
    spike = {"findings": ("loss-spike",)}
    made = (trial(AS_IS, 1.0, leap=60, loss=leaping(9.0, 2.0), **spike), trial(GENERIC, 2.0, loss=leaping(1.0, 1.0), **spike))
    word, reason = judged("loss-spike", *made, trial("clip-norm", 1.0, loss=leaping(9.0, 0.2), **spike))
    assert word == "confirmed"
    assert "from step 60 on the loss rose by 0.64 on average, and by 2.35 without" in reason
    assert judged("loss-spike", *made, trial("clip-norm", 1.0, loss=leaping(9.0, 1.9), **spike))[0] == "refuted"


def test_a_spike_that_comes_at_any_rate_is_the_batch() -> None:
    spike: dict[str, Any] = {"findings": ("loss-spike",)}
    at_once = {"leap": 60, "loss": leaping(9.0, 0.0), **spike}
    made = (trial(AS_IS, 1.0, **at_once), trial(GENERIC, 2.0, loss=leaping(4.0, 0.0), **spike), trial("clip-norm", 1.0, **at_once))
    word, reason = judged("loss-spike", *made, trial("warm-up", 1.0, **at_once))
    assert word == "confirmed"
    assert reason == "the loss leaps at step 60 at a tenth of the rate and with a warm-up, too: it is the batch of that step"
    assert judged("loss-spike", *made, trial("warm-up", 1.0, loss=leaping(0.0, 0.0), **spike))[0] == "confirmed", (
        "it is the size of the steps"
    )
    elsewhere = trial(GENERIC, 2.0, loss=leaping(9.0, 0.0, at=40), **spike)
    assert judged("loss-spike", made[0], elsewhere, made[2], trial("warm-up", 1.0, **at_once))[0] == "refuted"


def test_an_optimizer_that_takes_no_step_is_an_outcome() -> None:
    run = residual_recording(steps=20).run()
    idle = replace(run, variables={name: values[:0] if name == "step" else values for name, values in run.variables.items()})
    idle.attributes.update(backwards_without_update=40, status="finished")
    found = judge_recording(AS_IS, idle)
    assert (found.status, found.outcome, found.level) == ("ran", "untrained", 0)
    assert judged("no-optimizer-step", found, replace(found, name=GENERIC), trial("take-steps", 0.3))[0] == "confirmed"


def test_a_loss_with_dropout_in_it_refutes_nothing() -> None:
    made = (trial(AS_IS, 0.1), trial(GENERIC, 1.0))
    word, reason = judged("eval-mode-training", *made, trial("training-mode", 0.3))
    assert (word, reason) == ("undecided", "loss 0.3 after 200 steps with training-mode, 0.1 without")
    evaluated = (trial(AS_IS, 0.1, held_out=0.9), trial(GENERIC, 1.0, held_out=1.2))
    assert judged("eval-mode-training", *evaluated, trial("training-mode", 0.3, held_out=0.88))[0] == "refuted"
    assert judged("eval-mode-training", *evaluated, trial("training-mode", 0.3, held_out=0.4))[0] == "confirmed"


def test_without_dropout_the_loss_has_to_be_much_lower() -> None:
    made = (trial(AS_IS, 0.3), trial(GENERIC, 1.0))
    assert judged("dropout-too-strong", *made, trial("no-dropout", 0.2))[0] == "refuted", "so it is in any training"
    assert judged("dropout-too-strong", *made, trial("no-dropout", 0.1))[0] == "confirmed"
    assert judged("dropout-too-strong", stuck(AS_IS), stuck(GENERIC), trial("no-dropout", 1.4))[0] == "confirmed"
    evaluated = (trial(AS_IS, 0.3, held_out=0.9), trial(GENERIC, 1.0, held_out=1.0))
    assert judged("dropout-too-strong", *evaluated, trial("no-dropout", 0.2, held_out=0.3))[0] == "confirmed"


def test_an_outcome_that_is_better_by_its_word_alone_is_no_difference() -> None:
    barely = trial("reinitialise", 2.28, outcome="learns-poorly", level=1, noise=0.02)
    assert not is_better(barely, replace(stuck(AS_IS), noise=0.02), 0.0, changes_loss=False)
    assert is_better(replace(barely, late=2.0), replace(stuck(AS_IS), noise=0.02), 0.0, changes_loss=False)


def test_a_tenth_of_the_rate_that_does_nearly_as_well_confirms_nothing() -> None:
    """It is lower than the script as it is by a little less than what is clear, the trial by a little more."""
    made = (named(trial(AS_IS, 1.0), "vanishing-gradients"), trial("reinitialise", 0.79))
    for late in (0.7, 0.79, 0.805, 0.95):
        word, reason = judged("vanishing-gradients", made[0], trial(GENERIC, late), made[1])
        assert word == "undecided" and reason.endswith("with a tenth of the rate")
    assert judged("vanishing-gradients", made[0], trial(GENERIC, 0.995), made[1])[0] == "confirmed", "which is clearly better than that"
    assert judged("vanishing-gradients", made[0], trial(GENERIC, 1.0), made[1])[0] == "confirmed"
    noisy = replace(made[0], noise=0.02)
    assert judged("vanishing-gradients", noisy, trial(GENERIC, 0.95), made[1])[0] == "confirmed", "no lower than its errors"


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        ("weight-decay-too-strong", "no-weight-decay"),
        ("clipping-too-tight", "no-clipping"),
        ("frozen-parameters", "unfreeze"),
        ("frozen-parameters", "keep-graph"),
        ("detached-loss", "keep-graph"),
    ],
)
def test_what_a_script_may_mean_is_confirmed_only_where_it_is_named_and_nothing_is_learned(cause: str, name: str) -> None:
    """A loss is lower in healthy trainings, too, without decay or a clip, and with a backbone or a target that is trained."""
    named, better = {"findings": (cause,)}, trial(name, 0.06)
    assert judged(cause, stuck(AS_IS), stuck(GENERIC), better)[0] == "undecided"
    word, reason = judged(cause, trial(AS_IS, 0.37), trial(GENERIC, 1.9), better)
    assert word == "undecided" and "the recording does not warn of this cause" in reason
    word, reason = judged(cause, trial(AS_IS, 0.37, **named), trial(GENERIC, 1.9), better)
    assert word == "undecided" and "the script as it is learns" in reason
    assert judged(cause, replace(stuck(AS_IS), **named), stuck(GENERIC), better)[0] == "confirmed"


def test_what_nobody_can_have_meant_is_confirmed_of_a_script_that_learns_too() -> None:
    base, unfrozen = named(trial(AS_IS, 0.37), "frozen-parameters"), trial("unfreeze", 0.06)
    assert judged("frozen-parameters", base, trial(GENERIC, 1.9), unfrozen)[0] == "undecided"
    assert judged("frozen-parameters", base, trial(GENERIC, 1.9), replace(unfrozen, is_no_choice=True))[0] == "confirmed"
    assert judged("frozen-parameters", named(base), trial(GENERIC, 1.9), replace(unfrozen, is_no_choice=True))[0] == "undecided"


def test_without_decay_the_held_out_loss_has_to_be_lower_too() -> None:
    base = replace(stuck(AS_IS), findings=("weight-decay-too-strong",), held_out=2.3)
    word, reason = judged("weight-decay-too-strong", base, stuck(GENERIC), trial("no-weight-decay", 0.1, held_out=2.9))
    assert word == "undecided" and "the held-out loss is no lower: 2.9 with no-weight-decay, 2.3 without" in reason
    assert judged("weight-decay-too-strong", base, stuck(GENERIC), trial("no-weight-decay", 0.1, held_out=0.3))[0] == "confirmed"


def test_held_out_labels_have_errors() -> None:
    """Of a hundred labels four or five are missed as luck has it; of ten thousand they are not."""
    for samples, word in ((100, "refuted"), (0, "refuted"), (10_000, "confirmed")):
        made = [trial(one, held_out=0.2, missed=0.05, samples=samples) for one in (AS_IS, GENERIC)]
        found = judged("eval-mode-training", made[0], made[1], trial("training-mode", held_out=0.2, missed=0.04, samples=samples))
        assert found[0] == word
        assert word == "refuted" or found[1] == "4.0% of the held-out labels missed with training-mode, 5.0% without"


def test_what_is_better_held_out_must_not_be_worse_there_by_the_other_measure() -> None:
    made = [trial(one, held_out=0.2, missed=0.05, samples=100, findings=GAP) for one in (AS_IS, GENERIC)]
    word, reason = judged("batch-norm-small-batch", *made, trial("group-norm", held_out=0.15, missed=0.3, samples=100, findings=GAP))
    assert word == "undecided"
    assert reason.endswith("held out it is worse: loss 0.15, 30.0% of labels missed with it, loss 0.2, 5.0% of labels missed without")
    assert (
        judged("batch-norm-small-batch", *made, trial("group-norm", held_out=0.15, missed=0.05, samples=100, findings=GAP))[0]
        == "confirmed"
    )


def test_what_two_runs_differ_by_held_out_is_no_difference() -> None:
    made = [trial(one, held_out=0.2, missed=0.05, samples=10_000, findings=GAP) for one in (AS_IS, GENERIC)]
    better = trial("group-norm", held_out=0.14, missed=0.04, samples=10_000, findings=GAP)
    assert judged("batch-norm-small-batch", *made, better)[0] == "confirmed"
    assert judged("batch-norm-small-batch", *made, better, again=trial(AGAIN, held_out=0.28, missed=0.07, samples=10_000))[0] != "confirmed"
