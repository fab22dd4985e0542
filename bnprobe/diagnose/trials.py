"""What trials said of findings, told beside them: kept by ``bnprobe confirm`` next to the run file."""

from __future__ import annotations

from dataclasses import replace

from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.store.confirm_file import confirmation_beside
from bnprobe.store.reader import Run


def with_trials(diagnosis: Diagnosis, run: Run) -> Diagnosis:
    """Return the diagnosis of a run, each finding that was put to the test with what became of that.

    Args:
        diagnosis: of the run.
        run: the recording; its trials are looked for beside its file.
    """
    found = confirmation_beside(run)
    if found is None or not found.judgements:
        return diagnosis
    told = {one.cause: f"{one.word} by trial: {one.reason}" for one in found.judgements}
    return replace(diagnosis, findings=tuple(replace(one, trial=told.get(one.id, "")) for one in diagnosis))
