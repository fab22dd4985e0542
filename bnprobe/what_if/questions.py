"""Questions about a proved stretch: where the limit of a remedy lies, what becomes of one rate, what keeps it from a step on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

from bnprobe.analyse.what_if import CURVE_PLACES
from bnprobe.analyse.what_if_rates import learns_less
from bnprobe.diagnose.thresholds import COURSE_STEPS
from bnprobe.numerals import number
from bnprobe.observe.probes.replay import ReplayError
from bnprobe.store.limits_file import factor_of
from bnprobe.what_if.activations import Activations, Layers
from bnprobe.what_if.judging import Judge, Outcome, Trial
from bnprobe.what_if.module_edits import Refused
from bnprobe.what_if.movement import Movement
from bnprobe.what_if.program import Item
from bnprobe.what_if.remedy_edits import NONE, RemedyEdits
from bnprobe.what_if.rerun import Rerun
from bnprobe.what_if.search import Search
from bnprobe.what_if.standing import Standing, Watched
from bnprobe.what_if.training import State

#: Remedies whose losses are drawn at several rates.
CURVE_REMEDIES = (NONE, "msr")
#: Places at which these are drawn, above the script's own rate and below it.
CURVES_FASTER = tuple(place for place in CURVE_PLACES if place > 0)
CURVES_SLOWER = tuple(place for place in reversed(CURVE_PLACES) if place < 0)
#: Bare stretches that the answer for a remedy that is drawn may take: curves that the search has not made are drawn as far as that allows.
CURVE_STRETCHES = 5
#: Steps after which a training may first be paused: the fewest that have a verdict. Twice as many when they were too few.
LOOK_STEPS = COURSE_STEPS
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
        self._own: Watched | None = None
        #: Of the rerun that was begun last.
        self._factor = 1.0
        self._spare_steps, self._look_steps = 0, LOOK_STEPS
        self._drawn_places: set[int] = set()

    def movement(self) -> Movement:
        """Return what looks at how far the weights move in one rerun."""
        return Movement(self._rerun.program, self._names)

    def know_own(self, watched: Watched) -> None:
        """The training at the script's own rate has been made already."""
        self._own = watched

    def refusable(self, remedy: str, question: Callable[[str], None]) -> None:
        """Ask a question of a remedy; one that cannot be answered has no trial."""
        try:
            question(remedy)
            return
        except Refused as refusal:
            reason = str(refusal)
        except ReplayError as error:
            reason = f"the stretch cannot be trained again at {self._rate(self._factor)}: {error}"
        self.forget([remedy])
        self.refused.append((remedy, reason))

    def _rate(self, factor: float) -> str:
        rate = factor * self._rerun.program.own_rate
        return number(rate) if math.isfinite(rate) else f"{number(factor)} times its rates"

    def forget(self, remedies: Sequence[str]) -> None:
        """Forget the trials of remedies whose question has no whole answer."""
        self.trials = [trial for trial in self.trials if trial.remedy not in remedies]
        self.refused = [one for one in self.refused if one[0] not in remedies]

    def limit(self, remedy: str) -> None:
        """Find the bracket on the grid of ``lr-limit``; a remedy that is drawn at several rates is tried at these, too."""
        search = Search(remedy in CURVE_REMEDIES, None if remedy == NONE else self.limit_of_none)
        standing, before = Standing(), self.rerun_steps
        try:
            search.take(0, self.trial(remedy, 1.0, 0))
            if search.is_drawn and search.tried[0].outcome == "stuck":  # the way is not known: look around, which the curves do anyway
                self._draw(remedy, search, math.inf)
            while (place := search.next()) is not None:
                with self._unless_unknown(search, place):
                    self._attempt(remedy, search, standing, place)
        finally:
            standing.clear()
        if search.is_drawn:
            if remedy == NONE and self._own is not None:
                before -= len(self._own.training.course.losses)
            self._spare_steps += CURVE_STRETCHES * self._rerun.program.steps
            self._draw(remedy, search, before + self._spare_steps)
            self._spare_steps -= self.rerun_steps - before
            self._drawn_places.update(search.tried)
        if search.unknown:
            place = min(search.unknown)
            self.refused.append((f"{remedy} at {self._rate(factor_of(place))}", search.unknown[place]))
        if remedy == NONE:
            self.limit_of_none = max((place for place, trial in search.tried.items() if trial.outcome == "trains"), default=None)

    def _draw(self, remedy: str, search: Search, most_steps: float) -> None:
        """Train at the rates of the curves that have not been tried, those first that are drawn without a remedy.

        Args:
            remedy: its specification, or "none".
            search: knows what has been tried.
            most_steps: trained again in all, the next curve included.
        """

        def draw(places: Sequence[int]) -> None:
            for place in sorted(set(places) - search.tried.keys(), key=lambda place: (place not in self._drawn_places, abs(place))):
                if place < 0 and learns_less(search.tried, place):
                    search.too_slow.add(place)
                elif place < min(search.unknown, default=math.inf) and self.rerun_steps + self._rerun.program.steps <= most_steps:
                    with self._unless_unknown(search, place):
                        search.take(place, self.trial(remedy, factor_of(place), place))

        draw(CURVES_FASTER)
        draw(CURVES_SLOWER)

    @contextlib.contextmanager
    def _unless_unknown(self, search: Search, place: int) -> Iterator[None]:
        """Take note of a place at which the stretch cannot be trained again: what is known of others stands."""
        try:
            yield
        except ReplayError as error:
            search.unknown[place] = f"the stretch cannot be trained again there: {error}"

    def _attempt(self, remedy: str, search: Search, standing: Standing, place: int) -> None:
        """Train at a rate: to the end, or as long as it takes to see that it trains, where the search asks for no more."""
        watched = standing.take(place) or self._begin(remedy, factor_of(place), place)
        stop = self._rerun.stop_after(self._look_steps) if search.is_for_a_look(place) else None
        is_over = stop is not None and self._go_on(watched, stop)
        if stop is not None and not is_over and self._promises(watched, factor_of(place)):
            search.leave(place)
            standing.leave(place, watched, self._rerun.room)
            return
        if not is_over:
            self._go_on(watched)
        if not search.take(place, self._judged(remedy, factor_of(place), place, watched)):
            self._look_steps *= 2

    def _promises(self, watched: Watched, factor: float) -> bool:
        """Whether a training trains by the steps that it has made."""
        course = watched.training.course
        return self._judge.judge(course.losses, course.skipped, factor, watched.movement)[0] == "trains"

    def kept_from(self, remedy: str, start: int | None = None) -> None:
        """Find the fastest rates at which a remedy keeps the stretch from diverging, from a step on."""
        for factor in KEEPING_FACTORS:
            if self.from_step(remedy, factor, start).outcome == "trains":
                return

    def from_step(self, remedy: str, factor: float, start: int | None = None) -> Trial:
        """Train with the steps before ``start`` as they were recorded: does it diverge?"""
        program, self._factor = self._rerun.program, factor
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
        if remedy == NONE and factor == 1.0 and self._own is not None:
            return self._judged(remedy, factor, place, self._own)
        watched = self._begin(remedy, factor, place)
        self._go_on(watched)
        return self._judged(remedy, factor, place, watched)

    def _judged(self, remedy: str, factor: float, place: int | None, watched: Watched) -> Trial:
        course, movement = watched.training.course, watched.movement
        outcome, stuck_by, reason = self._judge.judge(course.losses, course.skipped, factor, movement)
        if outcome == "failed":
            raise Refused(reason)
        start, own_rate = self._rerun.program.first_step, self._rerun.program.own_rate
        sees, losses = self._judge.sees(movement), tuple(course.losses)
        trial = Trial(remedy, factor, outcome, stuck_by, reason, losses, place, start, own_rate, watched.activations, sees)
        self.trials.append(trial)
        return trial

    def _begin(self, remedy: str, factor: float, place: int | None) -> Watched:
        self._factor = factor
        activations = Activations(self._layers) if remedy in CURVE_REMEDIES and place in CURVE_PLACES else None
        movement = self.movement()
        return Watched(self._rerun.begin(factor, self._edits.of(remedy), watch=both(activations, movement)), movement, activations)

    def _go_on(self, watched: Watched, stop: int | None = None) -> bool:
        """Train on; return whether that is the end."""
        before = len(watched.training.course.losses)
        is_over = watched.training.go_on(stop)
        self.rerun_steps += len(watched.training.course.losses) - before
        return is_over


def both(activations: Activations | None, movement: Movement) -> Callable[[Item, State], None]:
    """Return what watches a rerun for both."""
    if activations is None:
        return movement.watch

    def watch(item: Item, state: State) -> None:
        activations.watch(item, state)
        movement.watch(item, state)

    return watch
