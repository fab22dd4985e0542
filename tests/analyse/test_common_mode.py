from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnprobe.analyse import common_mode
from bnprobe.store.reader import Run, read_run
from tests.synthetic_runs import exploding_recording, residual_recording, zero_steps

RNG = np.random.default_rng(7)


def run_of_tensors(*signals: np.ndarray) -> Run:
    """A run of one layer whose steps saw the given tensors (N, C, H, W): the energies by their definitions, in float64."""
    rows: dict[str, list[float]] = {"common": [], "between": [], "within": []}
    for x in signals:
        channel_mean, sample_mean = x.mean(axis=(0, 2, 3)), x.mean(axis=(2, 3))
        rows["common"].append(float((channel_mean**2).mean()))
        rows["between"].append(float(sample_mean.var(axis=0).mean()))
        rows["within"].append(float(x.var(axis=(2, 3)).mean()))
    variables = {f"activation_{name}_energy": np.array(values)[:, None] for name, values in rows.items()}
    return Run(Path("x.h5"), {}, [], [], [], [], [], variables | {"step": np.arange(len(signals))})


@pytest.mark.parametrize("shift", [0.0, 1.0, 100.0, 1e4])
def test_fractions_and_shift_against_their_definitions(shift: float) -> None:
    x = RNG.standard_normal((8, 5, 4, 3)) + shift * RNG.standard_normal((1, 5, 1, 1)) + RNG.standard_normal((8, 5, 1, 1))
    run = run_of_tensors(x)
    mean, variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    energy = (x**2).mean()
    assert common_mode.common_mode_fraction(run)[0, 0] == pytest.approx((mean**2).mean() / energy, rel=1e-9)
    assert common_mode.spatial_common_mode_fraction(run)[0, 0] == pytest.approx((x.mean(axis=(2, 3)) ** 2).mean() / energy, rel=1e-9)
    # mean_c v_c = B + W, the identity the shift in sigmas rests on
    assert common_mode.mean_shift_in_sigmas(run)[0, 0] == pytest.approx(np.sqrt((mean**2).mean() / variance.mean()), rel=1e-6)
    assert common_mode.input_dependent_rms(run)[0, 0] == pytest.approx(np.sqrt(variance.mean()), rel=1e-6)


def test_a_constant_signal_is_common_throughout_and_a_zero_signal_is_nothing() -> None:
    run = run_of_tensors(np.ones((4, 3, 2, 2)), np.zeros((4, 3, 2, 2)))
    assert common_mode.common_mode_fraction(run)[:, 0] == pytest.approx([1.0, np.nan], nan_ok=True)
    assert common_mode.mean_shift_in_sigmas(run)[:, 0] == pytest.approx([np.inf, np.nan], nan_ok=True)


def test_drift_starts_from_the_first_step_that_was_observed() -> None:
    made = exploding_recording()
    made.observed[0] = False
    run = made.run()
    drift = common_mode.drift(run)
    assert np.isnan(drift[0]).all()
    assert drift[1] == pytest.approx(np.zeros(len(run.layers)), abs=1e-12)
    assert drift[14, made.index("stage3.block1.conv1")] > 0.3


@pytest.mark.parametrize("signal", ["activation", "activation_gradient"])
def test_gaps_and_infinities_stay_gaps(signal: common_mode.Signal) -> None:
    made = residual_recording(steps=4)
    for one in (made.activation, made.gradient):
        one.rms[1, 2], one.rms[2, 3] = np.inf, np.nan
    made.observed[3] = False
    run = made.run()
    for function in (
        common_mode.common_mode_fraction,
        common_mode.spatial_common_mode_fraction,
        common_mode.mean_shift_in_sigmas,
        common_mode.drift,
    ):
        values = function(run, signal)
        assert values.shape == (4, len(run.layers))
        assert np.isnan([values[1, 2], values[2, 3]]).all()
        assert np.isnan(values[3]).all()
        assert np.isfinite(values[:3]).sum() == 3 * len(run.layers) - 2


def test_a_run_without_steps_has_no_rows(tmp_path: Path) -> None:
    run = read_run(zero_steps(tmp_path / "run.h5"))
    assert common_mode.common_mode_fraction(run).shape == (0, 0)
    assert common_mode.drift(run).shape == (0, 0)
