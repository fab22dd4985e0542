"""What a verdict on a reported fault is worth.

- right: it names the fault.
- honest: it says rightly that it cannot name it: the run makes no progress, learns poorly or cannot be judged, or the fault leaves no trace
  and the verdict is that the run learns.
- partly: it names a symptom, or half of the cause.
- healthy: the run is called healthy over a fault that shows.
- wrong: something else is accused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Worth = Literal["right", "honest", "partly", "healthy", "wrong"]
WORTHS: tuple[Worth, ...] = ("right", "honest", "partly", "healthy", "wrong")
#: Verdicts that accuse nothing.
OPEN = ("stuck", "inconclusive", "rising-loss", "unexplained-divergence", "nothing-recorded")


def worth(entry: Mapping[str, Any], verdict: str, outcome: str) -> Worth:
    """Judge a verdict.

    Args:
        entry: of the manifest, with the ids that name the fault, that are honest, and that are half of it.
        verdict: id of the first finding.
        outcome: word of the outcome.
    """
    if verdict in entry["named"]:
        return "right"
    if verdict in entry["honest"] or (verdict in OPEN and outcome != "learns"):
        return "honest"
    if verdict in entry["partly"]:
        return "partly"
    return "healthy" if verdict == "healthy" else "wrong"
