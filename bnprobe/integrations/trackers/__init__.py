"""Findings and a few scalars of a run in an experiment tracker, one tracker a file, while the run goes on or after it.

They come from the run file, in a process beside the training: what a tracker costs, or that its server is away, is nothing to the training.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.integrations.libraries import expect
from bnprobe.integrations.trackers.tracker import Tracker

#: The trackers, and what may stand behind the colon.
TRACKERS = {"tensorboard": "the folder (runs)", "wandb": "the project (bnprobe)", "mlflow": "the tracking URI (that of the environment)"}


def check(to: str) -> None:
    """See that a tracker is known and its library is there, without importing it: the script may be yet to run in this process.

    Raises:
        UsageError: no such tracker.
        BnprobeError: its library is not installed.
    """
    module = _module(to)
    expect(to.partition(":")[0], vars(module).get("EXTRA", ""))


def open_tracker(to: str, name: str) -> Tracker:
    """Begin a run in a tracker.

    Args:
        to: a key of ``TRACKERS``, and behind a colon where.
        name: what the run is called there.

    Raises:
        UsageError: no such tracker.
        BnprobeError: its library is not installed, or refuses.
    """
    module = _module(to)
    module.library()
    try:
        return cast(Tracker, module.begin(to.partition(":")[2], name))
    except Exception as error:  # of a library that we do not know: no server, no login, a store that it does not write any more
        raise BnprobeError(f"{to} does not begin a run: {error}", "the settings of the tracker, not of bnprobe") from error


def _module(to: str) -> Any:
    name = to.partition(":")[0]
    if name not in TRACKERS:
        raise UsageError(f"there is no tracker {name!r}", f"there are {', '.join(TRACKERS)}")
    return importlib.import_module(f"bnprobe.integrations.trackers.{name}")
