"""A run with everything that the figures and the page draw from it, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnprobe.analyse.remedies import remedies_of
from bnprobe.analyse.stability import Deviation, Divergence, deviations, divergence, first_deviation
from bnprobe.analyse.stopping_rate import StoppingRate, stopping_rate
from bnprobe.analyse.tolerance import Tolerance, tolerances
from bnprobe.diagnose import Finding, diagnose
from bnprobe.report.names import figure_text, run_labels
from bnprobe.report.quantities import QUANTITIES, Field, field_of
from bnprobe.store.reader import Run


@dataclass(frozen=True)
class AnalysedRun:
    """A run and what follows from it.

    Attributes:
        run: the recording.
        label: the name it goes by on the page, unique there.
        findings: the diagnosis, the verdict first.
        divergence: the step at which training diverged, or None.
        departures: layers whose activations left their baseline, first to deviate first.
        gradient_departures: the same for activation gradients.
        tolerances: every estimate of the learning rate that a step tolerated.
        stopping_rate: one number made of all line probes, the rate above which the training stops training; None without one.
        fields: the quantities per step and layer, by key.
    """

    run: Run
    label: str
    findings: list[Finding]
    divergence: Divergence | None
    deviations: list[Deviation]
    gradient_deviations: list[Deviation]
    tolerances: list[Tolerance]
    stopping_rate: StoppingRate | None
    fields: dict[str, Field]

    @property
    def first_deviation(self) -> Deviation | None:
        """The layer that deviated from its baseline first, of either signal; activations before gradients where both did at the same step.

        None for a run that the diagnosis calls healthy: training moves layers, and not every move is a departure worth a mark.
        """
        if self.findings[0].severity == "info":
            return None
        return first_deviation(self.deviations, self.gradient_deviations)

    @property
    def hover_names(self) -> list[str]:
        """Full layer names, escaped for plotly."""
        return [figure_text(layer.name) for layer in self.run.layers]


def analyse_runs(runs: Sequence[Run]) -> list[AnalysedRun]:
    """Compute all that the page shows of each run."""
    return [_analyse(run, label) for run, label in zip(runs, run_labels(runs), strict=True)]


def _analyse(run: Run, label: str) -> AnalysedRun:
    return AnalysedRun(
        run=run,
        label=label,
        findings=diagnose(run),
        divergence=divergence(run),
        deviations=deviations(run),
        gradient_deviations=deviations(run, "activation_gradient"),
        tolerances=_tolerances(run),
        stopping_rate=stopping_rate(run),
        fields={quantity.key: field_of(run, quantity) for quantity in QUANTITIES},
    )


def _tolerances(run: Run) -> list[Tolerance]:
    """Without projections by a remedy that was at work: the update was so projected already."""
    applied = {remedy.specification.partition(":")[0] for remedy in remedies_of(run)}
    return [one for one in tolerances(run) if one.variant not in applied]
