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
