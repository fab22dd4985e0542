"""Questions about a proved stretch: where the limit of a remedy lies, what becomes of one rate, what keeps it from a step on."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence

from bnprobe.analyse.limits import Verdict, bracket
from bnprobe.analyse.what_if import CURVE_PLACES
from bnprobe.experiments.limits.plan import MOST_TRIALS, STRIDES, next_index
from bnprobe.numerals import number
from bnprobe.observe.probes.replay import ReplayError
from bnprobe.store.limits_file import factor_of
from bnprobe.what_if.activations import Activations, Layers
from bnprobe.what_if.course import Course
from bnprobe.what_if.judging import Judge, Outcome, Trial
from bnprobe.what_if.module_edits import Refused
from bnprobe.what_if.movement import Movement
from bnprobe.what_if.program import Item
from bnprobe.what_if.remedy_edits import NONE, RemedyEdits
from bnprobe.what_if.rerun import Rerun, State

#: Remedies whose losses are drawn at several rates.
CURVE_REMEDIES = (NONE, "msr")
#: Places at which these are drawn, above the script's own rate and below it.
CURVES_FASTER = tuple(place for place in CURVE_PLACES if place > 0)
CURVES_SLOWER = tuple(place for place in reversed(CURVE_PLACES) if place < 0)
#: Strides of the search of these, so that it goes through the places of the curves.
CURVE_STRIDES = (3, 3, 8)
#: Strides of the others, from the limit of the training as it is: theirs will be near.
NEAR_STRIDES = (1, 1, 2, 4, 8)
#: Trials of a search in which none has trained yet.
MOST_WITHOUT_SUCCESS = 7
#: The same where nothing says that a rate beyond them, or between two of them, would do.
MOST_WITHOUT_A_WAY = 5
#: Steps of the grid above a limit, from one that is stuck to one that diverges, between which a rate is tried: a factor of more than two.
WIDE_GAP = 2
#: Two rates at which nothing trains end alike, whichever is lower, where their losses differ by less than this share.
STUCK_ALIKE = 0.002
#: Rates that are tried from a snapshot before a divergence, the script's own first.
KEEPING_FACTORS = (1.0, 2.0 / 3.0, 1.0 / 3.0, 0.1, 0.03, 0.01)


class Questions:
    """Trains a stretch again as often as a question needs.

    Args:
        rerun: the stretch.
        judge: knows the recording.
        edits: makes what a remedy changes.
        layers: those whose signals are looked at in the trainings of the curves.

    Attributes:
        trials: every rerun that was judged.
        refused: what could not be answered, and why.
        rerun_steps: steps trained again, in all.
        limit_of_none: the place on the grid at which the training as it is was the fastest that trained; None where that is not known.
    """

    def __init__(self, rerun: Rerun, judge: Judge, edits: RemedyEdits, layers: Layers) -> None:
        self.trials: list[Trial] = []
        self.refused: list[tuple[str, str]] = []
        self.rerun_steps = 0
        self.limit_of_none: int | None = None
        self._rerun, self._judge, self._edits, self._layers = rerun, judge, edits, layers
        self._names = edits.parameter_names
        self._own: tuple[Course, Activations, Movement] | None = None

    def movement(self) -> Movement:
        """Return what looks at how far the weights move in one rerun."""
        return Movement(self._rerun.program, self._names)

    def know_own(self, course: Course, activations: Activations, movement: Movement) -> None:
        """The training at the script's own rate has been made already."""
        self._own = course, activations, movement

    def refusable(self, remedy: str, question: Callable[[str], None]) -> None:
        """Ask a question of a remedy; one that cannot be answered has no trial."""
        try:
            question(remedy)
            return
        except Refused as refusal:
            reason = str(refusal)
        except ReplayError as error:
            reason = f"the stretch cannot be trained again so: {error}"
        self.forget([remedy])
        self.refused.append((remedy, reason))

    def forget(self, remedies: Sequence[str]) -> None:
        """Forget the trials of remedies whose question has no whole answer."""
        self.trials = [trial for trial in self.trials if trial.remedy not in remedies]
        self.refused = [one for one in self.refused if one[0] not in remedies]

    def limit(self, remedy: str) -> None:
        """Find the bracket on the grid of ``lr-limit``; a remedy that is drawn at several rates is tried at these, too."""
        tried: dict[int, Trial] = {}
        too_slow: set[int] = set()

        def make(place: int) -> None:
            tried[place] = self.trial(remedy, factor_of(place), place)

        def draw() -> None:
            for place in CURVES_FASTER:
                if place not in tried:
                    make(place)
            for place in CURVES_SLOWER:
                if learns_less(tried, place):
                    too_slow.add(place)
                elif place not in tried:
                    make(place)

        make(0)
        is_drawn = remedy in CURVE_REMEDIES
        start = self.limit_of_none or 0
        if is_drawn and tried[0].outcome == "stuck":  # the way is not known: look around, which the curves do anyway
            draw()
        elif not is_drawn and start:
            make(start)
        strides = CURVE_STRIDES if is_drawn else NEAR_STRIDES if start else STRIDES
        near = self.limit_of_none if is_drawn and remedy != NONE else None
        while (place := _next(tried, strides, too_slow, near)) is not None:
            make(place)
        if is_drawn:
            draw()
        if remedy == NONE:
            self.limit_of_none = max((place for place, trial in tried.items() if trial.outcome == "trains"), default=None)

    def kept_from(self, remedy: str, start: int | None = None) -> None:
        """Find the fastest rates at which a remedy keeps the stretch from diverging, from a step on."""
        for factor in KEEPING_FACTORS:
            if self.from_step(remedy, factor, start).outcome == "trains":
                return

    def from_step(self, remedy: str, factor: float, start: int | None = None) -> Trial:
        """Train with the steps before ``start`` as they were recorded: does it diverge?"""
        program = self._rerun.program
        course = self._rerun.run(factor, self._edits.of(remedy, start), start=start)
        self.rerun_steps += len(course.losses)
        reason = str(course.diverged) if course.diverged is not None else f"the loss ends at {number(course.losses[-1])}"
        outcome: Outcome = "trains" if course.diverged is None else "diverges"
        begins = program.first_step if start is None else start
        losses = tuple(course.losses[begins - program.first_step :])
        self.trials.append(Trial(remedy, factor, outcome, "", reason, losses, 0, begins, program.own_rate))
        return self.trials[-1]

    def trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
        """Train the whole stretch at a factor on its rates.

        Args:
            remedy: its specification, or "none".
            factor: on every rate.
            place: that of the factor on the grid; None where it is not one of the search.

        Returns:
            What became of it.

        Raises:
            Refused: it cannot be judged.
        """
        course, activations, movement = self._train(remedy, factor, place)
        outcome, stuck_by, reason = self._judge.judge(course.losses, course.skipped, factor, movement)
        if outcome == "failed":
            raise Refused(reason)
        start, own_rate = self._rerun.program.first_step, self._rerun.program.own_rate
        sees, losses = self._judge.sees(movement), tuple(course.losses)
        self.trials.append(Trial(remedy, factor, outcome, stuck_by, reason, losses, place, start, own_rate, activations, sees))
        return self.trials[-1]

    def _train(self, remedy: str, factor: float, place: int | None) -> tuple[Course, Activations | None, Movement]:
        if remedy == NONE and factor == 1.0 and self._own is not None:
            return self._own
        activations = Activations(self._layers) if remedy in CURVE_REMEDIES and place in CURVE_PLACES else None
        movement = self.movement()
        course = self._rerun.run(factor, self._edits.of(remedy), watch=both(activations, movement))
        self.rerun_steps += len(course.losses)
        return course, activations, movement


