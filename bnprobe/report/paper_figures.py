"""The figures of "Understanding Batch Normalization" on the page: how to read each, its formula, and the published values.

Published values are of ResNet-110 on CIFAR-10, read off the plots of Bjorck, Gomes, Selman, Weinberger 2018 (arXiv 1806.02375), good to
some ten per cent; what could not be read there is not quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.figures.papers.coherence import coherence
from bnprobe.report.figures.papers.initialisation import initialisation
from bnprobe.report.figures.papers.line import line
from bnprobe.report.figures.papers.logits import logits
from bnprobe.report.figures.papers.noise import noise
from bnprobe.report.figures.papers.singular import singular
from bnprobe.report.figures.papers.tails import tails
from bnprobe.report.figures.papers.update import steps_followed, update

#: Steps at which a figure is shown at most.
MOST_STEPS = 4


@dataclass(frozen=True)
class PaperFigure:
    """One figure.

    Attributes:
        key: its name after ``record --figures``.
        title: what it shows.
        place: where it is in the paper.
        read: how to read it, in a sentence.
        formula: what is drawn.
        published: the values there, in a sentence; "" where none was read.
        draw: a run -> the figure at each step that is shown; empty where it was not measured.
        shares_values: whether runs side by side stand on one scale of values.
    """

    key: str
    title: str
    place: str
    read: str
    formula: str
    published: str
    draw: Callable[[AnalysedRun], dict[int, go.Figure]]
    shares_values: bool = False


def _once(drawing: Callable[[AnalysedRun], go.Figure | None]) -> Callable[[AnalysedRun], dict[int, go.Figure]]:
    """Draw what has one figure, whatever steps it was measured at."""

    def drawn(analysed: AnalysedRun) -> dict[int, go.Figure]:
        figure = drawing(analysed)
        return {} if figure is None else {0: figure}

    return drawn


def _at_each(
    steps: Callable[[AnalysedRun], Sequence[int]], drawing: Callable[[AnalysedRun, int], go.Figure]
) -> Callable[[AnalysedRun], dict[int, go.Figure]]:
    """Draw the first step at which something was measured, and the last few."""

    def drawn(analysed: AnalysedRun) -> dict[int, go.Figure]:
        found = steps(analysed)
        return {step: drawing(analysed, step) for step in dict.fromkeys([*found[:1], *found[1:][1 - MOST_STEPS :]])}

    return drawn


def _of_weights(variable: str) -> Callable[[AnalysedRun], list[int]]:
    """Return what lists the steps at which some weight has a number."""

    def steps(analysed: AnalysedRun) -> list[int]:
        run = analysed.run
        return [int(run.figure[row]) for row in np.flatnonzero(np.isfinite(getattr(run, variable)).any(axis=1))] if run.figure.size else []

    return steps


def _of_table(step: str, variable: str) -> Callable[[AnalysedRun], list[int]]:
    """Return what lists the steps that have a row in a table, those with a finite number if there are any."""

    def steps(analysed: AnalysedRun) -> list[int]:
        at, values = getattr(analysed.run, step), getattr(analysed.run, variable)
        finite = np.unique(at[np.isfinite(values)])
        return [int(one) for one in (finite if finite.size else np.unique(at)[:1])]

    return steps


PAPER_FIGURES = (
    PaperFigure(
        "init",
        "Channels along depth at initialisation",
        "Fig 5",
        "A line that climbs says that means, or sizes, grow from layer to layer before anything is learned; the band holds 80 per "
        "cent of a "
        "layer's channels.",
        "log₁₀ |m_c| and log₁₀ √v_c at step 0, mean and variance over batch and space",
        "Without batch norm the means grow from 10^-1.6 to 10^3.5 over layers 6 to 110; with it they stay level.",
        _once(initialisation),
        shares_values=True,
    ),
    PaperFigure(
        "tails",
        "Entries of weight gradients",
        "Fig 2",
        "Entries above the dashed Gaussian are heavy tails: few weights are told to move much further than the rest. A kurtosis near "
        "3, and an "
        "exponent that is large, are what a Gaussian has.",
        "density of g / rms(g); kurtosis mean (g − mean)⁴ / var²; Hill's exponent over the largest 0.5 to 5 per cent",
        "Layer 55 at initialisation: with batch norm within ±0.04 and near Gaussian, without it to ±4 with heavy tails.",
        _at_each(_of_weights("gradient_kurtosis"), tails),
    ),
    PaperFigure(
        "line",
        "Loss along the update",
        "Fig 3",
        "Where a line dips below 1 the step helps its own batch; where it shoots up the step has lost it. The rate in use has to lie "
        "left of that.",
        "L(θ + s d) / L(θ) on the batch of the step, d the update that was taken, s times the learning rate to the right",
        "With batch norm the minima lie at rates of 0.03 to 0.1; without it that of mini-batch 1 at 2×10^-4 to 3×10^-4, and mini-batches "
        "1, 4 and 7 all pass 10^6 by 3×10^-3 to 7×10^-3.",
        _once(line),
    ),
    PaperFigure(
        "update",
        "Channels while one update is applied",
        "Fig 4",
        "Each column is a channel, from the weights before the step (0 per cent) to those after it (100): a diverging step blows up "
        "few channels, "
        "in its last part, and the deeper the more.",
        "m_c and v_c at θ + s d, s from 0 to 1",
        "In a diverging update without batch norm: layer 8 means −0.9 to 1.4; layer 44 means −3800 to 2700, variance to 5×10^6; layer 80 "
        "means −3×10^8 to 1.8×10^8, variance to 5.5×10^16; the rise lies in the last 20 to 30 per cent of the step.",
        _at_each(steps_followed, update),
    ),
    PaperFigure(
        "logits",
        "Gradients of the logits",
        "Fig 6",
        "A column of one colour says that every image pushes the same output in the same direction, whatever its label: the gradient "
        "is about a "
        "bias, not about the images.",
        "dL/dz for each image and output, times the samples of the batch",
        "Without batch norm one column is large for every image; with it the picture is spread.",
        _at_each(_of_table("logit_step", "logit_gradient"), logits),
    ),
    PaperFigure(
        "coherence",
        "Agreement within gradients",
        "Table 1",
        "High means that what samples and places contribute to a weight's gradient mostly cancels; near 1, that all push the same "
        "way, so that "
        "even a noisy batch makes a large step.",
        "Σ|d| / |Σd| over batch and space, both added up over the entries of the weight; d = δ a",
        "",
        _at_each(_of_weights("sign_coherence"), coherence),
        shares_values=True,
    ),
    PaperFigure(
        "noise",
        "Noise of the gradient",
        "the bound on the noise of a step",
        "Where the noise lies above, or near, the squared gradient of the batch, a step of SGD is mostly scatter between samples; a larger "
        "batch lowers the noise in proportion, a larger learning rate raises that of a step by its square.",
        "E‖a∇L − a g_B‖² ≤ (a²/|B|) C; C = E‖∇lᵢ − ∇L‖², from the samples of one batch: Σ‖∇lᵢ − g‖² / (|B| − 1)",
        "",
        _at_each(_of_weights("gradient_noise"), noise),
        shares_values=True,
    ),
    PaperFigure(
        "jacobian",
        "Singular values",
        "section 4",
        "The steeper the fall, the more directions of the input a product of layers has all but forgotten. A dash on the left is where the "
        "largest would lie if the weights were Gaussian.",
        "singular values over their rms; edge √min_φ Π(1 + φ n/w)/φ over the widths w, n the smallest: √((M + 1)^(M + 1) / M^M) for M "
        "square ones; the Jacobian from the first layer's output to the last's, a line a sample",
        "Products of M = 1, 3, 5 Gaussian matrices end at 2.00, 3.08, 3.86.",
        _at_each(_of_table("singular_step", "singular_value"), singular),
    ),
)


def draw(paper: PaperFigure, runs: Sequence[AnalysedRun]) -> list[dict[int, go.Figure]]:
    """Draw a figure of every run that asked for it, by step, on one scale where it has one."""
    figures = [paper.draw(one) if paper.key in wanted(one) else {} for one in runs]
    drawn = [figure for of_run in figures for figure in of_run.values()]
    if paper.shares_values and len(drawn) > 1:
        values = np.concatenate([np.asarray(trace.y, dtype=float) for figure in drawn for trace in figure.data])
        is_logarithmic = drawn[0].layout.yaxis.type == "log"
        values = np.log10(values[values > 0]) if is_logarithmic else values[np.isfinite(values)]
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        room = 0.05 * (high - low)
        for figure in drawn:
            figure.layout.yaxis.range = [low - room, high + room]
    return figures


def wanted(analysed: AnalysedRun) -> tuple[str, ...]:
    """The figures that a run was recorded for."""
    return tuple(name for name in str(analysed.run.attributes.get("figures", "")).split(",") if name)
