from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding, diagnose
from bnprobe.diagnose.loop import eval_mode_training, frozen_parameters, missing_zero_grad
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.suites import shortened
from tests.synthetic_runs import Recording, residual_recording

Findings = Callable[..., list[Finding]]


def case(made: Recording) -> RunAnalysis:
    return RunAnalysis(made.run())


@pytest.mark.parametrize("kind", ["plain", "accumulation", "train-and-eval", "frozen-norm", "frozen-backbone"])
@pytest.mark.parametrize("every", shortened([1, 5], 1))
def test_sound_loops_are_healthy(findings: Findings, kind: str, every: int) -> None:
    found = findings(kind, every=every)
    assert found[0].id == "healthy"
    assert [one.severity for one in found[1:]] == (["info"] if kind.startswith("frozen") else [])


class TestMissingZeroGrad:
    @pytest.mark.parametrize("every", [1, 5])
    @pytest.mark.parametrize("seed", range(3))
    def test_a_training(self, findings: Findings, every: int, seed: int) -> None:
        (first, *_) = findings("missing-zero-grad", seed, every=every)
        assert (first.id, first.step) == ("missing-zero-grad", every)
        assert "never cleared" in first.cause

    def with_carried(self, carried: list[float]) -> Recording:
        made = residual_recording(steps=len(carried))
        made.by_step["stale_gradient_norm"] = np.array(carried)
        return made

    def test_it_grows(self) -> None:
        found = missing_zero_grad(case(self.with_carried([0.0, *range(1, 30)])))
        assert found is not None
        assert (found.severity, found.step) == ("warning", 1)
        assert "grown 29 times in 28 steps" in found.cause

    def test_what_is_left_now_and_then_is_none(self) -> None:
        assert missing_zero_grad(case(self.with_carried([0.0, 1.0, 0.0] * 10))) is None
        assert missing_zero_grad(case(self.with_carried([1.0] + 29 * [0.0]))) is None

    def test_one_of_two_optimizers_that_step_in_turn(self) -> None:
        made = self.with_carried([0.0, 0.0, *(0.0 if step % 2 else 1.0 for step in range(28))])
        assert missing_zero_grad(case(made)) is None
        made.groups = ["SGD[0]", "Adam#2[0]"]
        turns = np.arange(30) % 2 == 0
        made.by_step["learning_rate"] = np.stack([np.where(turns, 0.1, np.nan), np.where(turns, np.nan, 0.1)], axis=1)
        found = missing_zero_grad(case(made))
        assert found is not None
        assert found.step == 2

    def test_an_optimizer_without_a_rate(self) -> None:
        made = self.with_carried([0.0] + 29 * [1.0])
        made.learning_rate[:] = np.nan
        assert missing_zero_grad(case(made)) is not None

    def test_what_comes_after_the_loss_was_lost_does_not_count(self) -> None:
        made = self.with_carried([0.0] + 9 * [1.0] + 20 * [0.0])
        assert missing_zero_grad(case(made)) is None
        made.loss[10:] = np.nan
        assert missing_zero_grad(case(made)) is not None

    def test_a_run_too_short_to_say(self) -> None:
        assert missing_zero_grad(case(self.with_carried([0.0, 1.0]))) is None

    def test_what_the_sum_does_follows_from_it(self) -> None:
        made = self.with_carried([0.0] + [1.0] * 29)
        made.loss[15:] = 1e6
        made.update_norm[8:] = made.weight_norm[8:]
        assert {one.id: one.follows_from for one in diagnose(made.run())} == {
            "missing-zero-grad": (),
            "learning-rate-too-high": ("missing-zero-grad",),
        }


