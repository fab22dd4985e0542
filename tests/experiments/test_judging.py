"""What trials say of a cause: the rules, on trials written out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from bnprobe.experiments.counterfactuals import AGAIN, AS_IS, GENERIC
from bnprobe.experiments.judging import is_better, judge, judge_cause, judge_recording, refusal_of, spread_of
from bnprobe.store.confirm_file import Trial
from tests.synthetic_runs import in_detail_at, residual_recording

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
    assert judged("vanishing-gradients", stuck(AS_IS), stuck(GENERIC), *made)[0] == "confirmed"


def test_of_a_rate_the_tenth_is_the_counterfactual() -> None:
    assert judged("learning-rate-too-high", diverged(AS_IS), trial(GENERIC, 0.2))[0] == "confirmed"
    assert judged("learning-rate-too-high", diverged(AS_IS), diverged(GENERIC))[0] == "refuted"


def test_smaller_steps_confirm_nothing_beside_a_cause_that_goes_away_at_full_ones() -> None:
    made = {one.name: one for one in (diverged(AS_IS), trial(GENERIC, 0.5), trial("clear-gradients", 0.1), trial("clip-norm", 0.1))}
    causes = ("learning-rate-too-high", "missing-zero-grad", "loss-spike")
    found = {one.cause: one for one in judge(causes, made, [made[AS_IS]])}
    assert found["missing-zero-grad"].word == "confirmed"
    assert found["learning-rate-too-high"].word == found["loss-spike"].word == "undecided"
    assert "so does clear-gradients, which takes away missing-zero-grad" in found["learning-rate-too-high"].reason


def test_of_causes_that_one_trial_takes_away_the_first_stands() -> None:
    made = {one.name: one for one in (stuck(AS_IS), stuck(GENERIC), trial("reinitialise", 0.1))}
    found = judge(("symmetric-initialisation", "saturated-units"), made, [made[AS_IS]])
    assert [one.word for one in found] == ["confirmed", "undecided"]
    assert found[1].reason.startswith("reinitialise helps, but it also takes away symmetric-initialisation")


def test_what_a_confirmed_cause_brings_about_is_not_confirmed_beside_it() -> None:
    made = {one.name: one for one in (diverged(AS_IS), diverged(GENERIC), trial("standardise-inputs", 0.4), trial("layer-norm", 0.1))}
    found = judge(("unscaled-input", "exploding-activations"), made, [made[AS_IS]])
    assert [one.word for one in found] == ["confirmed", "undecided"]
    assert "unscaled-input, which is confirmed, can bring this about" in found[1].reason
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
    assert spread_of([trial(late=1.0), trial(late=0.8)]) == pytest.approx(0.2)


def test_nothing_is_said_where_the_script_gives_no_outcome() -> None:
    broken = Trial(AS_IS, "failed", "the script ended with an error at step 0")
    assert judged("missing-zero-grad", broken, stuck(GENERIC)) == (
        "undecided",
        "the script as it is gave no outcome: the script ended with an error at step 0",
    )


def test_a_cause_without_a_trial_says_so() -> None:
    assert judged("detached-loss", stuck(AS_IS), stuck(GENERIC)) == ("undecided", "there is no trial for this cause")


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
