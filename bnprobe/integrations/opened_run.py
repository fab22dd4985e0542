"""``bnprobe.open_run``: a recorded run in a notebook, with its diagnosis, its tables and its figures."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.layers import counted
from bnprobe.analyse.views import RunView, Signal
from bnprobe.diagnose import Diagnosis, Finding
from bnprobe.diagnose.outcome import Outcome
from bnprobe.errors import UsageError
from bnprobe.integrations.libraries import required
from bnprobe.integrations.tables import table
from bnprobe.ranks import read_training
from bnprobe.store.reader import Event, Layer, Parameter
from bnprobe.store.schema import VARIABLES

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go
    import xarray

    from bnprobe.report.analysed import AnalysedRun
    from bnprobe.report.figures.channels import Moment


class OpenedRun:
    """A recorded run. In a notebook it shows its verdict; ``run["loss"]`` is a variable of the run file as a numpy array.

    Nothing is computed before it is asked for. Needs no torch.
    """

    def __init__(self, run: RunView) -> None:
        #: The run's variables as attributes, ``run.view.activation.rms`` and the like.
        self.view = run

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a variable by its name in the run file, with the axes of the schema.

        Raises:
            KeyError: the run file has no variable of that name.
        """
        return self.view[name]

    def __repr__(self) -> str:
        verdict = self.diagnosis.verdict
        place = f", in {verdict.layers[0]}" if verdict.layers else ""
        step = f", from step {verdict.step}" if verdict.step is not None else ""
        return f"<run {self.view.name}: {self.view.trained_steps} steps, {len(counted(self.view))} layers; {verdict.id}{place}{step}>"

    def _repr_html_(self) -> str:
        """The outcome and the verdict with its evidence, as a notebook shows them; ``run.figures.loss()`` shows the loss."""
        from bnprobe.report.verdict import evidence_lines

        verdict, write = self.diagnosis.verdict, html.escape
        lines = "".join(f"<li>{write(' '.join(filter(None, astuple(line))))}</li>" for line in evidence_lines(verdict))
        return (
            f"<b>{write(self.view.name)}: {write(verdict.id)}</b> ({verdict.severity}, confidence {verdict.confidence:.2f}; "
            f"{self.view.trained_steps} steps, {len(counted(self.view))} layers)"
            f"<p>{write(verdict.cause)}</p><ul>{lines}</ul><p>{write(verdict.fix)}</p>"
        )

    @property
    def layers(self) -> list[Layer]:
        """The recorded module calls, in order of depth."""
        return self.view.layers

    @property
    def parameters(self) -> list[Parameter]:
        """The trained parameters."""
        return self.view.parameters

    @property
    def events(self) -> list[Event]:
        """What the recorder noticed or decided."""
        return self.view.events

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis: the outcome, and the findings with the verdict first."""
        return self._analysed.diagnosis

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, the verdict first."""
        return self.diagnosis.findings

    @property
    def outcome(self) -> Outcome:
        """What became of the training, before any cause."""
        return self.diagnosis.outcome

    @cached_property
    def figures(self) -> Figures:
        """The figures of the page, each by itself."""
        return Figures(lambda: self._analysed)

    @cached_property
    def _analysed(self) -> AnalysedRun:
        from bnprobe.report.analysed import analyse_runs

        return analyse_runs([self.view])[0]

    def to_dataframe(self, name: str = "layers") -> pandas.DataFrame:
        """Return a tidy table: a row an observation, a column a variable.

        Args:
            name: layers (step by layer), steps, groups, parameters (step by parameter), channels, kernels, elements, curvature,
                line_probes, line_points, layer_list, parameter_list, events or coverage.

        Raises:
            UsageError: there is no table of that name.
            BnprobeError: pandas is not installed.
        """
        columns = table(self.view, name)
        return required("pandas").DataFrame(columns)

    def to_xarray(self) -> xarray.Dataset:
        """Return all variables with their axes, units and formulas.

        The coordinates are those of the run file: ``step``, ``layer``, ``parameter`` and so on.

        Raises:
            BnprobeError: xarray is not installed.
        """
        module = required("xarray")
        found = {
            name: module.Variable(variable.dims, self.view[name], {"units": variable.units, "long_name": variable.long_name})
            for name, variable in VARIABLES.items()
            if name in self.view.variables
        }
        for name, variable in found.items():
            variable.attrs |= {key: text for key in ("formula", "source") if (text := getattr(VARIABLES[name], key))}
        dataset: xarray.Dataset = module.Dataset(found, attrs=dict(self.view.attributes))
        return dataset


