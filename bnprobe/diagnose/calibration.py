"""Confidence as how often such findings were right.

A rule states how well its evidence tells its cause from what looks alike. That statement counts as a few observations, beside those of the
faults that people reported, and of the fault library for no more than such a statement, by cause (`calibration.json`, written by
`python -m tests.benchmarks.calibration --write`).
"""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

from bnprobe.diagnose.finding import Finding

TABLE = Path(__file__).with_name("calibration.json")
#: Observations that a rule's own statement counts for.
STATED_COUNTS = 6.0
#: What holds for a verdict of healthy: right and all, on the faults that people reported and the same without them, before any rule was
#: tuned on them (docs/diagnosis.md). Programs that were tuned on flatter it, as a fault that no rule knows is called healthy.
UNTUNED = {"healthy": (37, 44)}
#: A rule that states no more than this has not seen enough: no count of others makes up for that.
UNSURE = 0.5
#: No finding is surer than that: the programs it was counted on were tuned on.
MOST = 0.95


def posterior(right: float, of: float, stated: float) -> float:
    """Share that is right, of a kind that was right so often, a statement being worth a few observations.

    >>> posterior(9, 10, 0.6), posterior(0, 0, 0.7)
    (0.79, 0.7)
    """
    return round(min(MOST, (right + STATED_COUNTS * stated) / (of + STATED_COUNTS)), 2)


def calibrated(finding: Finding) -> Finding:
    """The same finding with the confidence that findings of its kind deserve; candidates, and what names no cause, stay as they are."""
    if finding.is_candidate or finding.confidence <= UNSURE or finding.id not in _counts():
        return finding
    return replace(finding, confidence=posterior(*_counts()[finding.id], finding.confidence))


@functools.cache
def _counts() -> dict[str, tuple[float, float]]:
    counts = json.loads(TABLE.read_text(encoding="utf-8"))
    return {kind: (float(right), float(of)) for kind, (right, of) in counts.items()} | UNTUNED
