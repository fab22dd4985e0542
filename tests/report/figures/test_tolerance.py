from __future__ import annotations

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.tolerance import rate_limits, tolerance
from tests.synthetic_runs import LineProbe, residual_recording


def recorded(*lines: LineProbe) -> AnalysedRun:
    made = residual_recording(steps=12)
    made.line_probes = list(lines)
    return analyse_runs([made.run()])[0]


def series(analysed: AnalysedRun, name: str) -> dict:
    return next(trace for trace in tolerance(analysed).data if trace.name == name)


def test_the_rate_in_use_stands_against_every_estimate_with_its_interval() -> None:
    analysed = recorded(LineProbe(2, 0.1, (0.25, 1.0), (4.0, 8.0)), LineProbe(2, 0.1, (1.0, 4.0), variant="msr"))
    figure = tolerance(analysed)
    assert figure.layout.yaxis.type == "log"
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert names == ["rate in use", "along the step as taken", "with msr", "loss × 1000"]
    taken = series(analysed, "along the step as taken")
    assert taken.y == pytest.approx([0.05])
    assert taken.y[0] - taken.error_y.arrayminus[0] == pytest.approx(0.025)
    assert taken.y[0] + taken.error_y.array[0] == pytest.approx(0.1)
    assert taken.line.color != series(analysed, "with msr").line.color


def test_open_ends_are_arrows_without_bars_within_the_figure() -> None:
    analysed = recorded(LineProbe(2, 0.1, (0.0, 1e-9)), LineProbe(5, 0.1, (8.0, np.inf)))
    taken = series(analysed, "along the step as taken")
    assert list(taken.marker.symbol) == ["arrow-down", "arrow-up"]
    low, high = rate_limits([analysed])
    assert 10**low == pytest.approx(taken.y[0]) and low > -3
    assert taken.y[1] == pytest.approx(0.8) and np.log10(0.8) < high
    assert not any(taken.error_y.array) and not any(taken.error_y.arrayminus)


def test_a_probe_without_a_number_is_a_cross_that_says_why() -> None:
    cross = series(recorded(LineProbe(4, 0.1, reason="<b>no")), "no number")
    assert cross.x == (4,) or list(cross.x) == [4]
    assert list(cross.customdata) == ["line probe: &lt;b&gt;no"]


def test_names_of_variants_hold_no_markup() -> None:
    figure = tolerance(recorded(LineProbe(4, 0.1, (1.0, 2.0), variant="<img src=x>")))
    assert "<img" not in str(figure.to_dict())


def test_runs_side_by_side_share_the_axis() -> None:
    one, other = recorded(LineProbe(2, 0.1, (0.001, 0.002))), recorded(LineProbe(2, 0.1, (100.0, 200.0)))
    limits = rate_limits([one, other])
    assert tolerance(one, limits).layout.yaxis.range == tolerance(other, limits).layout.yaxis.range
    assert limits[0] < -4 and limits[1] > np.log10(20)


def test_a_variant_has_the_same_colour_whatever_else_a_run_holds() -> None:
    alone = series(recorded(LineProbe(2, 0.1, (1.0, 2.0), variant="gradient-centralisation")), "with gradient-centralisation")
    variants = ("elsewhere", "msr", "gradient-centralisation", "taken")
    among = recorded(*(LineProbe(2, 0.1, (1.0, 2.0), variant=variant) for variant in variants))
    assert series(among, "with gradient-centralisation").line.color == alone.line.color
    shown = [trace.line.color for trace in tolerance(among).data if trace.mode == "lines+markers"]
    assert len(set(shown)) == 4
