"""The figures of a page, made and packed, in the order and the groups in which the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from bnprobe.analyse.views import Signal
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.figures.channels import ChannelView, Moment, channel_layers, channel_scale, channel_view, channels
from bnprobe.report.figures.curvature import curvature, curvature_limits, probes_of
from bnprobe.report.figures.depth_profile import WORDS, depth_profile, profile_course, profile_limits, profile_rows, shown_place
from bnprobe.report.figures.difference import difference_map
from bnprobe.report.figures.heatmap import columns_hold, has_gaps, heat_map, map_height
from bnprobe.report.figures.kernels import kernel_limits, kernel_view, kernels_of
from bnprobe.report.figures.line_channels import channel_line, line_channel_view
from bnprobe.report.figures.line_probe import chosen_lines, line_limits, line_probe
from bnprobe.report.figures.loss import loss, loss_limits
from bnprobe.report.figures.overlay import loss_overlay
from bnprobe.report.figures.ranks import loss_of_ranks
from bnprobe.report.figures.tolerance import rate_limits, tolerance
from bnprobe.report.figures.what_if import SHOWN, what_if_figure
from bnprobe.report.layer_keys import LayerKey, layer_keys
from bnprobe.report.packing import pack
from bnprobe.report.paper_figures import PAPER_FIGURES, PaperFigure, draw
from bnprobe.report.quantities import QUANTITIES, shared_limits
from bnprobe.report.tolerance_story import notes

SIGNALS: tuple[Signal, ...] = ("activation", "activation_gradient")
FOLLOWED = "100 per cent is the step that was taken; the columns are the points that its line probe evaluated, equally wide."
MOMENTS: tuple[Moment, ...] = ("mean", "variance")


@dataclass(frozen=True)
class Panel:
    """One figure in its place.

    Attributes:
        id: of its element.
        title: what it shows, without the run.
        run: index of its run.
        height: in pixels, so that its place is kept free until it is drawn.
        note: what a reader has to know to read it, or "".
        meaning: how a newcomer reads it, in a sentence, or "".
    """

    id: str
    title: str
    run: int
    height: int
    note: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class Slider:
    """The steps at which the depth profiles of a run can be looked at, and the figures that follow it."""

    run: int
    steps: list[int]
    start: int
    figures: list[str]


@dataclass
class Panels:
    """All figures of a page.

    Attributes:
        figures: packed figures by panel.
        drawn: the same as plotly's.
        columns: how many stand side by side.
        overlay: the losses of several runs on one axis; one, or none.
        differences: of each run but the first that has layers, how far its layers are from those of the first.
        compared_to: index of that first run; None where there are no differences.
        loss: one a run.
        ranks: the loss of each rank, one a run that was merged.
        tolerance: one a run that holds evidence of what its steps tolerated.
        what_if: one a run whose first steps were trained again.
        lines: the loss along chosen steps, one a run that has line probes.
        curvature: one a run whose curvature was probed.
        maps: the heat maps, one quantity after the other, within it one a run.
        marks: what stands in some of them beside values: "missing", "left" (a baseline), "lost" (training).
        has_space: whether a layer of them has an image or a sequence.
        sliders: one a run that has layers.
        profiles: the depth profiles, one signal after the other.
        kernels: one a run whose convolutions' kernels were measured.
        papers: the figures of papers that were asked for, each with a row of panels a step, one a run.
        channels: for each layer that can be chosen, by name, its panels.
    """

    columns: int
    figures: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, go.Figure] = field(default_factory=dict)
    overlay: list[Panel] = field(default_factory=list)
    differences: list[Panel] = field(default_factory=list)
    compared_to: int | None = None
    loss: list[Panel] = field(default_factory=list)
    ranks: list[Panel] = field(default_factory=list)
    tolerance: list[Panel] = field(default_factory=list)
    what_if: list[Panel] = field(default_factory=list)
    lines: list[Panel] = field(default_factory=list)
    curvature: list[Panel] = field(default_factory=list)
    maps: list[Panel] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    has_space: bool = False
    sliders: list[Slider] = field(default_factory=list)
    profiles: list[Panel] = field(default_factory=list)
    kernels: list[Panel] = field(default_factory=list)
    papers: list[tuple[PaperFigure, list[list[Panel]]]] = field(default_factory=list)
    channels: dict[str, list[Panel]] = field(default_factory=dict)

    def add(self, panel_id: str, title: str, run: int, figure: go.Figure, note: str = "", meaning: str = "") -> Panel:
        """Pack a figure and return its panel."""
        self.drawn[panel_id] = figure
        self.figures[panel_id] = {**pack(figure), "run": run}
        return Panel(panel_id, title, run, int(figure.layout.height), note, meaning)


def panels_of(runs: Sequence[AnalysedRun]) -> Panels:
    """Draw everything."""
    panels = Panels(columns=min(max(len(runs), 2), 4))
    drawn = [(number, analysed) for number, analysed in enumerate(runs) if analysed.run.steps]
    layered = [pair for pair in drawn if any(field.known_rows.size for field in pair[1].fields.values())]
    _add_overlay(panels, drawn)
    _add_losses(panels, drawn)
    _add_what_if(panels, drawn)
    _add_tolerance(panels, [pair for pair in drawn if pair[1].tolerances])
    _add_lines(panels, drawn)
    _add_curvature(panels, drawn)
    _add_maps(panels, layered)
    _add_differences(panels, layered)
    _add_profiles(panels, [pair for pair in layered if profile_rows(pair[1]).size])
    _add_papers(panels, drawn)
    _add_kernels(panels, drawn)
    _add_channels(panels, layered)
    return panels


def _add_overlay(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    if len(runs) > 1:
        limits = loss_limits([analysed for _, analysed in runs])
        panels.overlay.append(panels.add("loss-all", "Loss of all runs", runs[0][0], loss_overlay(runs, limits)))


def _add_differences(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    if len(runs) < 2:
        return
    panels.compared_to, first = runs[0]
    height = map_height(max(len(analysed.run.layers) for _, analysed in runs))
    for quantity in QUANTITIES:
        for other, analysed in runs[1:] if quantity.is_compared else ():
            figure = difference_map((first, analysed), (first.fields[quantity.key], analysed.fields[quantity.key]), height)
            if figure is not None:
                panels.differences.append(panels.add(f"difference-{quantity.key}-{other}", quantity.title, other, figure))


def _add_losses(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    limits = loss_limits([analysed for _, analysed in runs])
    for number, analysed in runs:
        panels.loss.append(panels.add(f"loss-{number}", "", number, loss(analysed, limits)))
        if analysed.run.ranks:
            panels.ranks.append(panels.add(f"ranks-{number}", "The loss of each rank", number, loss_of_ranks(analysed)))


def _add_what_if(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    for number, analysed in runs:
        found = analysed.what_if
        if found is not None and any(name in found.remedies for name in SHOWN):
            panels.what_if.append(panels.add(f"what-if-{number}", "", number, what_if_figure(found)))


def _add_tolerance(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    limits = rate_limits([analysed for _, analysed in runs])
    for number, analysed in runs:
        note = " ".join(notes(analysed))
        panels.tolerance.append(panels.add(f"tolerance-{number}", "", number, tolerance(analysed, limits), note))


def _add_lines(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    found = {number: chosen for number, analysed in runs if (chosen := chosen_lines(analysed))}
    limits = line_limits(list(found.values()))
    for number, chosen in found.items():
        panels.lines.append(panels.add(f"line-{number}", "", number, line_probe(chosen, limits)))


def _add_curvature(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    found = {number: probes for number, analysed in runs if (probes := probes_of(analysed.run)) is not None}
    limits = curvature_limits(list(found.values()))
    for number, analysed in runs:
        if number in found:
            panels.curvature.append(panels.add(f"curvature-{number}", "", number, curvature(analysed, found[number], limits)))


def _add_maps(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    height = map_height(max((len(analysed.run.layers) for _, analysed in runs), default=0))
    numbers: dict[LayerKey, int] = {}
    keys = layer_keys([analysed.run for _, analysed in runs])
    panels.marks = set().union(*(_marks(analysed) for _, analysed in runs))
    same = {number: [numbers.setdefault(key, len(numbers)) for key in own] for (number, _), own in zip(runs, keys, strict=True)}
    for quantity in QUANTITIES:
        fields = {number: analysed.fields[quantity.key] for number, analysed in runs}
        if quantity.of_space:
            panels.has_space = any(found.known_rows.size for found in fields.values())
            if not panels.has_space:
                continue
        limits = shared_limits(list(fields.values())) if fields else (0.0, 1.0)
        for number, analysed in runs:
            hold = columns_hold(fields[number])
            note = f"Each column is the largest of {hold} observed steps." if hold > 1 else ""
            figure = heat_map(analysed, fields[number], limits, height)
            panel = panels.add(f"map-{quantity.key}-{number}", quantity.title, number, figure, note, quantity.meaning)
            # Layers by a number that is the same in all runs, for the script that shows one layer of each beside the others.
            panels.figures[panel.id] |= {"quantity": quantity.title, "logarithmic": quantity.logarithmic, "layers": same[number]}
            panels.maps.append(panel)


def _marks(analysed: AnalysedRun) -> set[str]:
    """What the maps of a run show beside values."""
    left, lost = analysed.first_deviation, analysed.divergence
    marks = {"missing"} if any(has_gaps(found) for found in analysed.fields.values()) else set()
    marks |= {"left"} if left is not None and (lost is None or left.step != lost.step) else set()
    return marks | ({"lost"} if lost is not None else set())


def _add_profiles(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    for signal in SIGNALS if runs else ():
        limits = profile_limits([analysed for _, analysed in runs], signal)
        for number, analysed in runs:
            figure = depth_profile(analysed, signal, limits)
            name = f"profile-{signal.replace('_', '-')}-{number}"
            panels.profiles.append(panels.add(name, f"{WORDS[signal].capitalize()}s along depth", number, figure))
            panels.figures[name]["course"] = profile_course(analysed, signal, limits)
    for number, analysed in runs:
        followers = [panel.id for panel in panels.profiles if panel.run == number]
        steps = panels.figures[followers[0]]["course"]["steps"]
        panels.sliders.append(Slider(number, steps, shown_place(analysed), followers))


def _add_papers(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    for paper in PAPER_FIGURES:
        rows: list[list[Panel]] = []
        for (number, _), figures in zip(runs, draw(paper, [analysed for _, analysed in runs]), strict=True):
            for place, (step, figure) in enumerate(figures.items()):
                if place == len(rows):
                    rows.append([])
                name = f"paper-{paper.key}-{number}" + (f"-{place}" if place else "")
                rows[place].append(panels.add(name, f"step {step}" if len(figures) > 1 else "", number, figure))
        if rows:
            panels.papers.append((paper, rows))


def _add_kernels(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    found = {number: kernels for number, analysed in runs if (kernels := kernels_of(analysed.run)) is not None}
    limits = kernel_limits(list(found.values())) if found else {}
    for number, analysed in runs:
        if number in found:
            panels.kernels.append(panels.add(f"kernels-{number}", "", number, kernel_view(analysed, found[number], limits)))


def _add_channels(panels: Panels, runs: list[tuple[int, AnalysedRun]]) -> None:
    """Offer the layers of the run that diverged, for every run that has them, so that the same layer stands side by side."""
    leading = sorted(runs, key=lambda pair: pair[1].divergence is None)
    names = next((names for _, analysed in leading if (names := channel_layers(analysed))), [])
    followed = {number: line for number, analysed in runs if (line := channel_line(analysed)) is not None}
    for place, name in enumerate(names):
        shown: list[Panel] = []
        for moment in MOMENTS:
            views = {number: view for number, analysed in runs if (view := channel_view(analysed, name, moment)) is not None}
            shown += _channel_panels(panels, f"channels-{place}-{moment}", f"Channel {moment}s of {name}", views, moment)
        for moment in MOMENTS:
            by_number = dict(runs)
            views = {n: view for n, line in followed.items() if (view := line_channel_view(by_number[n], line, name, moment)) is not None}
            steps = " and ".join(f"{followed[n].step:,}" for n in views)
            title = f"Channel {moment}s of {name} while step {steps} is applied"
            shown += _channel_panels(panels, f"channels-line-{place}-{moment}", title, views, moment)
        panels.channels[name] = shown


def _channel_panels(panels: Panels, prefix: str, title: str, views: dict[int, ChannelView], moment: Moment) -> list[Panel]:
    """One moment of one layer, a panel a run, all on one scale."""
    scale = channel_scale(list(views.values()), moment)
    shown = []
    for number, view in views.items():
        words = [FOLLOWED] if view.unit == "%" else []
        words += [f"{view.left_out} channels with smaller values are left out."] if view.left_out else []
        note = " ".join(words)
        shown.append(panels.add(f"{prefix}-{number}", title, number, channels(view, scale), note))
    return shown
