"""What a verdict on a reported fault is worth.

- right: it names the fault.
- honest: it says rightly that it cannot name it: the run makes no progress, learns poorly or cannot be judged, or the fault leaves no trace
  and the verdict is that the run learns.
- partly: it names a symptom, or half of the cause.
- healthy: the run is called healthy over a fault that shows.
- wrong: something else is accused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

from bnprobe.diagnose import Finding

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


def is_place_right(place: Mapping[str, Sequence[str]], finding: Finding) -> bool:
    """Tell whether a finding says where the fault is.

    Args:
        place: patterns (as in fnmatch) of layers, and operations, any of which is the right one.
        finding: its first layer counts, and the operations that its sentence names.
    """
    is_layer = bool(finding.layers) and any(fnmatchcase(finding.layers[0], pattern) for pattern in place["layers"])
    return is_layer or bool(set(re.findall(r"`(\w+)`", finding.cause)) & set(place["operations"]))
