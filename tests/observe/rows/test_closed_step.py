"""How an open step becomes a row; the merging of moments is tested in test_merge.py."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import Moments, moments
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.instruments.instrument import Instrument, Reading, Surroundings
from bnprobe.observe.instruments.kurtosis import Kurtosis
from bnprobe.observe.rows.closed_step import ClosedStep, rows
from bnprobe.observe.rows.measured_signals import SignalPlaces
from bnprobe.observe.signals.records import OUTPUT, Pass, Tap, TapKey
from bnprobe.observe.steps.modes import Modes
from bnprobe.observe.steps.open_step import GroupSettings, OpenStep

MODULES = [nn.Identity(), nn.Identity()]
KEYS = [TapKey(weakref.ref(module), 0, OUTPUT) for module in MODULES]
FORWARD = Pass(weakref.ref(MODULES[0]), 0, True)


class Places:
    """Stands for the axes: three channels a layer."""

    channels = 6

    def channel_slice(self, layer: int) -> slice:
        return slice(3 * layer, 3 * layer + 3)


def tap(x: torch.Tensor, layer: int = 0, is_gradient: bool = False) -> Tap:
    return Tap(KEYS[layer], is_gradient, FORWARD, layer, moments(x, CHANNELS_FIRST))


def close(step: OpenStep, *taps: Tap, readings: Sequence[tuple[str, Reading]] = (), instruments: Sequence[Instrument] = ()) -> Any:
    """Return the row of a step and, where it is observed, its channels; the layer of ``KEYS[n]`` is n."""
    closed = arrived(step, *taps, readings=readings, instruments=instruments)
    row, [channels] = rows([closed])
    return row, channels


def arrived(step: OpenStep, *taps: Tap, readings: Sequence[tuple[str, Reading]] = (), instruments: Sequence[Instrument] = ()) -> ClosedStep:
    """Return a closed step whose numbers are on the host."""
    closed = ClosedStep(step, SignalPlaces(lambda tap: KEYS.index(tap.key)).of(taps), readings, instruments)
    closed.arrive()
    return closed


def test_a_step_without_anything() -> None:
    row, channels = close(OpenStep(7, observed=True))
    assert row["step"] == 7
    assert (row["loss"], row.get("batch_size"), row["micro_steps"], row["skipped"]) == (None, None, 0, 0)
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


def test_readings_of_one_variable_stand_in_one_column() -> None:
    readings = [
        ("weight_norm", Reading(torch.tensor([1.0, 2.0]), [2, 0])),
        ("weight_norm", Reading([3.0, 4.0], [3, None])),
        ("stale_gradient_norm", Reading(np.array([5.0]))),
    ]
    row, channels = close(OpenStep(0, observed=True), readings=readings)
    np.testing.assert_equal(row["weight_norm"], [2.0, math.nan, 1.0, 3.0])
    assert row["stale_gradient_norm"] == 5.0
    assert channels.whole == {}


def test_readings_of_a_snapshot_stand_with_its_channels() -> None:
    readings = [("kernel_cmrr", Reading([math.nan, 4.0], [0, 1])), ("row_difference", Reading([math.nan], [0]))]
    row, channels = close(OpenStep(0, observed=True), readings=readings)
    assert "kernel_cmrr" not in row
    columns = channels.columns(cast(Axes, Places()))
    np.testing.assert_equal(columns["kernel_cmrr"], [math.nan, 4.0])
    assert "row_difference" not in columns  # nothing was measured


def test_what_an_instrument_finds_at_a_step_whose_layers_are_not_measured_is_written() -> None:
    row, channels = close(OpenStep(0, observed=False), readings=[("evaluation_batch_size", Reading([7.0]))])
    assert (row["evaluation_batch_size"], channels) == (7.0, None)


def test_an_instrument_may_look_at_the_merged_moments() -> None:
    class Samples(Instrument):
        def from_moments(self, layers: Mapping[int, Moments]) -> Mapping[str, Mapping[int, float]]:
            return {"activation_zeros": {place: float(one.samples) for place, one in layers.items()}}

    row, _ = close(
        OpenStep(0, observed=True), tap(torch.ones(2, 3)), tap(torch.ones(5, 3)), tap(torch.ones(2, 3), 1), instruments=[Samples()]
    )
    assert list(row["activation_zeros"]) == [7.0, 2.0]


def test_a_step_that_is_not_observed_has_no_signals() -> None:
    row, channels = close(OpenStep(0, observed=False))
    assert channels is None
    assert "weight_norm" not in row
    assert row["layers_observed"] == 0


def test_rows_made_together_are_those_made_alone() -> None:
    generator = torch.Generator().manual_seed(1)

    def closed(number: int) -> ClosedStep:
        step = OpenStep(number, observed=True)
        step.losses, step.scale, step.batch_size, step.modes = (float(number),), 2.0**number, 4, Modes(number, 1, 1)
        step.groups = {0: GroupSettings(0.1 * number, 0.9, math.nan)}
        x = torch.randn(4, 3, 5, generator=generator)
        x[number % 4, 1] = math.nan if number == 2 else 0.0
        taps = [tap(x), tap(x[:3]), tap(2 * x, 1), tap(3 * x, 1, is_gradient=True)]
        readings = [("weight_norm", Reading(torch.rand(2, generator=generator), [1, 3])), ("stale_gradient_norm", Reading([float(number)]))]
        return arrived(step, *taps, readings=readings, instruments=[Kurtosis(cast(Surroundings, None))])

    steps = [closed(number) for number in range(4)]
    assert all(one.structure == steps[0].structure for one in steps)
    together, channels = rows(steps)
    assert "activation_kurtosis" in together
    for index, one in enumerate(steps):
        row, [alone] = rows([one])
        for name in together:
            value = row.get(name, [math.nan, math.nan])  # a step at which an instrument finds nothing
            np.testing.assert_array_equal(np.asarray(together[name][index], float), np.asarray(value, float), err_msg=name)
        for name, value in alone.columns(cast(Axes, Places())).items():
            np.testing.assert_array_equal(channels[index].columns(cast(Axes, Places()))[name], value, err_msg=name)


def test_steps_of_which_different_things_were_measured_are_told_apart() -> None:
    x = torch.ones(2, 3)
    step = lambda: OpenStep(0, observed=True)  # noqa: E731
    closed = [arrived(step()), arrived(step(), tap(x)), arrived(step(), tap(x, 1)), arrived(step(), tap(x, is_gradient=True))]
    closed += [arrived(step(), tap(torch.ones(3, 3))), arrived(step(), readings=[("weight_norm", Reading([1.0], [0]))])]
    closed += [arrived(step(), readings=[("weight_norm", Reading([1.0], [1]))]), arrived(OpenStep(0, observed=False))]
    assert len({one.structure for one in closed}) == len(closed)
