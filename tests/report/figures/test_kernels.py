from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnprobe.report.analysed import AnalysedRun, analyse_runs
from bnprobe.report.figures.kernels import ROUNDING, kernel_limits, kernel_view, kernels_of
from tests.synthetic_runs import residual_recording

NAN, INF = np.nan, np.inf


def recorded(slice_mean: list[list[float]], cmrr: list[list[float]], steps: int = 6) -> AnalysedRun:
    """A run with snapshots at the given number of steps, whose leading parameters have these values."""
    made = residual_recording(steps=steps)
    made.snapshots = list(range(len(slice_mean)))
    run = made.run()
    variables = {}
    for name, values in (("kernel_slice_mean", slice_mean), ("kernel_cmrr", cmrr)):
        variables[name] = np.full((len(made.snapshots), len(made.parameters)), NAN)
        variables[name][:, : len(values[0])] = values
    return analyse_runs([replace(run, variables={**run.variables, **variables})])[0]


@pytest.fixture(scope="module")
def rejecting() -> AnalysedRun:
    return recorded(
        [[0.1, NAN, 5e-8, 7e-8], [NAN, NAN, NAN, NAN], [0.2, NAN, 9e-8, 0.0]], [[10, NAN, 4e7, 3e7], [NAN] * 4, [5, NAN, 2e7, INF]]
    )


def test_the_worst_kernel_and_the_first_are_drawn_over_the_snapshots_that_measured_them(rejecting: AnalysedRun) -> None:
    kernels = kernels_of(rejecting.run)
    layers = [parameter.layer for parameter in rejecting.run.parameters]
    assert kernels.names == [layers[0], layers[2], layers[3]]
    worst, first, _ = kernel_view(rejecting, kernels).data
    assert worst.x.tolist() == first.x.tolist() == [0, 2]
    np.testing.assert_allclose(worst.y, [7e-8, 9e-8])
    np.testing.assert_allclose(first.y, [0.1, 0.2])
    assert [name for name, _ in worst.customdata] == [layers[3], layers[2]]


def test_rejection_is_that_of_the_last_snapshot_and_a_kernel_without_a_mean_stands_on_top(rejecting: AnalysedRun) -> None:
    kernels = kernels_of(rejecting.run)
    figure = kernel_view(rejecting, kernels)
    rejection = figure.data[-1]
    np.testing.assert_allclose(rejection.y[:2], [5, 2e7])
    assert rejection.y[2] == pytest.approx(10 ** figure.layout.yaxis2.range[1])
    assert rejection.customdata[2][1] == "without a mean"
    assert rejection.marker.symbol[2] == "triangle-up"


def test_rounding_is_a_line_that_is_always_in_sight() -> None:
    plain = recorded([[0.5, 0.7]], [[2.0, 3.0]])
    layout = kernel_view(plain, kernels_of(plain.run)).layout
    assert layout.yaxis.type == "log"
    assert layout.shapes[0].y0 == layout.shapes[0].y1 == ROUNDING
    low, high = layout.yaxis.range
    assert low < np.log10(ROUNDING) < np.log10(0.7) < high


def test_runs_side_by_side_share_their_axes(rejecting: AnalysedRun) -> None:
    plain = recorded([[0.5, 0.7]], [[2.0, 3.0]])
    found = [kernels_of(run.run) for run in (rejecting, plain)]
    limits = kernel_limits(found)
    one, other = (kernel_view(run, kernels, limits).layout for run, kernels in zip((rejecting, plain), found, strict=True))
    assert one.yaxis.range == other.yaxis.range
    assert one.yaxis2.range == other.yaxis2.range


@pytest.mark.filterwarnings("error")
def test_kernels_without_any_mean_have_a_figure() -> None:
    run = recorded([[0.0, 0.0]], [[INF, INF]])
    figure = kernel_view(run, kernels_of(run.run))
    assert all(np.isfinite(trace.y).all() for trace in figure.data)


def test_a_run_whose_kernels_nobody_measured_has_none() -> None:
    assert kernels_of(residual_recording(steps=6).run()) is None
    assert kernels_of(residual_recording(steps=0).run()) is None
