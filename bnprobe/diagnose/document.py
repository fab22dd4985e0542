"""Findings as a document for programs, and back: what ``bnprobe diagnose --json`` prints.

```
{
  "schema": "bnprobe-diagnosis-1",
  "run": {"name": text, "status": text, "steps": whole number},
  "verdict": the first finding's id,
  "outcome": {
    "word": "diverged" | "learns" | "learns-poorly" | "no-progress" | "collapsed-output" | "unclear",
    "reason": text,
    "loss": {"first": number, "first_steps": whole number, "last": number, "last_steps": whole number} or null: medians of so many steps
  },
  "findings": [
    {
      "id": text, stable,
      "severity": "error" | "warning" | "info",
      "confidence": 0 to 1,
      "layers": [{"name": text, "depth": whole number or null}], where it began first,
      "step": whole number or null,
      "evidence": [{"what": text, "value": number, "threshold": number or null, "units": text, "step": whole number or null}],
      "cause": text, "fix": text, "source": text,
      "follows_from": [ids of findings that explain this one],
      "candidate": true where less evidence speaks for it than is asked for: what came nearest, behind the verdict,
      "trial": text, what `bnprobe confirm` found of it: "" where it made no trial
    }
  ],
  "ranks": null of one file; of several ranks, merged: {
    "merged": [numbers], "missing": [numbers],
    "remarks": [{"id": text, "severity": as above, "text": text, "fix": text}],
    "lines": [{"rank": number, "steps": number, "status": text, "deviated": text,
      "nonfinite": null or {"step": number, "what": "loss" | "activation" | "gradient", "layer": text, "clean": text}}]
  }
}
```

JSON has no numbers that are not finite: those are the texts "nan", "inf" and "-inf". Fields may be added within a version;
none changes its meaning or goes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.ranks import between
from bnprobe.errors import BnprobeError

SCHEMA = "bnprobe-diagnosis-1"


def to_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Lay findings out as the documented tree of plain values.

    Args:
        diagnosis: what `diagnose` returned.
    """
    run = diagnosis.recorded
    depth = {layer.name: int(layer.depth) for layer in run.layers}
    return {
        "schema": SCHEMA,
        "run": {"name": run.name, "status": run.status, "steps": run.trained_steps},
        "verdict": diagnosis.verdict.id,
        "outcome": _outcome_to_document(diagnosis),
        "findings": [_finding_to_document(finding, depth) for finding in diagnosis],
        "ranks": _ranks_to_document(diagnosis),
    }


def to_json(diagnosis: Diagnosis) -> str:
    """The document as indented JSON, ASCII only, so that it survives any terminal and pipe."""
    return json.dumps(to_document(diagnosis), indent=2, allow_nan=False)


def from_document(document: dict[str, Any]) -> list[Finding]:
    """Read findings back from a document.

    Raises:
        BnprobeError: the document is of another schema, or a field is missing or of the wrong kind.
    """
    if document.get("schema") != SCHEMA:
        raise BnprobeError(
            f"expected a document of schema {SCHEMA}, found {document.get('schema')!r}", "write it again: bnprobe diagnose --json"
        )
    try:
        return [_finding_from_document(entry) for entry in document["findings"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BnprobeError(f"the diagnosis is damaged ({error!r})", "write it again: bnprobe diagnose --json") from None


def _ranks_to_document(diagnosis: Diagnosis) -> dict[str, Any] | None:
    found = between(diagnosis.analysis)
    if found is None:
        return None
    return {
        "merged": [line.number for line in found.lines],
        "missing": list(found.missing),
        "remarks": [asdict(one) for one in found.remarks],
        "lines": [
            {
                "rank": line.number,
                "steps": line.steps,
                "status": line.status,
                "deviated": line.deviated,
                "nonfinite": asdict(line.nonfinite) if line.nonfinite is not None else None,
            }
            for line in found.lines
        ],
    }


def _outcome_to_document(diagnosis: Diagnosis) -> dict[str, Any]:
    found, course = diagnosis.outcome, diagnosis.analysis.course
    ends = None
    if course is not None:
        ends = {
            "first": _number_to_document(course.early),
            "first_steps": course.early_steps,
            "last": _number_to_document(course.late),
            "last_steps": course.late_steps,
        }
    return {"word": found.word, "reason": found.reason, "loss": ends}


def _finding_to_document(finding: Finding, depth: dict[str, int]) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "layers": [{"name": name, "depth": depth.get(name)} for name in finding.layers],
        "step": finding.step,
        "evidence": [
            {
                "what": one.what,
                "value": _number_to_document(one.value),
                "threshold": None if one.threshold is None else _number_to_document(one.threshold),
                "units": one.units,
                "step": one.step,
            }
            for one in finding.evidence
        ],
        "cause": finding.cause,
        "fix": finding.fix,
        "source": finding.source,
        "follows_from": list(finding.follows_from),
        "candidate": finding.is_candidate,
        "trial": finding.trial,
    }


def _finding_from_document(entry: dict[str, Any]) -> Finding:
    return Finding(
        id=entry["id"],
        severity=entry["severity"],
        confidence=float(entry["confidence"]),
        layers=tuple(layer["name"] for layer in entry["layers"]),
        step=entry["step"],
        evidence=tuple(
            Evidence(
                what=one["what"],
                value=float(one["value"]),
                threshold=None if one["threshold"] is None else float(one["threshold"]),
                units=one["units"],
                step=one["step"],
            )
            for one in entry["evidence"]
        ),
        cause=entry["cause"],
        fix=entry["fix"],
        source=entry["source"],
        follows_from=tuple(entry["follows_from"]),
        is_candidate=bool(entry.get("candidate", False)),
        trial=str(entry.get("trial", "")),
    )


def _number_to_document(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))