def both(activations: Activations | None, movement: Movement) -> Callable[[Item, State], None]:
    """Return what watches a rerun for both."""
    if activations is None:
        return movement.watch

    def watch(item: Item, state: State) -> None:
        activations.watch(item, state)
        movement.watch(item, state)

    return watch


def learns_less(tried: Mapping[int, Trial], place: int) -> bool:
    """Whether it is known without a trial that a slow place learns less: of two faster ones the slower did, by more than nothing."""
    pairs = itertools.combinations(sorted(each for each in tried if each > place), 2)
    return any(
        learns_faster(tried[faster], tried[slower])
        and (tried[faster].outcome == "trains" or _end(tried[faster]) < (1 - STUCK_ALIKE) * _end(tried[slower]))
        for slower, faster in pairs
    )


def learns_faster(one: Trial, slower: Trial) -> bool:
    """Whether a training learns more in the stretch than another at a smaller rate: rates below that one would learn less still."""
    return "diverges" not in (one.outcome, slower.outcome) and _end(one) < _end(slower)


def _end(trial: Trial) -> float:
    """Return the loss at the end, the one that a verdict tells."""
    return statistics.median(trial.losses[-max(1, len(trial.losses) // 4) :])


def _next(tried: Mapping[int, Trial], strides: tuple[int, ...], too_slow: Collection[int] = (), near: int | None = None) -> int | None:
    """Return the place to try next, or None where the search is over; ``near`` is the limit of the training without a remedy."""
    verdicts: dict[int, Verdict] = {place: "slow" for place in too_slow if place not in tried}
    known = len(verdicts)
    verdicts |= {place: verdict(trial) for place, trial in tried.items()}
    if "trains" not in verdicts.values():
        most = MOST_WITHOUT_SUCCESS if _knows_the_way(verdicts) or _may_be_too_slow(tried) else MOST_WITHOUT_A_WAY
        return next_index(verdicts, strides=strides, most_trials=most + known)
    place = next_index(verdicts, strides=strides)
    if place is None:
        return _second_window(tried) if len(tried) < MOST_TRIALS else None
    low, high = bracket(verdicts)
    if near is not None and low is not None:
        if high is None and place > CURVE_PLACES[-1]:
            return _beyond(tried, near)
        if high is not None and low < near < high:
            return near
    if low is not None and high is not None and low < place < high and tried[high].outcome == "diverges":
        # Of the two places in the middle of an odd gap the upper one: if it trains it settles the limit, if it diverges it ends early.
        return (low + high + 1) // 2
    return place


def _beyond(tried: Mapping[int, Trial], near: int) -> int:
    """Return a place above all that were tried and trained: the limit without a remedy, and from there in strides that grow."""
    if near > max(tried):
        return near
    beyond = sum(place > max(near, CURVE_PLACES[-1]) for place in tried)
    return max(tried) + NEAR_STRIDES[min(1 + beyond, len(NEAR_STRIDES) - 1)]


def _knows_the_way(verdicts: Mapping[int, Verdict]) -> bool:
    """Whether there is more to try: beyond a fastest rate that was too slow or a slowest that was too fast, or between two rates."""
    low, high = bracket(verdicts)
    lies_between = low is not None and high is not None and high - low > 1
    return lies_between or not verdicts or verdicts[max(verdicts)] == "slow" or verdicts[min(verdicts)] == "fails"


def _may_be_too_slow(tried: Mapping[int, Trial]) -> bool:
    """Whether the fastest rate does not train and it could not be told whether it was too slow."""
    fastest = tried[max(tried)] if tried else None
    return fastest is not None and fastest.stuck_by == "level" and not fastest.saw_weights_move


def _second_window(tried: Mapping[int, Trial]) -> int | None:
    """Return a place above a limit at which it may train again: well above a rate that is stuck, and below one that diverges."""
    low = max(place for place, trial in tried.items() if trial.outcome == "trains")
    diverges = min((place for place, trial in tried.items() if place > low and trial.outcome == "diverges"), default=None)
    if diverges is None:
        return None
    stuck = max((place for place in tried if low < place < diverges), default=None)
    return (stuck + diverges) // 2 if stuck is not None and diverges - stuck > WIDE_GAP else None


def verdict(trial: Trial) -> Verdict:
    """Return what a trial says about its rate, as a search asks."""
    if trial.outcome == "stuck" and trial.stuck_by != "risen":
        return "slow" if trial.stuck_by == "slow" else "stuck"
    return "trains" if trial.outcome == "trains" else "fails"
