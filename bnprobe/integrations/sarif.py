"""Findings as SARIF 2.1.0, the format in which code hosts show the results of checks.

A finding is a result; its place is the script, since a run file knows no lines, and its layer a logical location. Static Analysis
Results Interchange Format (SARIF) Version 2.1.0, OASIS Standard, 2020.
"""

from __future__ import annotations

import json
from typing import Any

from bnprobe import __version__
from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.finding import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: A level is for what fails; what does not has level none (SARIF 2.1.0, 3.27.10).
_LEVELS = {"error": "error", "warning": "warning", "info": "none"}


def to_sarif(diagnosis: Diagnosis) -> str:
    """Return the log of one run's findings; candidates, for which too little speaks, are left out.

    Args:
        diagnosis: what ``diagnose`` returned.

    Returns:
        The log as indented JSON.
    """
    run = diagnosis.recorded
    script = str(run.attributes.get("script", "")).removeprefix("-m ")
    findings = [finding for finding in diagnosis if not finding.is_candidate]
    rules = list(dict.fromkeys(finding.id for finding in findings))
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "bnprobe", "version": __version__, "rules": [{"id": rule} for rule in rules]}},
                "results": [_result(finding, rules.index(finding.id), script) for finding in findings],
            }
        ],
    }
    return json.dumps(log, indent=2, allow_nan=False)


def _result(finding: Finding, rule: int, script: str) -> dict[str, Any]:
    places = [{"fullyQualifiedName": name, "kind": "module"} for name in finding.layers]
    location: dict[str, Any] = {"logicalLocations": places} if places else {}
    if script:
        location["physicalLocation"] = {"artifactLocation": {"uri": script.replace("\\", "/")}}
    return {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "kind": "informational" if finding.severity == "info" else "fail",
        "message": {"text": f"{finding.cause} {finding.fix}".strip()},
        "locations": [location] if location else [],
        "properties": {"confidence": finding.confidence, "step": finding.step},
    }
