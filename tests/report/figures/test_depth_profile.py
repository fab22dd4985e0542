from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.figures.depth_profile import MOST_CELLS, depth_profile, profile_course, profile_limits, profile_rows, shown_place

Analysed = Callable[[str], AnalysedRun]


def unpacked(course: dict[str, Any], trace: int) -> NDArray[np.float64]:
    """What the script of a page makes of the heights of a trace."""
    packed = course["heights"][trace]
    levels = np.frombuffer(base64.b64decode(packed["levels"]), dtype="<u2").reshape(packed["shape"])
    values = np.where(levels == 0, np.nan, packed["low"] + (levels - 1.0) * packed["step"])
    return 10**values if packed["logarithmic"] else values


def test_the_course_holds_what_each_trace_is_at_each_step(analysed: Analysed) -> None:
    run = analysed("exploding")
    limits = profile_limits([run], "activation")
    course = profile_course(run, "activation", limits)
    assert course["steps"] == list(range(18))
    for step in (0, 9, 17):
        figure = depth_profile(run, "activation", limits, row=step)
        assert len(course["heights"]) == len(figure.data)
        for place, trace in enumerate(figure.data):
            # within the 1 in 65,534 of the decades that a level stands for
            np.testing.assert_allclose(unpacked(course, place)[step], np.asarray(trace.y, dtype=float), rtol=2e-3, atol=1e-4)


def test_the_profile_is_the_recorded_size_and_energy(analysed: Analysed) -> None:
    run = analysed("exploding")
    figure = depth_profile(run, "activation", row=3)
    convolutions = [i for i, layer in enumerate(run.run.layers) if layer.kind == "convolution"]
    rms, kappa, spatial, mean, variance = figure.data[:5]
    assert figure.data[0].name == "convolution" and figure.data[0].x.tolist() == convolutions
    assert np.allclose(rms.y, run.run["activation_rms"][3, convolutions])
    energy = run.run["activation_rms"][3, convolutions].astype(float) ** 2
    assert np.allclose(np.add(mean.y, variance.y), energy, rtol=1e-4)
    assert np.allclose(kappa.y, mean.y / energy, rtol=1e-4)
    between = run.run["activation_between_energy"][3, convolutions]
    assert np.allclose(spatial.y, (mean.y + between) / energy, rtol=1e-4)
    assert (spatial.y > kappa.y).all()


def test_layers_that_are_not_finite_are_crossed(analysed: Analysed) -> None:
    first, last = (depth_profile(analysed("exploding"), "activation", row=row) for row in (0, 17))
    assert first.data[-1].name == "not finite" and first.data[-1].showlegend
    assert np.isnan(first.data[-1].y).all()
    assert np.flatnonzero(np.isfinite(last.data[-1].y)).tolist() == list(range(34, 40))


def test_the_step_shown_first_is_one_at_which_there_is_something_to_see(analysed: Analysed) -> None:
    run = analysed("exploding")
    row = profile_rows(run)[shown_place(run)]
    assert row == run.divergence.row
    assert shown_place(analysed("healthy")) == len(profile_rows(analysed("healthy"))) - 1


def test_a_long_run_offers_as_many_steps_as_a_page_has_room_for_and_all_of_the_last_ones(analysed: Analysed) -> None:
    run = analysed("exploding")
    steps = 5000
    sizes = np.zeros((steps, len(run.run.layers)))
    fields = {key: replace(field, values=sizes, nonfinite=sizes > 0) for key, field in run.fields.items()}
    analysis = copy.copy(run.diagnosis.analysis)
    analysis.divergence = replace(run.divergence, row=4200, step=4200)
    long = replace(run, fields=fields, diagnosis=replace(run.diagnosis, analysis=analysis))
    rows = profile_rows(long)
    assert 1000 < len(rows) <= MOST_CELLS // len(run.run.layers)
    assert {0, steps - 1, *range(3600, 4201)} <= set(rows.tolist())


def test_runs_side_by_side_share_their_axes(analysed: Analysed) -> None:
    runs = [analysed("exploding"), analysed("healthy")]
    limits = profile_limits(runs, "activation")
    one, other = (depth_profile(run, "activation", limits) for run in runs)
    assert one.layout.yaxis.range == other.layout.yaxis.range
    assert one.layout.yaxis3.range == other.layout.yaxis3.range


def test_layers_without_space_have_no_share_that_is_constant_in_it(analysed: Analysed) -> None:
    run = analysed("exploding")
    shown = {(trace.name, trace.hovertemplate.split("<br>")[1].split()[0]) for trace in depth_profile(run, "activation").data[:-1]}
    assert {("convolution", "κₛ"), ("linear", "κ")} <= shown and ("linear", "κₛ") not in shown


def test_the_step_that_is_shown_first_lies_within_the_axes(analysed: Analysed) -> None:
    run = analysed("exploding")
    row = profile_rows(run)[shown_place(run)]
    low, high = profile_limits([run], "activation")["rms"]
    sizes = np.log10(run.run["activation_rms"][row])
    assert low < sizes[np.isfinite(sizes)].min() and sizes[np.isfinite(sizes)].max() < high
