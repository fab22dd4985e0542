"""The answers: at which rates the recorded training would have trained, without and with remedies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bnprobe.analyse.limits import Verdict
from bnprobe.lrlimit.plan import next_index
from bnprobe.numerals import number
from bnprobe.observe.probes.replay import ReplayError
from bnprobe.store.limits_file import factor_of
from bnprobe.what_if.activations import Activations, Layers
from bnprobe.what_if.interruption import Interrupted
from bnprobe.what_if.judging import Judge, Measured, Outcome, Trial
from bnprobe.what_if.module_edits import Refused
from bnprobe.what_if.program import Program
from bnprobe.what_if.remedy_edits import NONE, RemedyEdits
from bnprobe.what_if.rerun import Course, Rerun, losses_differ

#: Rates of the curves, as factors on the script's own, and the remedies they are drawn for.
CURVE_FACTORS = (0.1, 1.0 / 3.0, 1.0, 3.0, 10.0)
CURVE_REMEDIES = (NONE, "msr")
#: Rates that are tried from a snapshot before a divergence, the script's own first.
KEEPING_FACTORS = (1.0, 2.0 / 3.0, 1.0 / 3.0, 0.1, 0.03, 0.01)


@dataclass
class Answers:
    """What was found out.

    Attributes:
        steps: of the stretch.
        own_rate: the largest rate of any group within it.
        proved: whether the rerun at the script's own rates was the recorded training, bit for bit.
        trials: every rerun that was judged.
        refused: what could not be answered, and why.
        seconds: what it took.
        rerun_steps: steps trained again, in all.
        ended_by: the signal that ended the search before all was answered; "" where none did.
    """

    steps: int = 0
    own_rate: float = float("nan")
    proved: bool = False
    trials: list[Trial] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    rerun_steps: int = 0
    ended_by: str = ""


def answer(
    program: Program,
    judge: Judge,
    edits: RemedyEdits,
    layers: Layers,
    remedies: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Answers:
    """Prove the program and search for the limit of each remedy.

    Args:
        program: the stretch.
        judge: knows the recording.
        edits: makes what a remedy changes.
        layers: those whose signals are looked at in the trainings of the curves.
        remedies: which to try; "none" is the training as it is.
        say: told of each remedy as its search begins.

    Returns:
        The answers; without a proof there is no trial among them. What a signal kept from being answered is refused; the rest stands.
    """
    began = time.perf_counter()
    found = Answers(steps=program.steps, own_rate=program.own_rate)
    search = _Search(Rerun(program), judge, edits, layers, found)
    left = ["proof"]
    try:
        search.prove()
        left = list(remedies) if found.proved else []
        while left:
            say(f"what if: {left[0]}, {len(remedies) - len(left) + 1} of {len(remedies)}, {round(time.perf_counter() - began)} s so far")
            search.of(left[0])
            left.pop(0)
    except Interrupted as signal:
        found.ended_by = str(signal)
        found.trials = [trial for trial in found.trials if trial.remedy not in left]
        found.refused = [one for one in found.refused if one[0] not in left]
        found.refused += [(what, f"ended by {signal} before it was answered") for what in left]
    finally:
        found.seconds = time.perf_counter() - began
    return found


def answer_from_here(program: Program, edits: RemedyEdits, remedies: Sequence[str]) -> Answers:
    """Prove a stretch in which the training diverged, and search for what would have kept it: the fastest rates that do not diverge there.

    Args:
        program: the stretch.
        edits: makes what a remedy changes.
        remedies: which to try.

    Returns:
        The answers.
    """
    found = Answers(steps=program.steps, own_rate=program.own_rate)
    rerun = Rerun(program)
    if _prove(rerun, found) is not None:
        for remedy in remedies:
            try:
                for factor in KEEPING_FACTORS:
                    course = rerun.run(factor, edits.of(remedy))
                    found.rerun_steps += len(course.losses)
                    reason = str(course.diverged) if course.diverged is not None else f"the loss ends at {number(course.losses[-1])}"
                    outcome: Outcome = "trains" if course.diverged is None else "diverges"
                    losses = tuple(course.losses)
                    found.trials.append(Trial(remedy, factor, outcome, "", reason, losses, 0, program.first_step, program.own_rate))
                    if course.diverged is None:
                        break
            except (Refused, ReplayError) as refusal:
                found.refused.append((remedy, str(refusal)))
    return found


def _prove(rerun: Rerun, found: Answers, activations: Activations | None = None) -> Course | None:
    """Train the stretch again as it was; return its course if it is the recorded one."""
    try:
        course = rerun.run(keep_values=True, watch=activations.watch if activations is not None else None)
    except ReplayError as error:
        found.refused.append(("proof", f"trained again at its own rates, the stretch stops: {error}"))
        return None
    found.rerun_steps += len(course.losses)
    parted = losses_differ(rerun.program, course)
    if parted is None:
        found.proved = True
        return course
    step, recorded, value = parted
    reason = f"trained again at its own rates, the loss at step {step} is {value:.9g}, not {recorded:.9g}"
    found.refused.append(("proof", reason))
    return None


class _Search:
    """The search for the limits, a remedy after the other."""

    def __init__(self, rerun: Rerun, judge: Judge, edits: RemedyEdits, layers: Layers, found: Answers) -> None:
        self._rerun, self._judge, self._edits, self._layers, self._found = rerun, judge, edits, layers, found
        self._proof: tuple[Course, Activations] | None = None

    def prove(self) -> None:
        """Prove the stretch. Its course is that of the script's own rate, too."""
        activations = Activations(self._layers)
        course = _prove(self._rerun, self._found, activations)
        self._proof = (course, activations) if course is not None else None

    def of(self, remedy: str) -> None:
        """Find the bracket as ``lr-limit`` does, on its grid; then the rates of the curves that are missing."""
        found = self._found
        tried: dict[int, Trial] = {}
        try:
            while (place := next_index({index: verdict(trial) for index, trial in tried.items()})) is not None:
                tried[place] = self._trial(remedy, factor_of(place), place)
            if remedy in CURVE_REMEDIES:
                for factor in CURVE_FACTORS:
                    if factor != 1.0:
                        self._trial(remedy, factor)
        except Refused as refusal:
            found.refused.append((remedy, str(refusal)))
            found.trials = [trial for trial in found.trials if trial.remedy != remedy]
        except ReplayError as error:
            found.refused.append((remedy, f"the stretch cannot be trained again so: {error}"))
            found.trials = [trial for trial in found.trials if trial.remedy != remedy]

    def _trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
        course, activations = self._train(remedy, factor)
        outcome, stuck_by, reason = self._judge.judge(course.losses, course.skipped, factor, Measured({}))
        if outcome == "failed":
            raise Refused(reason)
        start, own_rate = self._rerun.program.first_step, self._found.own_rate
        trial = Trial(remedy, factor, outcome, stuck_by, reason, tuple(course.losses), place, start, own_rate, activations)
        self._found.trials.append(trial)
        return trial

    def _train(self, remedy: str, factor: float) -> tuple[Course, Activations | None]:
        if remedy == NONE and factor == 1.0 and self._proof is not None:
            return self._proof
        activations = Activations(self._layers) if remedy in CURVE_REMEDIES and factor in CURVE_FACTORS else None
        course = self._rerun.run(factor, self._edits.of(remedy), watch=activations.watch if activations is not None else None)
        self._found.rerun_steps += len(course.losses)
        return course, activations


def verdict(trial: Trial) -> Verdict:
    """Return what a trial says about its rate, as a search asks."""
    if trial.outcome == "stuck" and trial.stuck_by != "risen":
        return "slow" if trial.stuck_by == "slow" else "stuck"
    return "trains" if trial.outcome == "trains" else "fails"
