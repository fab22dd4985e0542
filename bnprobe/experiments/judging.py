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
from bnprobe.experiments.counterfactuals import GENERIC, HELD_OUT, OF_THE_RATE, TESTS, Counterfactual, Helps, counterfactual, trials_of
from bnprobe.experiments.evidence import (
    compared,
    held_out_figures,
    how_it_helps,
    is_worse_held_out,
    leaps_whatever_is_changed,
    smaller_steps_do_as_well,
    told,
)
from bnprobe.experiments.running_trial import NO_OUTCOME, RunningTrial
from bnprobe.numerals import number
from bnprobe.store.confirm_file import Judgement, Trial
from bnprobe.store.reader import Run, read_run

#: Trials that help many a training, whatever is wrong with it.
_WIDE: tuple[Helps, ...] = ("by smaller steps", "by larger steps", "many")
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
        is_ruled_out = any(one.get("is_ruled_out") for one in interventions)
        return Trial(name, "refused", refusal, seconds=seconds, steps=run.trained_steps, is_ruled_out=is_ruled_out)
    diagnosis = diagnose(run)
    found = tuple(one.id for one in diagnosis if one.severity != "info")
    if not run.steps and run.status in ("finished", "stopped") and int(run.attributes.get("backwards_without_update", 0)):
        return Trial(name, "ran", why=diagnosis.outcome.reason, outcome="untrained", level=0, seconds=seconds, findings=found)
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
        steps=run.trained_steps if diagnosis.analysis.divergence is None else diagnosis.analysis.divergence.step + 1,
        seconds=seconds,
        start=course.start if course is not None else math.nan,
        late=math.inf if became.word == "diverged" else course.late if course is not None else math.nan,
        noise=course.noise / course.late_steps**0.5 if course is not None and math.isfinite(course.noise) else 0.0,
        findings=found,
        loss=tuple(float(one) for one in run.every_loss[1]),
        leap=max(diagnosis.analysis.spikes, key=lambda one: one.rise).step if diagnosis.analysis.spikes else -1,
        is_no_choice=bool(interventions) and all(one.get("is_no_choice") for one in interventions),
        **_held_out(run),
    )


def _held_out(run: Run) -> dict[str, Any]:
    """What the script's last evaluation says of samples that were not trained on."""
    made = [one for one in _entries(run, "evaluations") if one["samples"]]
    if not made:
        return {}
    loss, accuracy = (math.nan if made[-1][name] is None else float(made[-1][name]) for name in ("loss", "accuracy"))
    return {"held_out": loss, "missed": 1.0 - accuracy, "samples": int(made[-1]["samples"])}


