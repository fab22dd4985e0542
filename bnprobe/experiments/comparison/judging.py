"""What became of a trial of a technique: its training loss, what was held out, what it cost."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

import numpy as np

from bnprobe.experiments.comparison.plan import Assignment
from bnprobe.experiments.judging import refusal_of
from bnprobe.experiments.limits.judge import Assignment as RateAssignment
from bnprobe.experiments.limits.judge import judge_run, largest_rates, recording_of
from bnprobe.experiments.running_trial import RunningTrial
from bnprobe.store import limits_file
from bnprobe.store.comparison_file import Evaluation, Trial
from bnprobe.store.reader import Run

NOTHING_EVALUATED = "the script evaluated nothing in these steps"
ONLY_TRAINED_ON = "the script evaluated only samples that it trained on"
_SOURCES = {
    "losses": "the losses that the script computed ({kind})",
    "comparisons": "the classes that the script compared with labels; the loss is the cross entropy of the same outputs",
    "": ONLY_TRAINED_ON,
}
DRAWS_ANEW = "; it draws other samples at each evaluation, so that some may be training data: --metric can name a number that it prints"


def judge(own: Assignment, process: RunningTrial, metric: str) -> Trial:
    """Judge a trial whose process has ended.

    Args:
        own: what was tried.
        process: its process.
        metric: pattern of a number in its output; "" for none.

    Returns:
        The trial with its outcome.
    """
    run, seconds = recording_of(process), process.seconds
    if run is None:
        status = process.exit_status
        how = f"killed by signal {-status}" if status < 0 else f"status {status}"
        return Trial(
            own.technique,
            own.seed,
            own.grid_index,
            "failed",
            reason=f"nothing was recorded ({how})",
            seconds=seconds,
            output=process.last_lines(),
            length=own.length,
        )
    found = judge_recording(run, own, seconds, process.last_lines())
    return dataclasses.replace(found, metric=_metric(metric, process.output())) if metric else found


def judge_recording(run: Run, own: Assignment, seconds: float = 0.0, output: str = "") -> Trial:
    """Judge a recording.

    Args:
        run: of the trial.
        own: what was tried.
        seconds: how long it took.
        output: last lines of the script, kept where there is no outcome.

    Returns:
        The trial with its outcome.
    """
    refusal = refusal_of(run)
    if refusal:
        return Trial(own.technique, own.seed, own.grid_index, "refused", reason=refusal, seconds=seconds, length=own.length)
    judged = judge_run(run, RateAssignment(own.technique, own.seed, own.grid_index), seconds, output)
    values = {one.name: getattr(judged, one.name) for one in dataclasses.fields(limits_file.Trial)}
    if judged.outcome == "failed" and run.status in ("finished", "stopped"):
        values |= _unclear(run)
    costs: dict[str, Any] = json.loads(str(run.attributes.get("step_costs", "{}")))
    return Trial(
        **{**values, **_held_out(run)},
        length=own.length,
        step_seconds=_number(costs.get("step_seconds")),
        peak_bytes=_number(costs.get("peak_bytes")),
        device_bytes=_number(costs.get("device_bytes")),
        seeding="; ".join(json.loads(str(run.attributes.get("seeding", "[]")))),
    )


def _unclear(run: Run) -> dict[str, Any]:
    """What is known of a training that ran as it should, and of which the diagnosis cannot tell whether it learns."""
    losses = run["loss"].astype(float)
    late = losses[-max(1, len(losses) // 4) :]
    rates = largest_rates(run)
    known = rates[np.isfinite(rates)]
    if not np.isfinite(late).any() or not known.size:
        return {}
    return {
        "outcome": "unclear",
        "output": "",
        "steps": run.steps,
        "first_loss": float(losses[0]),
        "final_loss": float(np.nanmedian(late)),
        "peak_rate": float(known.max()),
        "step": run["step"],
        "loss": losses,
        "rate": rates,
    }


def _held_out(run: Run) -> dict[str, Any]:
    """The evaluations of a recording, and the numbers of the last that held anything out."""
    made: list[dict[str, Any]] = json.loads(str(run.attributes.get("evaluations", "[]")))
    held_out = [one for one in made if one["samples"]]
    if not held_out:
        return {"held_out_source": ONLY_TRAINED_ON if made else NOTHING_EVALUATED}
    last = held_out[-1]
    source = _SOURCES[last["source"]].format(kind=last["kind"])
    return {
        "held_out_loss": float(last["loss"]),
        "held_out_accuracy": float(last["accuracy"]),
        "held_out_step": int(last["step"]),
        "held_out_samples": int(last["samples"]),
        "held_out_source": source + (DRAWS_ANEW if last["draws_anew"] else ""),
        "evaluations": tuple(
            Evaluation(int(one["step"]), float(one["loss"]), float(one["accuracy"]), int(one["samples"])) for one in held_out
        ),
    }


def _metric(pattern: str, output: str) -> float:
    """The first group of the last match, as a number; NaN where there is none."""
    found = [match[1] for match in re.finditer(pattern, output)]
    try:
        return float(found[-1]) if found else math.nan
    except (TypeError, ValueError):
        return math.nan


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
