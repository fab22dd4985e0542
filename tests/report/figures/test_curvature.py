from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnprobe.analyse.tolerance import UNSETTLED
from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.colours import ALARM, LINE
from bnprobe.report.figures.curvature import curvature, curvature_limits, probes_of
from bnprobe.report.terminal import summary
from tests.synthetic_runs import residual_recording


def probe(step: int, sharpness: float, rate: float = 0.1, **others: Any) -> dict[str, Any]:
    """A probe of plain gradient descent."""
    row = {
        "sharpness": sharpness,
        "residual": 0.05 * sharpness,
        "lowest": -1.0,
        "preconditioned": sharpness,
        "preconditioned_residual": 0.05 * sharpness,
        "threshold": 2 / rate,
        "learning_rate": rate,
        "limit": 2 / sharpness,
        "products": 4,
        "reason": "",
    }
    return {"curvature": step, **{f"curvature_{name}": value for name, value in (row | others).items()}}


def recorded(*probes: dict[str, Any]) -> AnalysedRun:
    made = residual_recording(steps=12)
    made.probes = list(probes)
    return analyse_runs([made.run()])[0]


def test_sharpness_stands_against_the_threshold_and_the_limit_beside_the_rate() -> None:
    analysed = recorded(probe(0, 5.0), probe(5, 40.0), probe(10, 10.0, rate=0.2))
    probes = probes_of(analysed.run)
    assert probes is not None
    threshold, sharpness, rate, limit = curvature(analysed, probes).data
    assert sharpness.x.tolist() == [0, 5, 10]
    np.testing.assert_allclose(threshold.y, [20, 20, 10])
    np.testing.assert_allclose(sharpness.y, [5, 40, 10])
    np.testing.assert_allclose(sharpness.error_y.array, [0.25, 2, 0.5])
    assert list(sharpness.marker.color) == [LINE, ALARM, LINE]
    np.testing.assert_allclose(rate.y, [0.1, 0.1, 0.2])
    np.testing.assert_allclose(limit.y, [0.4, 0.05, 0.2])
    assert "residual 2" in sharpness.customdata[1] and "limit 0.05" in sharpness.customdata[1]


def test_probes_without_a_number_are_left_out() -> None:
    nothing = {f"curvature_{name}": np.nan for name in ("sharpness", "preconditioned", "threshold", "learning_rate", "limit")}
    analysed = recorded(probe(0, 5.0), {"curvature": 5, **nothing, "curvature_reason": "fused attention has no second derivative"})
    probes = probes_of(analysed.run)
    assert probes is not None and probes.steps.tolist() == [0]
    assert probes_of(recorded({"curvature": 5, **nothing}).run) is None
    assert probes_of(recorded().run) is None


def test_without_a_threshold_the_hessian_s_own_sharpness_is_drawn() -> None:
    unknown = {name: np.nan for name in ("preconditioned", "preconditioned_residual", "threshold", "learning_rate", "limit")}
    analysed = recorded(probe(0, 5.0, **unknown), probe(5, 6.0, **unknown))
    probes = probes_of(analysed.run)
    assert probes is not None
    (sharpness,) = curvature(analysed, probes).data
    np.testing.assert_allclose(sharpness.y, [5, 6])


def test_values_of_another_unit_are_not_joined() -> None:
    """Adam's first probe has no metric yet."""
    unknown = {name: np.nan for name in ("preconditioned", "preconditioned_residual", "threshold", "learning_rate", "limit")}
    analysed = recorded(probe(0, 5.0, **unknown), probe(5, 6.0, preconditioned=900.0))
    probes = probes_of(analysed.run)
    assert probes is not None
    np.testing.assert_allclose(probes.sharpness, [np.nan, 900.0])
    assert "the Hessian's own 6" in curvature(analysed, probes).data[1].customdata[1]


def test_runs_side_by_side_share_their_axes() -> None:
    runs = [recorded(probe(0, 5.0)), recorded(probe(0, 4000.0, limit=np.inf))]
    probes = [found for run in runs if (found := probes_of(run.run)) is not None]
    limits = curvature_limits(probes)
    assert limits.sharpness == (5.0, 4000.0)
    assert limits.rate == (0.1, 0.4)
    ranges = [curvature(run, found, limits).layout.yaxis.range for run, found in zip(runs, probes, strict=True)]
    assert ranges[0] == ranges[1]
    assert curvature(runs[0], probes[0], limits).layout.yaxis.type == "log"


def test_no_limit_is_drawn_or_told_of_second_moments_that_are_too_young() -> None:
    analysed = recorded(probe(0, 4e6, settled=0.001), probe(5, 40.0, settled=1.0))
    probes = probes_of(analysed.run)
    assert probes is not None
    np.testing.assert_array_equal(probes.limit, [np.nan, 0.05])
    _, sharpness, _, _ = curvature(analysed, probes).data
    assert "no limit yet" in sharpness.customdata[0]
    assert "limit 0.05" in sharpness.customdata[1]
    assert sharpness.marker.color == (LINE, ALARM)


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        (
            [probe(0, 5.0), probe(10, 40.0)],
            "2 probes, steps 0 to 10; sharpness 5 → 40; it allows a learning rate of 0.05 at last, 0.1 was used",
        ),
        (
            [probe(0, 5.0, settled=1.5), probe(10, 40.0, settled=0.01)],
            "2 probes, steps 0 to 10; sharpness 5 → 40; it allows a learning rate of 0.4 at last, 0.1 was used",
        ),
        (
            [probe(0, 5.0, settled=0.002)],
            f"1 probe, steps 0 to 0; sharpness 5 → 5; it allows no statement about the rate: {UNSETTLED}",
        ),
        ([{"curvature": 0, "curvature_reason": "the loss is not finite"}], "1 probe, none gave a number: the loss is not finite"),
    ],
)
def test_the_terminal_says_that_there_are_probes(probes: list[dict[str, Any]], words: str) -> None:
    assert f"curvature {words}" in " ".join(summary(recorded(*probes).run).split())
    assert "curvature" not in summary(recorded().run)
