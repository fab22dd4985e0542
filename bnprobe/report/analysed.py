"""A run with everything that the figures and the page draw from it, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bnprobe.analyse.layers import counted
from bnprobe.analyse.remedies import remedies_of
from bnprobe.analyse.stability import Deviation, Divergence, first_deviation
from bnprobe.analyse.stopping_rate import StoppingRate, stopping_rate
from bnprobe.analyse.tolerance import Tolerance, tolerances
from bnprobe.analyse.views import RunView
from bnprobe.analyse.what_if import WhatIf, what_if_of
from bnprobe.diagnose import Diagnosis, Finding, diagnose
from bnprobe.diagnose.audit import AuditRow, audit
from bnprobe.diagnose.ranks import Between, between
from bnprobe.diagnose.trials import with_trials
from bnprobe.report.names import Labels, figure_text, run_labels
from bnprobe.report.quantities import QUANTITIES, Field, Quantity, field_of
from bnprobe.store.confirm_file import Confirmation, confirmation_beside
from bnprobe.store.reader import Run


@dataclass(frozen=True)
class AnalysedRun:
    """A diagnosed run under its name on the page, and what only the page shows of it.

    Attributes:
        label: the name it goes by on the page, unique there.
        diagnosis: the findings, and the analysis that they rest on.
        tolerances: every estimate of the learning rate that a step tolerated.
        stopping_rate: one number made of all line probes, the rate above which the training stops training; None without one.
        what_if: what its first steps became, trained again at other rates; None without.
        confirmation: trials that were made to test the verdict; None without.
        fields: the quantities per step and layer, by key.
        audit: what normalisation costs; empty where no layer normalises.
        between: what its ranks show beside each other; None for a run that was not merged.
    """

    label: str
    diagnosis: Diagnosis
    tolerances: list[Tolerance]
    stopping_rate: StoppingRate | None
    what_if: WhatIf | None
    confirmation: Confirmation | None
    fields: dict[str, Field]
    audit: tuple[AuditRow, ...]
    between: Between | None = None

    @property
    def run(self) -> RunView:
        """The recording, with all the trainings in it."""
        return self.diagnosis.recorded

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, the verdict first."""
        return self.diagnosis.findings

    @property
    def divergence(self) -> Divergence | None:
        """The step at which training diverged, by its row in the recording."""
        found = self.diagnosis.analysis.divergence
        return found if found is None or self.diagnosis.recording is None else replace(found, row=self._row(found.step))

    @property
    def deviations(self) -> list[Deviation]:
        """Layers whose activations deviated from their baseline, first to deviate first."""
        return self._placed(self.diagnosis.analysis.activation_deviations)

    @property
    def gradient_deviations(self) -> list[Deviation]:
        """The same for activation gradients."""
        return self._placed(self.diagnosis.analysis.gradient_deviations)

    @property
    def first_deviation(self) -> Deviation | None:
        """The layer that deviated from its baseline first, as every sentence and table names it.

        None for a run that the diagnosis calls healthy: training moves layers, and not every move is worth a mark.
        """
        return None if self.diagnosis.verdict.severity == "info" else first_deviation(self.deviations, self.gradient_deviations)

    def _row(self, step: int) -> int:
        return int(np.searchsorted(self.run.step, step))

    def _placed(self, found: list[Deviation]) -> list[Deviation]:
        """Deviations of the training that was judged, by rows and layers of the recording."""
        if self.diagnosis.recording is None:
            return found
        judged = self.diagnosis.analysis.recorded
        place = {layer.name: index for index, layer in enumerate(self.run.layers)}
        return [replace(one, row=self._row(one.step), layer=place[judged.layers[one.layer].name]) for one in found]

    @property
    def layer_count(self) -> int:
        """Layers as one counts them."""
        return len(counted(self.run))

    @cached_property
    def hover_names(self) -> Labels:
        """Full layer names, escaped for plotly, (L,)."""
        return Labels.of([figure_text(layer.name) for layer in self.run.layers])


def analyse_runs(runs: Sequence[Run]) -> list[AnalysedRun]:
    """Compute all that the page shows of each run."""
    return [_analyse(run, label) for run, label in zip(runs, run_labels(runs), strict=True)]


def _analyse(run: Run, label: str) -> AnalysedRun:
    diagnosis = with_trials(diagnose(run), run)
    recorded = diagnosis.recorded
    answers = what_if_of(recorded)
    return AnalysedRun(
        label=label,
        diagnosis=diagnosis,
        tolerances=_tolerances(recorded),
        # Trials find what the estimate estimates: where there are any, it is not told.
        stopping_rate=None if answers is not None and answers.proved else stopping_rate(diagnosis.analysis.recorded),
        what_if=answers,
        confirmation=confirmation_beside(run),
        fields={quantity.key: _field(diagnosis, quantity) for quantity in QUANTITIES},
        audit=audit(diagnosis.analysis) if recorded.steps else (),
        between=between(diagnosis.analysis),
    )


def _field(diagnosis: Diagnosis, quantity: Quantity) -> Field:
    """A quantity of all that was recorded; its scale ends where the training diverged that was judged."""
    field, lost = field_of(diagnosis.recorded, quantity), diagnosis.analysis.divergence
    if diagnosis.recording is None:
        return field
    step = diagnosis.recorded.step
    return replace(field, diverged=int(np.searchsorted(step, lost.step)) if lost is not None else len(step))


def _tolerances(run: Run) -> list[Tolerance]:
    """Without projections by a remedy that was at work: the update was so projected already."""
    applied = {remedy.name for remedy in remedies_of(run)}
    return [one for one in tolerances(run) if one.variant not in applied]
