"""What became of a trial, and what trials say of a cause. The words and thresholds are those of the diagnosis."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bnprobe import errors
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.verdict import CONSEQUENCES
from bnprobe.errors import RemedyError, RunFileError
from bnprobe.experiments.counterfactuals import GENERIC, OF_THE_RATE, SMALLER_STEPS, SYMPTOMS, Counterfactual, trials_of
from bnprobe.experiments.running_trial import NO_OUTCOME, RunningTrial
from bnprobe.numerals import number
from bnprobe.store.confirm_file import Judgement, Trial
from bnprobe.store.reader import Run, read_run

#: A loss is clearly lower than another when it is at most so much of it ...
CLEAR_SHARE = 0.8
#: ... and lower by so many standard errors of both, and so many times what two runs of the same script differ by.
CLEAR_ERRORS = 3.0
CLEAR_SPREADS = 2.0
_LEVELS = {"diverged": 0, "no-progress": 0, "collapsed-output": 0, "learns-poorly": 1, "learns": 2}


def judge_trial(name: str, process: RunningTrial) -> Trial:
    """Judge a trial whose process has ended."""
    try:
        run = read_run(process.run_file)
    except RunFileError:
        status = process.exit_status
        how = f"killed by signal {-status}" if status < 0 else f"status {status}"
        last = process.last_lines().splitlines()[-1:]
        return Trial(name, "failed", f"nothing was recorded ({how})" + "".join(f": {line}" for line in last), seconds=process.seconds)
    return judge_recording(name, run, process.seconds)


def judge_recording(name: str, run: Run, seconds: float = 0.0) -> Trial:
    """Judge a recording as a trial.

    A training that diverged has done so however the script then ended. Any other that ended with an error of the script says nothing.

    Args:
        name: what was changed.
        run: the recording.
        seconds: that it took.

    Returns:
        The trial.
    """
    interventions = _entries(run, "interventions")
    ending = str(run.attributes.get("ending", ""))
    if refusal := refusal_of(run):
        return Trial(name, "refused", refusal, seconds=seconds, steps=run.trained_steps)
    diagnosis = diagnose(run)
    became, course = diagnosis.outcome, diagnosis.analysis.course
    acts = "; ".join([*_rates(run), *(f"{one['count']} {one['what']}" for one in (*interventions, *_entries(run, "remedies")))])
    if became.word != "diverged" and run.status in NO_OUTCOME:
        why = f"{NO_OUTCOME[run.status]} at step {run.trained_steps}" + (f": {ending}" if ending else "")
        return Trial(name, "failed", why, acts=acts, seconds=seconds, steps=run.trained_steps)
    if became.trial is None:
        return Trial(name, "failed", became.reason, acts=acts, seconds=seconds, steps=run.trained_steps)
    level = 0 if became.trial != "trains" else _LEVELS.get(became.word, 1)
    return Trial(
        name,
        "ran",
        why=became.reason,
        outcome=became.word,
        level=level,
        acts=acts,
        steps=run.trained_steps,
        seconds=seconds,
        start=course.start if course is not None else math.nan,
        late=math.inf if became.word == "diverged" else course.late if course is not None else math.nan,
        noise=course.noise / course.late_steps**0.5 if course is not None and math.isfinite(course.noise) else 0.0,
        findings=tuple(one.id for one in diagnosis if one.severity != "info"),
        loss=tuple(float(one) for one in run.every_loss[1]),
    )


def refusal_of(run: Run) -> str:
    """Why what a trial was to change could not be changed in this network; "" where it could."""
    refusal = next((str(one["refusal"]) for one in _entries(run, "interventions") if one.get("refusal")), "")
    error, _, why = str(run.attributes.get("ending", "")).partition(": ")
    kind = getattr(errors, error, None)
    return refusal or (why if isinstance(kind, type) and issubclass(kind, RemedyError) else "")


def spread_of(as_is: Sequence[Trial]) -> float:
    """By how much trials of the script as it is differ at their end; 0 where they do not, or where there is one."""
    late = [one.late for one in as_is if math.isfinite(one.late)]
    return max(late) - min(late) if len(late) > 1 else 0.0


def is_better(one: Trial, other: Trial, spread: float, changes_loss: bool) -> bool:
    """Whether a trial trained clearly better than another: it learned where the other did not, or to a clearly lower loss.

    Args:
        one: a trial with an outcome.
        other: another one.
        spread: by how much two runs of the same script differ.
        changes_loss: whether the losses of ``one`` are of another kind: then each is compared with its own start.

    Returns:
        True where it did.
    """
    if one.level < 1:
        return False
    if other.level < 0 or not math.isfinite(other.late):
        return True
    if changes_loss:
        return _is_further(one, other)
    if one.level > other.level:
        return one.late < other.late - CLEAR_SPREADS * spread
    return _is_clearly_lower(one, other, spread)


def _is_further(one: Trial, other: Trial) -> bool:
    """Whether a loss fell by a clearly larger share of its own start.

    Squared errors, cross entropies and divergences are never negative: one that is does not measure what its name says, however far it
    fell, and a trial in which it is not has only to learn.

    Returns:
        True where it did.
    """
    if other.late < 0 <= one.late:
        return one.late < CLEAR_SHARE * one.start
    if one.level != other.level:
        return one.level > other.level
    return one.start > 0 < other.start and one.late / one.start < CLEAR_SHARE * other.late / other.start


def _is_clearly_lower(one: Trial, other: Trial, spread: float) -> bool:
    errors = CLEAR_ERRORS * math.hypot(one.noise, other.noise)
    margin = max((1 - CLEAR_SHARE) * abs(other.late), errors, CLEAR_SPREADS * spread)
    return one.late < other.late - margin


def judge(causes: Sequence[str], trials: Mapping[str, Trial], as_is: Sequence[Trial]) -> tuple[Judgement, ...]:
    """Say what the trials tell of each cause.

    Args:
        causes: their ids, the verdict first.
        trials: by name, those that were made.
        as_is: of the script as it is; the first decides, the second tells how much two runs differ.

    Returns:
        The judgements, in the order of the causes.
    """
    return _told_apart([judge_cause(cause, trials, as_is) for cause in causes])


def _told_apart(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Take back what a trial says of a cause where it says as much of another, in the order of the causes.

    Smaller steps help many a training: they confirm nothing beside a cause that goes away at full ones. Of causes that the same trial takes
    away the first stands, as it does beside what it can bring about.

    Returns:
        The judgements, in the same order.
    """
    confirmed = [one for one in judgements if one.word == "confirmed"]
    deeper = next((one for one in confirmed if one.trial not in SMALLER_STEPS), None)
    told = []
    for one in judgements:
        earlier = confirmed[: confirmed.index(one)] if one in confirmed else []
        if one in confirmed and one.trial in SMALLER_STEPS and deeper is not None:
            one = _undecided(one, f"smaller steps help, but so does {deeper.trial}, which takes away {deeper.cause}")
        elif same := next((other for other in earlier if other.trial == one.trial), None):
            one = _undecided(one, f"{one.trial} helps, but it also takes away {same.cause}")
        elif root := next((other for other in earlier if one.cause in CONSEQUENCES.get(other.cause, ())), None):
            one = _undecided(one, f"{one.trial} helps, but {root.cause}, which is confirmed, can bring this about")
        told.append(one)
    return tuple(told)


