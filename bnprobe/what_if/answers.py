"""The answers: at which rates the recorded training would have trained, without and with remedies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bnprobe.observe.probes.replay import ReplayError
from bnprobe.what_if.activations import Activations, Layers
from bnprobe.what_if.course import losses_differ
from bnprobe.what_if.interruption import Interrupted
from bnprobe.what_if.judging import Judge, Trial
from bnprobe.what_if.kept_memory import freed_memory_kept
from bnprobe.what_if.program import Item, Program
from bnprobe.what_if.questions import Questions, both
from bnprobe.what_if.remedy_edits import RemedyEdits
from bnprobe.what_if.rerun import Rerun
from bnprobe.what_if.standing import Watched
from bnprobe.what_if.training import State, Training


@dataclass
class Answers:
    """What was found out.

    Attributes:
        steps: of the stretch.
        own_rate: the largest rate of any group within it.
        own_rates: that of its first step and of its last.
        proved: whether the rerun at the script's own rates was the recorded training, bit for bit.
        trials: every rerun that was judged.
        refused: what could not be answered, and why.
        seconds: what it took.
        rerun_steps: steps trained again, in all.
        ended_by: the signal that ended the search before all was answered; "" where none did.
        cycled: how many steps were recorded, where their batches are gone through several times; 0 where once.
        layers: names of the layers that were looked at.
    """

    steps: int = 0
    own_rate: float = float("nan")
    own_rates: tuple[float, float] = (float("nan"), float("nan"))
    proved: bool = False
    trials: list[Trial] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    rerun_steps: int = 0
    ended_by: str = ""
    cycled: int = 0
    layers: list[str] = field(default_factory=list)


class Answering:
    """Answers questions about one stretch, once it is proved.

    Args:
        program: the stretch as it was recorded.
        asked: what is trained again for the questions: the same, or its batches several times.
        judge: knows the recording.
        edits: makes what a remedy changes in ``asked``.
        layers: of ``asked``, those whose signals are looked at in the trainings of the curves.
        say: told what is going on.
        room: bytes that may be kept of what is the same in every rerun.
    """

    def __init__(
        self,
        program: Program,
        asked: Program,
        judge: Judge,
        edits: RemedyEdits,
        layers: Layers,
        say: Callable[[str], None] = lambda text: None,
        room: int = 0,
    ) -> None:
        self.found = Answers(
            steps=asked.steps,
            own_rate=asked.own_rate,
            own_rates=asked.own_rates,
            cycled=program.steps if asked is not program else 0,
            layers=layers.names,
        )
        self._program, self._is_whole = program, asked is program
        self._rerun = Rerun(asked, room)
        self._layers = layers
        self._say = say
        self._began = time.perf_counter()
        self.questions = Questions(self._rerun, judge, edits, layers)

    @freed_memory_kept()
    def prove(self) -> bool:
        """Train the stretch again as it was; return whether that is the recorded training. Its course is that of the own rate, too."""
        if self._is_whole:
            activations, movement = Activations(self._layers), self.questions.movement()
            training = proof(self._rerun, self.found, both(activations, movement))
            if training is not None:
                self.questions.know_own(Watched(training, movement, activations))
        else:
            training = proof(Rerun(self._program), self.found)
        self.found.seconds = time.perf_counter() - self._began
        return training is not None

    @freed_memory_kept()
    def ask(self, remedies: Sequence[str], question: Callable[[str], None]) -> None:
        """Ask a question of each remedy. What a signal keeps from being answered is refused; the rest stands.

        Args:
            remedies: which to try; "none" is the training as it is.
            question: asks it of one.
        """
        found, left = self.found, list(remedies)
        try:
            while left:
                seconds = round(time.perf_counter() - self._began)
                self._say(f"what if: {left[0]}, {len(remedies) - len(left) + 1} of {len(remedies)}, {seconds} s so far")
                self.questions.refusable(left[0], question)
                left.pop(0)
        except Interrupted as signal:
            found.ended_by = str(signal)
            self.questions.forget(left)
            self.questions.refused += [(what, f"ended by {signal} before it was answered") for what in left]
        finally:
            found.trials, found.refused = self.questions.trials, found.refused + self.questions.refused
            self.questions.refused = []
            found.rerun_steps += self.questions.rerun_steps
            self.questions.rerun_steps = 0
            found.seconds = time.perf_counter() - self._began


def answer(
    program: Program,
    asked: Program,
    judge: Judge,
    edits: RemedyEdits,
    layers: Layers,
    remedies: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
    room: int = 0,
) -> Answers:
    """Prove the program and search for the limit of each remedy.

    Args:
        program: the stretch as it was recorded.
        asked: what is trained again for the questions.
        judge: knows the recording.
        edits: makes what a remedy changes.
        layers: those whose signals are looked at in the trainings of the curves.
        remedies: which to try.
        say: told of each remedy as its search begins.
        room: bytes that may be kept of what is the same in every rerun.

    Returns:
        The answers; without a proof there is no trial among them.
    """
    answering = Answering(program, asked, judge, edits, layers, say, room)
    try:
        proved = answering.prove()
    except Interrupted as signal:
        answering.found.ended_by = str(signal)
        answering.found.refused.append(("proof", f"ended by {signal} before it was answered"))
        return answering.found
    if proved:
        answering.ask(remedies, answering.questions.limit)
    return answering.found


def answer_from_here(program: Program, judge: Judge, edits: RemedyEdits, remedies: Sequence[str]) -> Answers:
    """Prove a stretch in which the training diverged, and search for what would have kept it: the fastest rates that do not diverge there.

    Args:
        program: the stretch.
        judge: knows the recording.
        edits: makes what a remedy changes.
        remedies: which to try.

    Returns:
        The answers.
    """
    answering = Answering(program, program, judge, edits, Layers(program, []))
    if answering.prove():
        answering.ask(remedies, answering.questions.kept_from)
    return answering.found


def proof(rerun: Rerun, found: Answers, watch: Callable[[Item, State], None] | None = None) -> Training | None:
    """Train a stretch again as it was; return that if its course is the recorded one."""
    training = rerun.begin(keep_values=True, watch=watch)
    try:
        training.go_on()
    except ReplayError as error:
        found.refused.append(("proof", f"trained again at its own rates, the stretch stops: {error}"))
        return None
    found.rerun_steps += len(training.course.losses)
    parted = losses_differ(rerun.program, training.course)
    if parted is None:
        found.proved = True
        return training
    step, recorded, value = parted
    reason = f"trained again at its own rates, the loss at step {step} is {value:.9g}, not {recorded:.9g}"
    found.refused.append(("proof", reason))
    return None
