from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bnprobe.analyse.limits import Interval, Search, estimates
from bnprobe.experiments.limits.predict import CURVATURE, DIVERGES, RISES, predictions_of
from bnprobe.store.limits_file import Prediction
from bnprobe.store.reader import read_run
from tests.experiments.limits.conftest import QUADRATIC
from tests.synthetic_runs import LineProbe, residual_recording


@pytest.mark.slow
def test_curvature_and_line_probe_of_a_quadratic_predict_its_limit(tmp_path: Path) -> None:
    # One weight at rest leaves a quadratic of curvature 4: gradient descent is stable below 2/4, and from there on a step raises the loss.
    (tmp_path / "train.py").write_text(
        QUADRATIC.replace("MOMENTUM", "0.0").replace("1.0)\ncurvature", "1.0)\nmodel.weight.data[0, 1] = 0\ncurvature")
    )
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", "run.h5", "--max-steps", "20"]
    subprocess.run([*command, "--curvature", "5", "--line-probe", "5", "train.py"], cwd=tmp_path, check=True)
    found = predictions_of(read_run(tmp_path / "run.h5"), "NONE")
    kinds = {one.estimate for one in found}
    assert {CURVATURE, RISES, DIVERGES} <= kinds
    for one in found:
        if one.estimate == CURVATURE:
            assert one.high == pytest.approx(2 / 4, rel=1e-3)
        if one.estimate == RISES:
            assert one.low <= 2 / 4 <= one.high


def test_an_estimate_is_laid_beside_the_limit_of_its_own_remedy() -> None:
    searches = [Search("NONE", 0, Interval(1.0, 1.5), "diverges", 5, 0), Search("NONE", 1, Interval(0.1, 0.15), "diverges", 5, 0)]
    predictions = [
        Prediction("NONE", RISES, 0, 0.3, 0.4),
        Prediction("NONE", RISES, 5, 0.1, 0.2),
        Prediction("NONE", RISES, 9, 0.2, 0.3),
        Prediction("NONE", f"{RISES} with msr", 0, 1.0, 2.0),
    ]
    plain, with_msr = estimates(predictions, searches, own_rate=0.1)
    assert (plain.lowest, plain.step, plain.steps) == (Interval(0.1, 0.2), 5, 3)
    assert plain.middle == Interval(0.2, 0.3)
    assert plain.ratio is not None
    assert (plain.ratio.trains_at, plain.ratio.fails_at) == (pytest.approx(0.1 / 0.15), pytest.approx(0.2 / 0.1))
    assert with_msr.is_projected
    assert with_msr.ratio is None


@pytest.mark.parametrize("remedy", ["msr", "msr:w=0.99", "clip-norm:max=2+msr", "clip-norm:max=1e+2+msr:noise", "msr+no-norm"])
def test_what_a_remedy_at_work_would_do_is_not_projected_once_more(remedy: str) -> None:
    made = residual_recording(steps=10)
    made.line_probes = [LineProbe(step, 0.1, (1.0, 2.0), variant=variant) for step in (3, 6) for variant in ("taken", "msr")]
    found = predictions_of(made.run(), remedy)
    assert {one.estimate for one in found} == {RISES}
    plain = predictions_of(made.run(), "clip-norm:max=2")
    assert {one.estimate for one in plain} == {RISES, f"{RISES} with msr"}
