"""What a script leaves that ended before its first step: a run file without a training, in the way of the next attempt."""

from __future__ import annotations

from pathlib import Path

from bnprobe.diagnose import thresholds
from bnprobe.errors import RunFileError
from bnprobe.report.wording import is_going_on
from bnprobe.store.reader import read_run


def holds_no_training(path: Path) -> bool:
    """Whether a file is empty, or a recording that is over and has no step, nor as many backwards as say that steps are missing.

    Args:
        path: an existing file; one that cannot be read may hold anything.
    """
    if not path.stat().st_size:
        return True
    try:
        run = read_run(path)
    except RunFileError:
        return False
    backwards = int(run.attributes.get("backwards_without_update", 0))
    return not (run.steps or backwards >= thresholds.CALM_STEPS or run.ranks or is_going_on(run))
