"""Fig 6: the gradient of the loss by the logits, image by class."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import DIVERGING
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.scales import BAR


def logits(analysed: AnalysedRun, step: int) -> go.Figure:
    """Draw the gradient of the batch of a measured step, times its samples.

    Samples are in order of the output with the most negative entry: under cross-entropy that of their label.
    """
    run = analysed.run
    own = run.logit_step == step
    sample, place = run.logit_sample[own], run.logit_class[own]
    picture = np.full((int(sample.max()) + 1, int(place.max()) + 1), np.nan)
    picture[sample, place] = run.logit_gradient[own] * float(run.logit_samples[own][0])
    picture = picture[np.argsort(np.argmin(np.nan_to_num(picture), axis=1), kind="stable")]
    reach = float(np.max(np.abs(picture), where=np.isfinite(picture), initial=0.0)) or 1.0
    layout = {
        "xaxis": {**AXIS, "title_text": "output (class)", "showgrid": False, "dtick": 1 if picture.shape[1] <= 20 else None},
        "yaxis": {**AXIS, "title_text": "sample, by its label", "showgrid": False},
        "margin": {"t": 20, "r": 96},
    }
    figure = new_figure(360, layout)
    figure.add_heatmap(
        z=picture,
        zmin=-reach,
        zmax=reach,
        colorscale=DIVERGING,
        colorbar={**BAR, "title": {"text": "dL/dz times the samples", "side": "right", "font_size": 11}},
        hovertemplate="sample %{y}, output %{x}<br>%{z:.3g}<extra></extra>",
    )
    return figure