def _undecided(judgement: Judgement, why: str) -> Judgement:
    return replace(judgement, word="undecided", reason=f"{why} ({judgement.reason})")


def judge_cause(cause: str, trials: Mapping[str, Trial], as_is: Sequence[Trial]) -> Judgement:
    """Say what the trials tell of a cause.

    *Confirmed*: a counterfactual trains clearly better than the script as it is, and than a tenth of the rate, which helps many a training
    whatever is wrong with it; or its symptom is gone, and stays with those. *Refuted*: no counterfactual that could be made changes
    anything. *Undecided*: the rest.

    Args:
        cause: its id.
        trials: by name, those that were made.
        as_is: of the script as it is; the first decides, the second tells how much two runs differ.

    Returns:
        The judgement.
    """
    tests = trials_of(cause)
    if not tests:
        return Judgement(cause, "undecided", "there is no trial for this cause")
    if not as_is or as_is[0].status != "ran":
        why = as_is[0].why if as_is else "it was not run"
        return Judgement(cause, "undecided", f"the script as it is gave no outcome: {why}")
    spread, base, generic = spread_of(as_is), as_is[0], trials.get(GENERIC)
    seen: list[str] = []
    has_changed_nothing: list[Trial] = []
    for test in tests:
        trial = trials.get(test.name)
        if trial is None:
            continue
        if trial.status != "ran":
            seen.append(f"{test.name} {'refused' if trial.status == 'refused' else 'gave no outcome'}: {trial.why}")
        elif not all(_helps(cause, test, trial, one, spread) for one in as_is):
            is_worse = trial.level < base.level
            seen.append(compared(trial, base))
            if not is_worse:
                has_changed_nothing.append(trial)
        elif cause in OF_THE_RATE:
            return _confirmed(cause, test, trial, base)
        elif generic is not None and generic.status == "ran" and not _helps(cause, test, trial, generic, spread):
            seen.append(f"{compared(trial, base)}, but {told(generic)} with {GENERIC}")
        else:
            return _confirmed(cause, test, trial, base)
    if has_changed_nothing and len(has_changed_nothing) == sum(one.status != "refused" for one in _made(tests, trials)):
        return Judgement(cause, "refuted", "; ".join(seen), has_changed_nothing[0].name)
    return Judgement(cause, "undecided", "; ".join(seen) or "no trial was made")


def _made(tests: Sequence[Counterfactual], trials: Mapping[str, Trial]) -> list[Trial]:
    return [trials[test.name] for test in tests if test.name in trials]


def _helps(cause: str, test: Counterfactual, trial: Trial, other: Trial, spread: float) -> bool:
    if is_better(trial, other, spread, test.changes_loss):
        return True
    is_gone = cause in SYMPTOMS and cause in other.findings and cause not in trial.findings
    return is_gone and trial.level >= max(1, other.level)


def _confirmed(cause: str, test: Counterfactual, trial: Trial, base: Trial) -> Judgement:
    gone = ""
    if cause in SYMPTOMS and cause in base.findings and cause not in trial.findings:
        gone = ", and what showed it is gone"
    return Judgement(cause, "confirmed", f"{compared(trial, base)}{gone}", trial.name)


def compared(trial: Trial, base: Trial) -> str:
    """The end of a trial beside that of the script as it is, in words."""
    has_same_steps = trial.steps == base.steps and "diverged" not in (trial.outcome, base.outcome)
    return f"{told(trial)} with {trial.name}, {number(base.late) if has_same_steps else told(base)} without"


def told(trial: Trial) -> str:
    """The end of a trial in words."""
    if trial.outcome == "diverged":
        return f"diverged at step {max(0, trial.steps - 1)}"
    return f"loss {number(trial.late)} after {trial.steps} steps"


def _rates(run: Run) -> list[str]:
    factor = float(run.attributes.get("trial_factor", 1.0))
    return [] if factor == 1.0 else [f"every learning rate, times {number(factor)}"]


def _entries(run: Run, name: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(str(run.attributes.get(name, "[]")))
    except ValueError:
        return []
    return found