def refusal_of(run: Run) -> str:
    """Why what a trial was to change could not be changed in this network; "" where it could."""
    refusal = next((str(one["refusal"]) for one in _entries(run, "interventions") if one.get("refusal")), "")
    error, _, why = str(run.attributes.get("ending", "")).partition(": ")
    kind = getattr(errors, error, None)
    return refusal or (why if isinstance(kind, type) and issubclass(kind, RemedyError) else "")


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

    Smaller steps help many a training: they confirm nothing beside a cause that goes away at full ones, by a trial that does not help as
    many. Nor does anything that helps many beside a mistake, which its trial undoes and nothing else. Of causes that the same trial takes
    away the first stands, as it does beside what it can bring about. So does, wherever it stands, one whose trial helps few others, beside
    what it can bring about and a trial that helps many takes away.

    Returns:
        The judgements, in the same order.
    """
    confirmed = [one for one in judgements if one.word == "confirmed"]
    narrow = [one for one in confirmed if counterfactual(one.trial).helps not in _WIDE]
    mistake = next((one for one in narrow if counterfactual(one.trial).helps == "none"), None)
    told = []
    for one in judgements:
        earlier = confirmed[: confirmed.index(one)] if one in confirmed else []
        roots = [*earlier, *(narrow if one in confirmed and one not in narrow else ())]
        helps = counterfactual(one.trial).helps if one in confirmed else "few"
        deeper = mistake or (next(iter(narrow), None) if helps == "by smaller steps" else None)
        if helps in _WIDE and deeper is not None:
            one = _undecided(one, f"{one.trial} helps, but so does {deeper.trial}, which takes away {deeper.cause}")
        elif same := next((other for other in earlier if other.trial == one.trial), None):
            one = _undecided(one, f"{one.trial} helps, but it also takes away {same.cause}")
        elif root := next((other for other in roots if one.cause in CONSEQUENCES.get(other.cause, ())), None):
            one = _undecided(one, f"{one.trial} helps, but {root.cause}, which {root.trial} takes away, can bring this about")
        told.append(one)
    return tuple(told)


def _undecided(judgement: Judgement, why: str) -> Judgement:
    return replace(judgement, word="undecided", reason=f"{why} ({judgement.reason})")


def judge_cause(cause: str, trials: Mapping[str, Trial], as_is: Sequence[Trial]) -> Judgement:
    """Say what the trials tell of a cause.

    *Confirmed*: a counterfactual trains clearly better than the script as it is, and than a tenth of the rate, where that helps at all, in
    what the cause shows in (``evidence.py``): smaller steps help many a training whatever is wrong with it. What a script may mean,
    and what a trial takes away that helps many, has to be named by its recording, too. *Refuted*: no counterfactual that could be made
    changes anything, or one looked for the cause, and it is not there. *Undecided*: the rest.

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
    base, generic = as_is[0], trials.get(GENERIC)
    seen: list[str] = []
    has_changed_nothing: list[Trial] = []
    for test in tests:
        trial = trials.get(test.name)
        if trial is None:
            continue
        if trial.is_ruled_out:
            return Judgement(cause, "refuted", f"it is not there: {trial.why}", test.name)
        helps = [how_it_helps(cause, test, trial, one, as_is) for one in as_is] if trial.status == "ran" else []
        if trial.status != "ran":
            seen.append(f"{test.name} {'refused' if trial.status == 'refused' else 'gave no outcome'}: {trial.why}")
        elif not all(helps):
            seen.append(compared(trial, base))
            is_told = test.own_noise != "more" or (math.isfinite(trial.held_out) and math.isfinite(base.held_out))
            is_worse = cause in HELD_OUT and is_worse_held_out(trial, base, as_is)
            if is_worse:
                seen[-1] += f", and held out it is worse: {held_out_figures(trial)} with it, {held_out_figures(base)} without"
            if trial.level >= base.level and is_told and not is_worse:
                has_changed_nothing.append(trial)
        elif cause not in OF_THE_RATE and generic is not None and smaller_steps_do_as_well(cause, test, generic, trial, as_is):
            seen.append(f"{helps[0]}, but {told(generic)} with {GENERIC}")
        elif doubt := _doubt(cause, test, trial, base):
            seen.append(f"{helps[0]}, but that {doubt}")
        else:
            return Judgement(cause, "confirmed", helps[0], trial.name)
    smaller = [trials[name] for name in (GENERIC, "warm-up") if name in trials and trials[name].status == "ran"]
    if cause == "loss-spike" and leaps_whatever_is_changed(smaller, base):
        why = f"the loss leaps at step {base.leap} at {GENERIC} and with a warm-up, too: it is the batch of that step"
        return Judgement(cause, "confirmed", why, smaller[0].name)
    if cause in OF_THE_RATE and has_changed_nothing and all(one.outcome == "diverged" for one in has_changed_nothing):
        return Judgement(cause, "undecided", f"{'; '.join(seen)}: all of them diverge, and a rate that is smaller still may not")
    undone = next((one for one in has_changed_nothing if counterfactual(one.name).helps == "none"), None)
    if undone is not None and cause in base.findings:
        return Judgement(cause, "undecided", f"it is there ({undone.acts}), and the script trains no better without it: {'; '.join(seen)}")
    if has_changed_nothing and len(has_changed_nothing) == sum(one.status != "refused" for one in _made(tests, trials)):
        return Judgement(cause, "refuted", "; ".join(seen), has_changed_nothing[0].name)
    return Judgement(cause, "undecided", "; ".join(seen) or "no trial was made")


def _doubt(cause: str, test: Counterfactual, trial: Trial, base: Trial) -> str:
    """Why a trial that helps says nothing of a cause: it helps without that cause, too. "" where it does not."""
    whom = {"where meant": "lowers the loss of many a healthy training", **dict.fromkeys(_WIDE, "helps many a training that fails")}
    is_named = cause in base.findings
    other = next((one for one in base.findings if test.name in TESTS.get(one, ())), "")
    if test.helps not in whom or (trial.is_no_choice and is_named):
        return f"takes away {other}, too, which the recording names" if other and not is_named else ""
    if not is_named:
        return f"{whom[test.helps]}, and the recording does not warn of this cause"
    if test.helps in _WIDE:
        return ""
    if base.level == _LEVELS["learns"]:
        return f"{whom[test.helps]}, and the script as it is learns"
    if cause == "weight-decay-too-strong" and trial.held_out >= base.held_out:
        figures = f"{number(trial.held_out)} with {trial.name}, {number(base.held_out)} without"
        return f"{whom[test.helps]}, and the held-out loss is no lower: {figures}"
    return ""


def _made(tests: Sequence[Counterfactual], trials: Mapping[str, Trial]) -> list[Trial]:
    return [trials[test.name] for test in tests if test.name in trials]


def _rates(run: Run) -> list[str]:
    factor = float(run.attributes.get("trial_factor", 1.0))
    return [] if factor == 1.0 else [f"every learning rate, times {number(factor)}"]


def _entries(run: Run, name: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(str(run.attributes.get(name, "[]")))
    except ValueError:
        return []
    return found