class TestEvalModeTraining:
    def with_modes(self, training: list[int], evaluating: list[int], model: list[int]) -> Recording:
        made = residual_recording(steps=len(model), norm=True)
        made.by_step |= {
            "modules_training": np.array(training),
            "modules_evaluating": np.array(evaluating),
            "model_training": np.array(model),
        }
        return made

    @pytest.mark.parametrize("every", shortened([1, 5], 1))
    def test_trainings(self, findings: Findings, every: int) -> None:
        (first, *_) = findings("eval-mode-training", every=every)
        assert (first.id, first.step, first.layers) == ("eval-mode-training", 0, ("1",))
        (first, *_) = findings("eval-mode-later", every=every)
        assert (first.id, first.step) == ("eval-mode-training", 20)
        assert "since step 20 (20 of the 20 steps before it that are known ran in training mode)" in first.cause

    @pytest.mark.parametrize(
        ("training", "evaluating", "model"),
        [
            ([5] * 9, [0] * 9, [1] * 9),
            ([1] * 9, [4] * 9, [1] * 9),
            ([0] * 9, [0] * 9, [0] * 9),
            ([5] * 8 + [0], [0] * 8 + [5], [1] * 8 + [0]),
        ],
        ids=["training", "a-norm-frozen-on-purpose", "no-such-modules", "the-last-step-only"],
    )
    def test_none(self, training: list[int], evaluating: list[int], model: list[int]) -> None:
        assert eval_mode_training(case(self.with_modes(training, evaluating, model))) is None

    def test_a_body_in_evaluation_mode_is_meant_where_the_run_learns(self) -> None:
        made = self.with_modes([0] * 40, [5] * 40, [1] * 40)
        assert eval_mode_training(case(made)) is None
        made.loss = np.log(10) + 0.005 * np.random.default_rng(0).standard_normal(40)
        assert eval_mode_training(case(made)) is not None

    def test_a_run_that_came_back_to_training_is_none(self) -> None:
        assert eval_mode_training(case(self.with_modes([5, 0, 0, 5, 5], [0, 5, 5, 0, 0], [1, 0, 0, 1, 1]))) is None


