"""Trials of real programs: with the fault taken away by an intervention, and by the person who wrote it (``--fixed``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnprobe.experiments.counterfactuals import counterfactual
from bnprobe.experiments.judging import judge_trial
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.process import TrialProcess
from bnprobe.store.confirm_file import Trial
from tests.faults.program import HERE

STEPS = 60
#: By program: the trial that takes its fault away, to the last bit of every loss.
EQUAL = {
    "missing_zero_grad_mlp": "clear-gradients",
    "gradients_cleared_digits": "keep-gradients",
    "gradients_cleared_trainer": "keep-gradients",
    "one_class_softmax_churn": "two-classes",
    "eval_mode_training_cnn": "training-mode",
    "broadcast_loss_regression": "align-shapes",
    "double_softmax_mlp": "bypass-squashing",
    "rectified_logits_tags": "bypass-squashing",
    "softmax_over_batch_classes": "class-softmax",
    "softmax_over_batch_implicit": "class-softmax",
    "mixed_samples_directions": "states-by-sample",
    "flat_second_derivative_rod": "smooth-units",
    "no_optimizer_step_scheduler": "take-steps",
    "detached_loss_by_hand": "keep-graph",
    "detached_loss_collected": "keep-graph",
}


def tried(program: str, change: Change, folder: Path, *arguments: str) -> Trial:
    script = Script(str(HERE / "tuned" / f"{program}.py"), False, arguments)
    process = TrialProcess(TrialOrder(script, change, STEPS, None, command="confirm"), folder)
    process.wait()
    try:
        return judge_trial("a trial", process)
    finally:
        process.end()
        process.clear()


@pytest.mark.slow
@pytest.mark.parametrize(("program", "name"), EQUAL.items(), ids=EQUAL)
def test_a_trial_is_the_training_of_the_mended_script(program: str, name: str, tmp_path: Path) -> None:
    mended = tried(program, Change(), tmp_path / "mended", "--fixed")
    without = tried(program, counterfactual(name).change, tmp_path / "without")
    faulty = tried(program, Change(), tmp_path / "faulty")
    assert without.status == mended.status == "ran"
    assert len(without.loss) == STEPS
    assert without.loss == pytest.approx(mended.loss, rel=1e-4)
    assert faulty.loss != pytest.approx(mended.loss, rel=1e-4)
    assert without.acts and not mended.acts


@pytest.mark.slow
def test_a_trial_that_finds_nothing_ends_early_and_says_so(tmp_path: Path) -> None:
    trial = tried("missing_zero_grad_mlp", counterfactual("clear-gradients").change, tmp_path / "trial", "--fixed")
    assert (trial.status, trial.why) == ("refused", "every gradient was cleared before the next backward")
    assert trial.steps < 10


@pytest.mark.slow
def test_a_trial_at_another_rate_says_so(tmp_path: Path) -> None:
    trial = tried("missing_zero_grad_mlp", counterfactual("a tenth of the rate").change, tmp_path / "trial")
    assert trial.acts == "every learning rate, times 0.1"


@pytest.mark.slow
def test_a_remedy_that_refuses_says_so(tmp_path: Path) -> None:
    trial = tried("missing_zero_grad_mlp", counterfactual("msr").change, tmp_path / "trial")
    assert trial.status == "refused" and "0 convolutions are trained" in trial.why