class Figures:
    """The figures of the page as plotly figures, to show, change or write as an image.

    Args:
        analysed: gives the analysed run, when the first figure is asked for.
    """

    def __init__(self, analysed: Callable[[], AnalysedRun]) -> None:
        self._analysed = analysed

    def all(self) -> dict[str, go.Figure]:
        """Every figure that the page has of this run, by the id of its place there: maps, profiles, kernels, limits, what-ifs."""
        from bnprobe.report.panels import panels_of

        return panels_of([self._analysed()]).drawn

    def loss(self) -> go.Figure:
        """Loss and learning rates over steps."""
        from bnprobe.report.figures.loss import loss

        return loss(self._analysed())

    def depth_profile(self, step: int | None = None, signal: Signal = "activation") -> go.Figure:
        """Return size, common-mode fractions, mean and variance along depth at one step.

        Args:
            step: the measured step nearest to this is drawn; by default the step that the page opens with.
            signal: "activation" or "activation_gradient".

        Raises:
            UsageError: no layer was measured.
        """
        from bnprobe.report.figures.depth_profile import depth_profile, measured_rows

        analysed = self._analysed()
        rows = measured_rows(analysed)
        if not rows.size:
            raise UsageError(f"no layer of {analysed.run.name} was measured", "bnprobe inspect says what was")
        if step is None:
            return depth_profile(analysed, signal)
        nearest = int(np.argmin(np.abs(analysed.run.step[rows] - step)))
        return depth_profile(analysed, signal, row=int(rows[nearest]))

    def heat_map(self, quantity: str = "activation-rms") -> go.Figure:
        """One quantity of every layer over steps.

        Args:
            quantity: common-mode, spatial-common-mode, activation-rms, gradient-rms, update-ratio or dead-share.

        Raises:
            UsageError: there is no such quantity.
        """
        from bnprobe.report.figures.heatmap import heat_map

        analysed = self._analysed()
        if quantity not in analysed.fields:
            raise UsageError(f"there is no heat map of {quantity!r}", f"there are {', '.join(analysed.fields)}")
        return heat_map(analysed, analysed.fields[quantity])

    def channels(self, layer: str, moment: Moment = "mean") -> go.Figure:
        """Mean or variance of every channel of a layer over snapshots.

        Args:
            layer: its dotted name, as in ``run.layers``.
            moment: "mean" or "variance".

        Raises:
            UsageError: the channels of that layer were not stored.
        """
        from bnprobe.report.figures.channels import channel_scale, channel_view, channels

        view = channel_view(self._analysed(), layer, moment)
        if view is None:
            raise UsageError(f"the channels of {layer!r} were not stored", "run.layers has the names")
        return channels(view, channel_scale([view], moment))


def open_run(path: Path | str, *others: Path | str) -> OpenedRun:
    """Open a run file, or those of all ranks of a training, merged.

    Args:
        path: written by ``bnprobe record`` or ``bnprobe.record``; it may still be written to.
        others: the files of the other ranks: ``open_run(*glob("run.rank*.h5"))``.

    Raises:
        RunFileError: no such file; not HDF5; not a bnprobe run; a newer schema; damaged.
        UsageError: they are of several trainings.
    """
    return OpenedRun(RunView.of(read_training([Path(path), *map(Path, others)], "open_run")))
