"""Several runs in words: what became of them all, and what was different about how they were made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bnprobe.analyse.layers import counted
from bnprobe.diagnose.outcome import HEADLINES
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.wording import number

#: Attributes of a run that say how it was made, and what they are called.
MADE_BY = {
    "script": "Script",
    "argv": "Arguments",
    "commit": "Commit",
    "device": "Device",
    "threads": "Threads",
    "world_size": "Ranks",
    "python": "Python",
    "torch_version": "torch",
    "bnprobe_version": "bnprobe",
}


def what_differs(runs: Sequence[AnalysedRun]) -> list[tuple[str, list[str]]]:
    """Return what is not the same of all runs: rows of (what, one cell a run)."""
    rows = [(words, [_attribute(analysed, name) for analysed in runs]) for name, words in MADE_BY.items()]
    rows.append(("Layers", [f"{len(counted(analysed.run)):,}" for analysed in runs]))
    rows.append(("Trained weights", [f"{sum(one.size for one in analysed.run.parameters):,}" for analysed in runs]))
    return [(what, cells) for what, cells in rows if len(set(cells)) > 1]


def _attribute(analysed: AnalysedRun, name: str) -> str:
    value = analysed.run.attributes.get(name, "")
    if name == "script":
        return Path(str(value)).name or "–"
    if name == "argv":
        try:
            return " ".join(str(one) for one in json.loads(str(value))[1:]) or "–"
        except (ValueError, TypeError):
            return str(value)
    return str(value) or "–"


def overall(runs: Sequence[AnalysedRun]) -> str:
    """Say in a sentence or two what became of several runs, and which of them ended lowest."""
    by_word: dict[str, list[str]] = {}
    for analysed in runs:
        by_word.setdefault(HEADLINES[analysed.diagnosis.outcome.word] if analysed.run.steps else "Nothing recorded", []).append(
            analysed.label
        )
    sentence = " ".join(f"{headline}: {', '.join(labels)}." for headline, labels in by_word.items())
    ends = {analysed.label: _end(analysed) for analysed in runs}
    known = {label: end for label, end in ends.items() if np.isfinite(end)}
    if len(known) < 2:
        return sentence
    best = min(known, key=lambda label: known[label])
    return f"{sentence} The lowest loss at the end, a median of the last steps, is that of {best}: {number(known[best])}."


def _end(analysed: AnalysedRun) -> float:
    """The loss at the end of a run that did not diverge; NaN of others."""
    course = analysed.diagnosis.analysis.course
    return float(course.late) if course is not None and analysed.divergence is None else float("nan")
