"""Guessing among the outputs is what a loss is compared with where it asks for one of them, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording


@pytest.mark.parametrize(
    ("compared", "is_at_chance"), [("", True), ("target_classes", True), ("target_smallest", False), ("target_variance", False)]
)
def test_chance_level_is_that_of_classes(compared: str, is_at_chance: bool) -> None:
    run = residual_recording(steps=60, norm=True).run()
    run.variables["loss"] = np.log(10) + 0.01 * np.sin(np.arange(60) ** 2)
    if compared:
        run.variables[compared] = np.full(60, 1.0)
    analysis = RunAnalysis(run)
    assert analysis.classes == 10
    assert analysis.is_at_chance == is_at_chance


@pytest.mark.parametrize(
    ("seen", "error", "is_at_chance"),
    [("loss_of_one_class", 2.0, True), ("softmax_trivial", 0.01, True), ("softmax_trivial", 2.0, False), ("", 0.01, False)],
)
def test_a_squared_error_beside_classes_does_not_hide_them(seen: str, error: float, is_at_chance: bool) -> None:
    """Soft labels or a hand-written cross-entropy show no label; a softmax may also be one of attention, in a network of numbers."""
    run = residual_recording(steps=60, norm=True).run()
    run.variables["loss"] = np.log(10) + 0.01 * np.sin(np.arange(60) ** 2)
    run.variables.update(target_variance=np.full(60, 1.0), prediction_error=np.full(60, error))
    if seen:
        run.variables[seen] = np.zeros(60, dtype=np.int32)
    assert RunAnalysis(run).is_at_chance == is_at_chance
