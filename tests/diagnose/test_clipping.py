"""Clipping at the wrong moment, and clipping too tight."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose.clipping import clipped_before_unscaling, clipping_too_tight
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import Recording, residual_recording


def clipped(before: float, limit: float, scale: float) -> Recording:
    made = residual_recording(steps=40)
    made.by_step |= {"clip_norm": np.full(40, before), "clip_limit": np.full(40, limit), "loss_scale": np.full(40, scale)}
    return made


def used(made: Recording, norm: float) -> Recording:
    """Let the optimizer use gradients of that norm over all parameters."""
    made.gradient_norm[:] = norm / np.sqrt(made.gradient_norm.shape[1])
    return made


def test_what_a_scaler_still_multiplies() -> None:
    assert clipped_before_unscaling(RunAnalysis(used(clipped(1e4, 1.0, 1024.0), 1 / 1024).run())) is not None
    assert clipped_before_unscaling(RunAnalysis(used(clipped(10.0, 1.0, 1024.0), 1.0).run())) is None  # unscaled first
    assert clipped_before_unscaling(RunAnalysis(used(clipped(1e4, 1.0, 1.0), 1.0).run())) is None  # no scale


def test_too_tight_is_clipping_that_keeps_the_weights_in_place() -> None:
    made = clipped(2.0, 1e-4, np.nan)
    made.loss = 2.3 + 0.01 * np.random.default_rng(0).standard_normal(40)
    made.update_norm[:] = 1e-6 * made.weight_norm
    assert clipping_too_tight(RunAnalysis(made.run())) is not None
    made.update_norm[:] = 0.1 * made.weight_norm  # an optimizer that divides the scale out again
    assert clipping_too_tight(RunAnalysis(made.run())) is None