class TestFrozenParameters:
    @pytest.mark.parametrize("every", shortened([1, 5], 1))
    def test_trainings(self, findings: Findings, every: int) -> None:
        (forgotten, *_) = findings("forgotten", every=every)
        assert (forgotten.id, forgotten.severity, forgotten.layers) == ("frozen-parameters", "warning", ("0", "2"))
        assert "no optimizer has" in forgotten.cause
        (detached, *_) = findings("detached", every=every)
        assert (detached.id, detached.layers) == ("frozen-parameters", ("encoder",))
        assert "no gradient ever reached" in detached.cause

    def test_a_target_network_is_given_its_weights(self, findings: Findings) -> None:
        healthy, copied = findings("target-network")
        assert (healthy.id, copied.id, copied.severity) == ("healthy", "frozen-parameters", "info")
        assert "made like one that is trained" in copied.cause

    def test_a_table_that_is_kept_beside_a_trained_embedding_is_told_for_information(self) -> None:
        made = self.behind_trained("stage1.block1.conv1")
        made.loss[:] = np.linspace(2.3, 2.2, 40)
        assert self.severity(made) == "warning"
        for layer in made.layers:
            layer["layer_kind"] = "embedding" if layer["layer"] in ("conv1", "stage1.block1.conv1") else layer["layer_kind"]
        assert self.severity(made) == "warning"  # what it gives differs between samples: it stands for them
        made.activation.kappa[:, made.index("stage1.block1.conv1")] = 1.0
        assert self.severity(made) == "info"

    def test_a_backbone_that_is_kept_is_told_for_information(self, findings: Findings) -> None:
        healthy, kept = findings("frozen-backbone")
        assert (healthy.id, kept.id, kept.severity, kept.layers) == ("healthy", "frozen-parameters", "info", ("0",))

    def test_in_a_run_that_goes_nowhere_it_is_a_warning(self) -> None:
        made = residual_recording(steps=40)
        made.loss[:] = np.log(10)
        made.by_snapshot["frozen_elements"] = np.eye(len(made.layers))[0] * 432
        found = frozen_parameters(case(made))
        assert found is not None
        assert found.severity == "warning"

    def behind_trained(self, *kept: str) -> Recording:
        """The first convolution trains, some others are frozen; the loss comes down in part."""
        made = residual_recording(steps=40)
        made.loss[:] = np.linspace(2.3, 1.4, 40)
        for parameter in made.parameters:
            parameter["parameter_group"] = 0 if parameter["parameter_layer"] in ("conv1", "classifier") else -1
        made.by_snapshot["frozen_elements"] = np.array([432.0 * (layer["layer"] in kept) for layer in made.layers])
        return made

    def severity(self, made: Recording) -> str | None:
        found = frozen_parameters(case(made))
        return found and found.severity

    def test_what_receives_what_trained_layers_make_is_a_warning_while_the_run_could_do_better(self) -> None:
        made = self.behind_trained("stage1.block1.conv1", "stage1.block1.conv2", "stage2.block1.conv1")
        found = frozen_parameters(case(made))
        assert found is not None
        assert found.severity == "warning"
        assert "although layers before it train" in found.cause
        assert "stage1.block1.conv1, stage1.block1.conv2 and 1 more layer require" in found.cause
        made.loss[:] = np.linspace(2.3, 0.6, 40)
        assert self.severity(made) == "info"

    def test_beside_a_kept_layer_that_receives_the_data_itself_are_adapters(self) -> None:
        made = self.behind_trained("stage1.block1.conv1", "stage1.block1.conv2")
        made.gradient.rms[:, [layer["layer"] == "stage1.block1.conv1" for layer in made.layers]] = np.nan
        assert self.severity(made) == "info"

    @pytest.mark.parametrize(
        ("around", "kept", "severity"),
        [
            ("stage1.block1.conv1", "stage1.block1.conv1.base", "info"),
            ("stage1.block1", "stage1.block1.conv1", "warning"),  # which holds more than that layer
            ("stage1", "stage1.block1.conv1", "warning"),  # an embedding of positions
        ],
    )
    def test_what_trains_around_a_kept_layer_alone_is_an_adapter(self, around: str, kept: str, severity: str) -> None:
        made = self.behind_trained()
        place = next(i for i, layer in enumerate(made.layers) if layer["layer"] == "stage1.block1.conv1")
        made.layers[place]["layer"] = kept
        made.parameters[1] |= {"parameter": f"{around}.a", "parameter_layer": around, "parameter_group": 0}
        made.by_snapshot["frozen_elements"] = np.eye(len(made.layers))[place] * 432
        assert self.severity(made) == severity

    def test_a_network_that_only_compares_is_none_of_what_is_trained(self) -> None:
        made = self.behind_trained("stage3.block3.conv1", "stage3.block3.conv2")
        assert self.severity(made) == "warning"
        for layer in made.layers:
            layer["layer_model"] = int(layer["layer"].startswith("stage3.block3"))
        assert self.severity(made) is None
        made.loss[:] = np.log(10)
        assert self.severity(made) is None

    def test_norms_of_a_kept_backbone_may_ask_for_gradients_in_vain(self) -> None:
        made = residual_recording(steps=40, norm=True)
        made.loss[:] = np.log(10)
        is_norm = np.array([layer["layer_kind"] == "normalisation" for layer in made.layers])
        is_kept = np.array([layer["layer_kind"] == "convolution" for layer in made.layers])
        for parameter in made.parameters:
            parameter["parameter_group"] = 0 if parameter["parameter_layer"] == "classifier" else -1
        made.by_snapshot["forgotten_elements"], made.by_snapshot["frozen_elements"] = 32.0 * is_norm, 432.0 * is_kept
        found = frozen_parameters(case(made))
        assert found is not None
        assert (found.severity, found.evidence[0].what) == ("warning", "parameters that require no gradient")
        made.by_snapshot["frozen_elements"] = 0.0 * is_kept  # a network that trains from scratch needs them
        found = frozen_parameters(case(made))
        assert found is not None
        assert found.severity == "error"

    def test_an_optimizer_that_has_not_stepped_yet_says_nothing(self) -> None:
        made = residual_recording(steps=20)
        made.gradient_norm[:, 3], made.update_norm[:, 3] = np.nan, 0.0
        assert frozen_parameters(case(made)) is not None
        made.weight_norm[:, 3] = np.nan
        assert frozen_parameters(case(made)) is None

    def test_what_moves_was_reached_although_its_gradient_has_no_norm(self) -> None:
        """Where it is a sum over ranks, and each holds a summand."""
        made = residual_recording(steps=20)
        made.gradient_norm[:, 3] = np.nan
        assert frozen_parameters(case(made)) is None

    @pytest.mark.parametrize("cleared", [np.nan, 0.0], ids=["to none", "to zeros"])
    def test_gradients_that_arrived_and_were_cleared_are_not_frozen(self, cleared: float) -> None:
        made = residual_recording(steps=40)
        made.gradient_norm[:] = cleared
        made.update_norm[:] = 0.0
        made.loss[:] = 2.0 + 0.01 * np.sin(np.arange(40) ** 2)
        assert frozen_parameters(case(made)) is None
        (first, *_) = diagnose(made.run())
        assert (first.id, first.severity, first.confidence) == ("gradients-cleared", "error", 0.95)
        assert first.cause.startswith("The gradients are cleared before they are used")

    def test_gradients_so_small_that_those_of_weights_may_underflow_were_not_cleared(self) -> None:
        made = residual_recording(steps=40)
        made.gradient_norm[:] = 0.0
        made.update_norm[:] = 0.0
        made.gradient.rms[:] = 1e-7
        made.loss[:] = 2.0 + 0.01 * np.sin(np.arange(40) ** 2)
        assert "gradients-cleared" not in [one.id for one in diagnose(made.run())]

    @pytest.mark.parametrize("zero", ["weights", "outputs"])
    def test_gradients_that_are_zero_by_themselves_were_not_cleared(self, zero: str) -> None:
        """As of two zero factors whose product is added to a weight, and behind units that are all dead."""
        made = residual_recording(steps=40)
        made.gradient_norm[:] = 0.0
        made.update_norm[:] = 0.0
        made.loss[:] = 2.0 + 0.01 * np.sin(np.arange(40) ** 2)
        assert "gradients-cleared" in [one.id for one in diagnose(made.run())]
        (made.weight_norm if zero == "weights" else made.activation.rms)[:] = 0.0
        assert "gradients-cleared" not in [one.id for one in diagnose(made.run())]

    def test_an_optimizer_of_another_network_cleared_nothing(self) -> None:
        """Its weights never had a gradient, and the layers that had one are in no optimizer."""
        made = residual_recording(steps=40)
        made.gradient_norm[:] = np.nan
        made.update_norm[:] = 0.0
        made.loss[:] = 2.0 + 0.01 * np.sin(np.arange(40) ** 2)
        made.by_snapshot["forgotten_elements"] = np.full(len(made.layers), 10.0)
        made.by_snapshot["frozen_elements"] = np.zeros(len(made.layers))
        (first, *_) = diagnose(made.run())
        assert (first.id, first.severity) == ("frozen-parameters", "error")
        assert "of another one" in first.fix


@pytest.mark.parametrize(
    ("rate", "learns", "severity"),
    [pytest.param(0.0, False, "warning", id="goes nowhere"), pytest.param(0.0, True, "info", id="learns"), (1e-5, False, None)],
)
def test_a_group_whose_rate_is_zero_is_not_trained(rate: float, learns: bool, severity: str | None) -> None:
    made = residual_recording(steps=40)
    made.groups = ["SGD[0]", "SGD[1]"]
    for parameter in made.parameters:
        parameter["parameter_group"] = int(parameter["parameter_layer"] == "conv1")
    if not learns:
        made.loss[:] = 2.0 + 0.01 * np.random.default_rng(3).standard_normal(40)
    run = made.run()
    run["learning_rate"][:, 1] = rate
    found = frozen_parameters(RunAnalysis(run))
    assert (found and found.severity) == severity
    if found is not None:
        assert found.layers == ("conv1",)
        assert "is zero at every step" in found.cause
