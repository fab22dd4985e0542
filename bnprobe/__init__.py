"""bnprobe: a flight recorder for neural-network training.

A script is launched, its training observed, tensors measured into numbers, numbers stored in one HDF5 file; a stored run
is analysed into quantities, diagnosed into findings, and reported to a person.
"""

from __future__ import annotations

import sys

#: The modules that were there before ours: those that a script finds in ``sys.modules``, too.
AT_START = frozenset(sys.modules)

import importlib  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from bnprobe.integrations.opened_run import open_run as open_run
    from bnprobe.integrations.recording import record as record
    from bnprobe.integrations.retraining import retrain as retrain
    from bnprobe.measure.curvature import Sharpness as Sharpness
    from bnprobe.measure.curvature import sharpness as sharpness
    from bnprobe.measure.line_probe import line_probe as line_probe
    from bnprobe.measure.line_search import LineProbe as LineProbe

__version__ = "0.1.0"

#: What a script or a notebook may call, by the module that has it. They are imported when first asked for: some need torch, and
#: the command line imports nothing before the script does.
_FUNCTIONS = {
    "open_run": "bnprobe.integrations.opened_run",
    "record": "bnprobe.integrations.recording",
    "retrain": "bnprobe.integrations.retraining",
    "sharpness": "bnprobe.measure.curvature",
    "Sharpness": "bnprobe.measure.curvature",
    "line_probe": "bnprobe.measure.line_probe",
    "LineProbe": "bnprobe.measure.line_search",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FUNCTIONS])
