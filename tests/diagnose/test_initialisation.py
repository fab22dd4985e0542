from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnprobe.diagnose import Finding
from bnprobe.diagnose.initialisation import symmetric_initialisation
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording

Findings = Callable[..., list[Finding]]


@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("seed", range(3))
def test_constant_weights(findings: Findings, every: int, seed: int) -> None:
    (first, *_) = findings("symmetric-initialisation", seed, every=every)
    assert (first.id, first.step, first.layers) == ("symmetric-initialisation", 0, ("0", "2"))


def test_a_single_layer_of_zeros_is_none(findings: Findings) -> None:
    assert [one.id for one in findings("zero-last-layer")] == ["healthy"]


def test_rows_of_zeros_are_alike_after_the_first_update_of_signs_and_not_for_good() -> None:
    made = residual_recording(steps=20)
    alike = np.arange(len(made.parameters)) == 2
    first = np.where(alike, 0.0, 1.0)
    made.by_snapshot["row_difference"] = np.stack([first, *(np.where(alike, 0.01, 1.0) for _ in range(len(made.snapshots) - 1))])
    assert symmetric_initialisation(RunAnalysis(made.run())) is not None
    start = made.snapshots[0]
    made.weight_norm[start, 2] = 0.0
    assert symmetric_initialisation(RunAnalysis(made.run())) is None


def test_the_first_snapshot_may_come_late() -> None:
    made = residual_recording(steps=20)
    made.snapshots = [5, 10]
    alike = np.arange(len(made.parameters)) == 2
    made.by_snapshot["row_difference"] = np.stack([np.where(alike, value, 1.0) for value in (0.0, 0.01)])
    made.weight_norm[5, 2] = 0.0
    assert symmetric_initialisation(RunAnalysis(made.run())) is None


def test_a_weight_without_gradient_is_none() -> None:
    made = residual_recording(steps=20)
    made.by_snapshot["row_difference"] = np.where(np.arange(len(made.parameters)) == 2, 0.0, 1.0)
    assert symmetric_initialisation(RunAnalysis(made.run())) is not None
    made.gradient_norm[:, 2] = np.nan
    assert symmetric_initialisation(RunAnalysis(made.run())) is None


def test_equal_rows_behind_dead_units_are_no_copies_but_zeros_are() -> None:
    made = residual_recording(steps=20)
    made.by_snapshot["row_difference"] = np.where(np.arange(len(made.parameters)) == 2, 0.0, 1.0)
    made.gradient_norm[:, 2] = 0.0
    assert symmetric_initialisation(RunAnalysis(made.run())) is None
    made.weight_norm[:, 2] = 0.0
    assert symmetric_initialisation(RunAnalysis(made.run())) is not None
    made.gradient_norm[:, 2] = np.nan  # no gradient ever reached it
    assert symmetric_initialisation(RunAnalysis(made.run())) is None
