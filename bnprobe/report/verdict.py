"""The verdict in words: what happened, at which step, which layer deviated from its baseline first, on what evidence, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bnprobe.analyse.layers import counted
from bnprobe.analyse.remedies import remedies_of
from bnprobe.diagnose import Evidence, Finding
from bnprobe.diagnose.wording import with_unit
from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.layer_keys import layer_numbers
from bnprobe.report.wording import ending, kept_detail, loss_ends, number, plural

Tone = Literal["error", "warning", "info"]
#: Layers of a finding that are named in the verdict.
MOST_NAMED = 3


@dataclass(frozen=True)
class EvidenceLine:
    """One number of a finding, written out: what, its value with unit, its threshold, its step."""

    what: str
    value: str
    threshold: str
    step: str


@dataclass(frozen=True)
class Verdict:
    """What the page says first about a run.

    Attributes:
        tone: how grave it is.
        is_unclear: whether no fault was found and it cannot be told whether the run learns, either.
        headline: what happened, in a few words.
        title: the finding's name in words.
        confidence: how sure it is, in per cent.
        cause: the finding's sentence.
        when: at which step it diverged, and when that began.
        where: which layer deviated from its baseline first.
        evidence: the finding's numbers.
        trial: what a trial said of the cause; "" where none was made.
        fix: what to try.
        ending: how the run ended.
    """

    tone: Tone
    is_unclear: bool
    headline: str
    title: str
    confidence: str
    cause: str
    when: str
    where: str
    evidence: list[EvidenceLine]
    trial: str
    fix: str
    ending: str


def verdict(analysed: AnalysedRun) -> Verdict:
    """Put the first finding and the course of the run into words."""
    finding = analysed.findings[0]
    return Verdict(
        tone=finding.severity,
        is_unclear=finding.id == "inconclusive",
        headline=_headline(analysed, finding),
        title=title(finding),
        confidence=f"{100 * finding.confidence:.0f} %",
        cause=finding.cause,
        when=_when(analysed, finding),
        where=_where(analysed, finding),
        evidence=evidence_lines(finding),
        trial=f"{finding.trial[:1].upper()}{finding.trial[1:]}." if finding.trial else "",
        fix=finding.fix,
        ending=" ".join(filter(None, (ending(analysed.run), kept_detail(analysed.run)))),
    )


def title(finding: Finding) -> str:
    """Return a finding's identifier as words.

    >>> title(Finding("dead-units", "warning", 0.7, (), None, (), "", "", ""))
    'Dead units'
    """
    return finding.id.replace("-", " ").capitalize()


def evidence_lines(finding: Finding) -> list[EvidenceLine]:
    """Write the numbers of a finding out."""
    return [_evidence_line(one) for one in finding.evidence]


def comparison(runs: Sequence[AnalysedRun]) -> list[tuple[str, list[str]]]:
    """Compare several runs: rows of (what, one cell a run)."""
    verdicts = [verdict(analysed) for analysed in runs]
    remedies = [", ".join(remedy.specification for remedy in remedies_of(analysed.run)) or "–" for analysed in runs]
    return [
        ("Verdict", [one.headline for one in verdicts]),
        ("Remedies", remedies),
        ("First to deviate", [_first_layer(analysed) or "–" for analysed in runs]),
        ("Loss, first → last, medians", [_loss_course(analysed) for analysed in runs]),
        ("Learning rate", [_rates(analysed) for analysed in runs]),
        ("Steps", [f"{analysed.run.trained_steps:,}" for analysed in runs]),
    ]


def _evidence_line(one: Evidence) -> EvidenceLine:
    threshold = with_unit(number(one.threshold), one.units) if one.threshold is not None else ""
    return EvidenceLine(one.what, with_unit(number(one.value), one.units), threshold, f"{one.step:,}" if one.step is not None else "")


def _headline(analysed: AnalysedRun, finding: Finding) -> str:
    diverged = analysed.divergence
    if diverged is not None:
        reason = (
            "the loss was not finite"
            if diverged.reason == "non-finite loss"
            else f"the loss passed {DIVERGENCE_RATIO:g} times {diverged.scale_name}"
        )
        return f"Diverged at step {diverged.step:,}: {reason}"
    if not analysed.run.steps:
        return "Nothing was recorded"
    became, where = analysed.diagnosis.outcome, analysed.diagnosis.where
    over = f"over {plural(analysed.diagnosis.analysis.recorded.trained_steps, 'step')}{where and f' of {where}'}"
    if finding.severity == "info":
        return f"Healthy {over}" if became.word == "learns" else f"{became.headline} {over}"
    return f"{became.headline}{', with a fault' if became.word == 'learns' else ''}: {title(finding).lower()}"


def _when(analysed: AnalysedRun, finding: Finding) -> str:
    diverged, first = analysed.divergence, analysed.first_deviation
    parts = []
    if finding.step is not None and finding.severity != "info":
        parts.append(f"it shows from step {finding.step:,} on")
    if first is not None:
        parts.append(f"the first layer deviated from its baseline at step {first.step:,}")
    if diverged is not None:
        parts.append(f"training diverged at step {diverged.step:,} of {analysed.run.trained_steps:,}")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _where(analysed: AnalysedRun, finding: Finding) -> str:
    """The layers that the finding names, and the one that deviated from its baseline first, which may be another one."""
    count, numbered = len(counted(analysed.run)), zip(analysed.run.layers, layer_numbers(analysed.run), strict=True)
    depth = {layer.name: f"{layer.name} (layer {number} of {count})" for layer, number in numbered}
    named = ", ".join(depth.get(name, name) for name in finding.layers[:MOST_NAMED])
    more = f" and {len(finding.layers) - MOST_NAMED} more" if len(finding.layers) > MOST_NAMED else ""
    first = analysed.first_deviation
    if first is None:
        return f"{named}{more}." if named else ""
    signal = "activation" if first.signal == "activation" else "activation gradient"
    change = f"{number(first.baseline_rms)} → {number(first.rms)}" if np.isfinite(first.rms) else "no longer finite"
    name = analysed.run.layers[first.layer].name
    left = f"deviated from its baseline first, at step {first.step:,} ({signal} rms {change})"
    if name in finding.layers[:1]:
        return f"{named}{more}. The first of them {left}." if len(finding.layers) > 1 else f"{named}, which {left}."
    return f"{named}{more}. {depth[name]} {left}." if named else f"{depth[name]} {left}."


def _first_layer(analysed: AnalysedRun) -> str:
    first = analysed.first_deviation
    return f"{analysed.run.layers[first.layer].name}, step {first.step:,}" if first is not None else ""


def _loss_course(analysed: AnalysedRun) -> str:
    return loss_ends(analysed.diagnosis.analysis.recorded) or "–"


def _rates(analysed: AnalysedRun) -> str:
    rates = analysed.run.learning_rate
    rates = rates[np.isfinite(rates)]
    if not rates.size:
        return "–"
    low, high = float(rates.min()), float(rates.max())
    return number(low) if low == high else f"{number(low)} to {number(high)}"
