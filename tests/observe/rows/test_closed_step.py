"""How an open step becomes a row; the merging of moments is tested in test_merge.py."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import moments
from bnprobe.observe.instruments.updates import UpdateMeasurement
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.rows.closed_step import ClosedStep
from bnprobe.observe.rows.open_step import GroupSettings, OpenStep
from bnprobe.observe.signals.records import OUTPUT, Pass, Tap, TapKey

MODULES = [nn.Identity(), nn.Identity()]
KEYS = [TapKey(weakref.ref(module), 0, OUTPUT) for module in MODULES]
FORWARD = Pass(weakref.ref(MODULES[0]), 0, True)


class Places:
    """Stands for the axes: the layer of ``KEYS[n]`` is n, three channels each; parameters in order of first sight."""

    channels = 6

    def __init__(self) -> None:
        self.parameters: list[torch.Tensor] = []

    def introduce_layers(self, taps: Iterable[Tap]) -> None:
        pass

    def layer(self, tap: Tap) -> int:
        return KEYS.index(tap.key)

    def channel_slice(self, layer: int) -> slice:
        return slice(3 * layer, 3 * layer + 3)

    def parameter(self, parameter: torch.Tensor) -> int:
        if not any(known is parameter for known in self.parameters):
            self.parameters.append(parameter)
        return next(index for index, known in enumerate(self.parameters) if known is parameter)


def tap(x: torch.Tensor, layer: int = 0, is_gradient: bool = False) -> Tap:
    return Tap(KEYS[layer], is_gradient, FORWARD, layer, moments(x, CHANNELS_FIRST))


def close(step: OpenStep, *taps: Tap) -> tuple[dict[str, Any], Any]:
    return ClosedStep(step, taps).row(cast(Axes, Places()))


def test_a_step_without_anything() -> None:
    row, channels = close(OpenStep(7, observed=True))
    assert row["step"] == 7
    assert (row["loss"], row["batch_size"], row["micro_steps"], row["skipped"]) == (None, None, 0, 0)
    assert channels is not None and channels.step == 7


def test_the_loss_is_the_sum_over_micro_steps() -> None:
    step = OpenStep(0, observed=False)
    step.losses = (torch.tensor(1.0), torch.tensor(2.0), torch.tensor([6.0]))
    assert close(step)[0]["loss"] == 9.0


@pytest.mark.parametrize("losses", [(1.0, math.nan), (math.inf, -math.inf)])
@pytest.mark.filterwarnings("error")
def test_one_loss_that_is_no_number_spoils_the_sum(losses: tuple[float, ...]) -> None:
    step = OpenStep(0, observed=False)
    step.losses = tuple(torch.tensor(loss) for loss in losses)
    assert math.isnan(close(step)[0]["loss"])


def test_settings_stand_at_their_group() -> None:
    step = OpenStep(0, observed=False)
    step.groups = {2: GroupSettings(torch.tensor(0.5), 0.9, 1e-4), 0: GroupSettings(0.25, math.nan, 0.0)}
    row, _ = close(step)
    np.testing.assert_equal(np.asarray(row["learning_rate"], dtype=float), [0.25, math.nan, 0.5])
    np.testing.assert_equal(np.asarray(row["momentum"], dtype=float), [math.nan, math.nan, 0.9])
    np.testing.assert_equal(np.asarray(row["weight_decay"], dtype=float), [0.0, math.nan, 1e-4])


@pytest.mark.parametrize(("skipped", "expected"), [(False, 0), (True, 1), (torch.tensor(1.0), 1), (torch.tensor(0.0), 0)])
def test_a_skipped_step_is_marked(skipped: Any, expected: int) -> None:
    step = OpenStep(0, observed=False)
    step.skipped = skipped
    assert close(step)[0]["skipped"] == expected


def test_signals_stand_at_their_layer() -> None:
    x = torch.arange(6.0).reshape(2, 3) - 2.0
    row, channels = close(OpenStep(3, observed=True), tap(x, layer=1))
    np.testing.assert_allclose(row["activation_rms"], [math.nan, float(x.square().mean().sqrt())], rtol=1e-6)
    np.testing.assert_allclose(row["activation_min"], [math.nan, -2.0])
    np.testing.assert_allclose(row["activation_max"], [math.nan, 3.0])
    np.testing.assert_allclose(row["activation_zeros"], [math.nan, 1 / 6])
    assert not any(name.startswith("activation_gradient") for name in row)
    columns = channels.columns(cast(Axes, Places()))
    assert columns["snapshot"] == 3
    np.testing.assert_allclose(columns["channel_mean"], [math.nan] * 3 + x.mean(0).tolist())
    np.testing.assert_allclose(columns["channel_variance"], [math.nan] * 3 + x.var(0, correction=0).tolist(), rtol=1e-6)


def test_the_energies_add_up_over_micro_steps_of_unequal_size() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(n, 3, 4, generator=generator, dtype=torch.float64) + 5 for n in (2, 5, 1)]
    row, _ = close(OpenStep(0, observed=True), *[tap(part) for part in parts])
    whole = torch.cat(parts)
    assert row["activation_common_energy"][0] == pytest.approx(float(whole.mean((0, 2)).square().mean()), rel=1e-10)
    assert row["activation_between_energy"][0] == pytest.approx(float(whole.mean(2).var(0, correction=0).mean()), rel=1e-10)
    assert row["activation_within_energy"][0] == pytest.approx(float(whole.var(2, correction=0).mean()), rel=1e-10)
    assert row["activation_rms"][0] == pytest.approx(float(whole.square().mean().sqrt()), rel=1e-10)


def test_the_scaler_is_taken_out_of_gradients_alone() -> None:
    x = torch.tensor([[1.0, -2.0, 4.0], [3.0, 0.0, 1.0]])
    step = OpenStep(0, observed=True)
    step.scale = torch.tensor(8.0)
    row, channels = close(step, tap(x), tap(8 * x, is_gradient=True))
    for name in ("common_energy", "between_energy", "rms", "min", "max", "zeros"):
        np.testing.assert_allclose(row[f"activation_gradient_{name}"], row[f"activation_{name}"], rtol=1e-12, err_msg=name)
    columns = channels.columns(cast(Axes, Places()))
    np.testing.assert_allclose(columns["channel_gradient_mean"], columns["channel_mean"])
    np.testing.assert_allclose(columns["channel_gradient_variance"], columns["channel_variance"])


@pytest.mark.filterwarnings("error")
def test_a_signal_that_is_not_finite_has_infinite_energy_and_a_count() -> None:
    x = torch.tensor([[1.0, math.nan, 2.0], [math.inf, 0.0, 3.0]])
    row, _ = close(OpenStep(0, observed=True), tap(x))
    assert row["activation_nonfinite"][0] == 2
    assert row["activation_rms"][0] == row["activation_common_energy"][0] == row["activation_within_energy"][0] == math.inf
    assert (row["activation_min"][0], row["activation_max"][0]) == (0.0, 3.0)


def test_dead_channels_are_those_that_are_zero_throughout() -> None:
    x = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert close(OpenStep(0, observed=True), tap(x))[0]["activation_dead"][0] == pytest.approx(2 / 3)


def test_updates_of_two_optimizers_stand_at_their_parameters() -> None:
    one, two, three = (torch.ones(n) for n in (1, 2, 3))
    step = OpenStep(0, observed=True)
    step.updates = (
        UpdateMeasurement([one, two], torch.tensor([4.0, math.nan]), torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.2])),
        UpdateMeasurement([three], torch.tensor([8.0]), torch.tensor([3.0])),
    )
    step.fused_scale = torch.tensor(4.0)
    row, _ = close(step)
    np.testing.assert_allclose(row["parameter_gradient_norm"], [1.0, math.nan, 2.0])
    np.testing.assert_allclose(row["weight_norm"], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(row["update_norm"], [0.1, 0.2, math.nan], rtol=1e-6)


def test_a_step_that_is_not_observed_has_no_signals() -> None:
    row, channels = close(OpenStep(0, observed=False))
    assert channels is None
    assert "weight_norm" not in row
    assert row["layers_observed"] == 0


def test_kernels_stand_at_their_parameters_in_the_snapshot() -> None:
    vector, kernel, other = torch.ones(2), torch.ones(1, 1, 3), torch.ones(1, 1, 3)
    measured = torch.tensor([[math.nan, 0.25], [math.nan, 4.0]], dtype=torch.float64)
    step = OpenStep(0, observed=True)
    step.updates = (
        UpdateMeasurement([other], torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([0.1])),
        UpdateMeasurement([vector, kernel], torch.tensor([4.0, 5.0]), torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.2]), measured),
    )
    row, channels = close(step)
    np.testing.assert_allclose(row["update_norm"], [0.1, 0.1, 0.2], rtol=1e-6)
    columns = channels.columns(cast(Axes, Places()))
    np.testing.assert_equal(columns["kernel_slice_mean"], [math.nan, math.nan, 0.25])
    np.testing.assert_equal(columns["kernel_cmrr"], [math.nan, math.nan, 4.0])


def test_a_step_at_which_no_kernel_was_measured_says_nothing_of_them() -> None:
    step = OpenStep(0, observed=True)
    step.updates = (UpdateMeasurement([torch.ones(1)], torch.tensor([4.0]), torch.tensor([1.0]), torch.tensor([0.1])),)
    assert not {"kernel_slice_mean", "kernel_cmrr"} & close(step)[1].columns(cast(Axes, Places())).keys()
