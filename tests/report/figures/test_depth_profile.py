from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.figures.depth_profile import MOST_STEPS, depth_profile, profile_limits, profile_rows, shown_frame

Analysed = Callable[[str], AnalysedRun]


def test_a_frame_for_each_step_holds_each_line(analysed: Analysed) -> None:
    run = analysed("exploding")
    figure = depth_profile(run, "activation")
    assert [frame.name for frame in figure.frames] == [str(step) for step in range(18)]
    assert all(len(frame.data) == len(figure.data) for frame in figure.frames)


def test_the_profile_is_the_recorded_size_and_energy(analysed: Analysed) -> None:
    run = analysed("exploding")
    figure = depth_profile(run, "activation")
    convolutions = [i for i, layer in enumerate(run.run.layers) if layer.kind == "convolution"]
    rms, kappa, spatial, mean, variance = figure.frames[3].data[:5]
    assert figure.data[0].name == "convolution" and figure.data[0].x.tolist() == convolutions
    assert np.allclose(rms.y, run.run["activation_rms"][3, convolutions])
    energy = run.run["activation_rms"][3, convolutions].astype(float) ** 2
    assert np.allclose(np.add(mean.y, variance.y), energy, rtol=1e-4)
    assert np.allclose(kappa.y, mean.y / energy, rtol=1e-4)
    between = run.run["activation_between_energy"][3, convolutions]
    assert np.allclose(spatial.y, (mean.y + between) / energy, rtol=1e-4)
    assert (spatial.y > kappa.y).all()


def test_layers_that_are_not_finite_are_crossed(analysed: Analysed) -> None:
    figure = depth_profile(analysed("exploding"), "activation")
    assert figure.data[-1].name == "not finite" and figure.data[-1].showlegend
    assert np.isnan(figure.frames[0].data[-1].y).all()
    assert np.flatnonzero(np.isfinite(figure.frames[-1].data[-1].y)).tolist() == list(range(34, 40))


def test_the_step_shown_first_is_one_at_which_there_is_something_to_see(analysed: Analysed) -> None:
    run = analysed("exploding")
    row = profile_rows(run)[shown_frame(run)]
    assert row == run.divergence.row
    assert shown_frame(analysed("healthy")) == len(profile_rows(analysed("healthy"))) - 1


def test_a_long_run_offers_few_steps_and_all_of_the_last_ones(analysed: Analysed) -> None:
    run = analysed("exploding")
    steps = 5000
    sizes = np.zeros((steps, len(run.run.layers)))
    fields = {key: replace(field, values=sizes, nonfinite=sizes > 0) for key, field in run.fields.items()}
    analysis = copy.copy(run.diagnosis.analysis)
    analysis.divergence = replace(run.divergence, row=4200, step=4200)
    long = replace(run, fields=fields, diagnosis=replace(run.diagnosis, analysis=analysis))
    rows = profile_rows(long)
    assert len(rows) <= MOST_STEPS
    assert {0, steps - 1, *range(4190, 4201)} <= set(rows.tolist())


def test_runs_side_by_side_share_their_axes(analysed: Analysed) -> None:
    runs = [analysed("exploding"), analysed("healthy")]
    limits = profile_limits(runs, "activation")
    one, other = (depth_profile(run, "activation", limits) for run in runs)
    assert one.layout.yaxis.range == other.layout.yaxis.range
    assert one.layout.yaxis3.range == other.layout.yaxis3.range
