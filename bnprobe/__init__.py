"""bnprobe: a flight recorder for neural-network training.

A script is launched, its training observed, tensors measured into numbers, numbers stored in one HDF5 file; a stored run
is analysed into quantities, diagnosed into findings, and reported to a person.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnprobe.measure.curvature import Sharpness as Sharpness
    from bnprobe.measure.curvature import sharpness as sharpness
    from bnprobe.measure.line_probe import line_probe as line_probe
    from bnprobe.measure.line_search import LineProbe as LineProbe

__version__ = "0.1.0"

#: What a script may call, by the module that has it: imported when first asked for, because they need torch.
_FUNCTIONS = {
    "sharpness": "bnprobe.measure.curvature",
    "Sharpness": "bnprobe.measure.curvature",
    "line_probe": "bnprobe.measure.line_probe",
    "LineProbe": "bnprobe.measure.line_search",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
