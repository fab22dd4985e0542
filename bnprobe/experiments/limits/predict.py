"""What a recording itself predicts: the limits that its line probes and its curvature give, step by step, and all line probes together.

They are told in the unit of the trials: the largest rate of any group at that step, all groups scaled together.
"""

from __future__ import annotations

import math

from bnprobe.analyse.limits import PROJECTED, TOGETHER
from bnprobe.analyse.stopping_rate import stopping_rate
from bnprobe.analyse.tolerance import TAKEN, tolerances
from bnprobe.remedies.specification import name_of, split
from bnprobe.store.limits_file import Prediction
from bnprobe.store.reader import Run

CURVATURE, RISES, DIVERGES = "curvature", "line probe, loss rises", "line probe, diverges"
_NAMES = {"curvature": CURVATURE, "rises": RISES, "diverges": DIVERGES}


def predictions_of(run: Run, remedy: str) -> list[Prediction]:
    """Return all predictions that a recording at the script's own rate holds.

    Args:
        run: the recording.
        remedy: remedies at work in it.
    """
    applied = [name_of(one) for one in split(remedy)]  # what they would project is so projected already
    found = [one for one in tolerances(run) if one.is_known and one.variant not in applied and math.isfinite(one.rate)]
    stops = stopping_rate(run)
    together = [] if stops is None or math.isinf(stops.rate) else [Prediction(remedy, TOGETHER, stops.step, *stops.interval)]
    return together + [
        Prediction(remedy, _NAMES[one.kind] + (f"{PROJECTED}{one.variant}" if one.variant != TAKEN else ""), one.step, one.low, one.high)
        for one in found
        if one.low < math.inf
    ]
