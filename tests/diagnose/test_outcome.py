from __future__ import annotations

import numpy as np
import pytest

from bnprobe.diagnose.outcome import Outcome, outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from tests.synthetic_runs import residual_recording

NOISE = 0.01 * np.sin(np.arange(60) ** 2)


def judged(loss: np.ndarray) -> Outcome:
    """The outcome of a run of a classifier of ten classes with these losses."""
    run = residual_recording(steps=len(loss), norm=True).run()
    run.variables["loss"] = np.asarray(loss, dtype=float)
    run.variables["update_norm"] = 2 * run.variables["update_norm"]  # far enough in sixty steps not to stand still
    return outcome(RunAnalysis(run))


STEPS = np.arange(60)


@pytest.mark.parametrize(
    ("loss", "word", "stuck_by"),
    [
        (2.3 * np.exp(-STEPS / 30) + NOISE, "trains", ""),
        # It leaps down, and stays.
        (np.where(STEPS < 2, 2.4, 0.2) + NOISE, "trains", ""),
        # Up and down again, and well below the start.
        (np.where((STEPS > 5) & (STEPS < 30), 3.0, 0.25) + np.where(STEPS < 6, 2.1, 0.0) + NOISE, "trains", ""),
        # From far above chance level down to it: nothing was learned.
        (2.303 + 7 * np.exp(-STEPS / 3.0) + NOISE, "stuck", "level"),
        # Up, and down again to where it began.
        (2.35 + 20 * np.exp(-(((STEPS - 15) / 5.0) ** 2)) + 0.05 * np.exp(-STEPS / 30), "stuck", None),
        (2.0 + 0.1 * STEPS, "stuck", "risen"),
        (2.0 * 1.5**STEPS, "diverges", ""),
        (np.where(STEPS < 30, 2.0, np.inf), "diverges", ""),
    ],
)
def test_outcomes(loss: np.ndarray, word: str, stuck_by: str | None) -> None:
    found = judged(loss)
    assert found.word == word, found
    assert stuck_by is None or found.stuck_by == stuck_by


def test_a_short_run_has_no_outcome() -> None:
    found = judged(np.linspace(2, 1, 12))
    assert found.word is None
    assert "only 12 losses were seen, and 20 are needed" in found.reason
