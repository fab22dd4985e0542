"""What became of a trial, read from its recording: the words and thresholds are those of the diagnosis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.diagnose.outcome import outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.errors import RunFileError
from bnprobe.experiments.running_trial import NO_OUTCOME, RunningTrial
from bnprobe.store.limits_file import Trial
from bnprobe.store.reader import Run, read_run


@dataclass(frozen=True)
class Assignment:
    """One trial to be made.

    Attributes:
        remedy: specifications joined by '+', or NONE.
        seed: 0 is the script as it is.
        grid_index: place on the grid of factors.
    """

    remedy: str
    seed: int
    grid_index: int


def judge(own: Assignment, process: RunningTrial, run: Run | None) -> Trial:
    """Judge a trial whose process has ended.

    Args:
        own: what was tried.
        process: its process.
        run: its recording, if it left one.

    Returns:
        The trial with its outcome, or failed.
    """
    seconds, status, output = process.seconds, process.exit_status, process.last_lines()
    how = f"killed by signal {-status}" if status < 0 else f"status {status}"
    if run is None:
        return _failed(own, f"nothing was recorded ({how})", seconds, output)
    return judge_run(run, own, seconds, output)


def judge_run(run: Run, own: Assignment, seconds: float, output: str) -> Trial:
    """Judge a recording.

    A training that diverged has done so however the script then ended. Any other that ended with an error of the script says nothing
    about its rate.

    Args:
        run: the recording of the trial.
        own: what was tried.
        seconds: how long it took.
        output: last lines of the script, kept where there is no outcome.

    Returns:
        The trial with its outcome.
    """
    analysis = RunAnalysis(run)
    found = outcome(analysis)
    ending = str(run.attributes.get("ending", ""))
    if found.trial is None or (found.trial != "diverges" and run.status in NO_OUTCOME):
        why = f"{NO_OUTCOME[run.status]} at step {run.steps}" if run.status in NO_OUTCOME else found.reason
        return _failed(own, f"{why}: {ending}" if ending and run.status in NO_OUTCOME else why, seconds, output)
    rates = largest_rates(run)
    known = rates[np.isfinite(rates)]
    if not known.size:
        return _failed(own, "no learning rate was seen: the script updates its weights without an optimizer", seconds, output)
    end = analysis.divergence
    first = next(iter(analysis.activation_deviations), None)
    fails = found.trial != "trains"
    return Trial(
        remedy=own.remedy,
        seed=own.seed,
        grid_index=own.grid_index,
        outcome=found.trial,
        stuck_by=found.stuck_by,
        reason=found.reason,
        layer=analysis.name(first.layer) if first is not None and fails else "",
        layer_step=first.step if first is not None and fails else -1,
        end_step=end.step if end is not None else -1,
        end_rate=float(rates[end.row]) if end is not None else float("nan"),
        steps=run.steps,
        first_loss=analysis.course.first if analysis.course is not None else float("nan"),
        final_loss=analysis.course.late if analysis.course is not None else float("nan"),
        peak_rate=float(known.max()),
        remedy_acts=_acts(run),
        protection=str(run.attributes.get("trial_protection", "")),
        seconds=seconds,
        step=run["step"],
        loss=run["loss"],
        rate=rates,
    )


def recording_of(process: RunningTrial) -> Run | None:
    """Read the recording of a trial whose process has ended, if it left one."""
    try:
        return read_run(process.run_file)
    except RunFileError:
        return None


def _failed(own: Assignment, reason: str, seconds: float, output: str) -> Trial:
    return Trial(own.remedy, own.seed, own.grid_index, "failed", reason=reason, seconds=seconds, output=output)


def largest_rates(run: Run) -> NDArray[np.float64]:
    """The largest rate of any group at each step; NaN where none was seen."""
    rates = run["learning_rate"].astype(float)
    if not rates.shape[1]:
        return np.full(run.steps, np.nan)
    known = np.isfinite(rates)
    return np.where(known.any(axis=1), np.where(known, rates, -np.inf).max(axis=1), np.nan)


def _acts(run: Run) -> str:
    """What the remedies acted on, in words."""
    try:
        entries: list[dict[str, Any]] = json.loads(str(run.attributes.get("remedies", "[]")))
    except ValueError:
        return ""
    return "; ".join(f"{entry.get('specification')} acts on {entry.get('count')} {entry.get('what')}" for entry in entries)
