"""The search for a limit: at which rate to train next, and whether to the end or only for a look.

It goes over the grid of ``lr-limit`` and judges as that does. What it spares are steps: a training that trains by its first steps is left
standing, and a faster rate is tried. Whatever becomes an end of the bracket is trained to its end. Where that shows a look to have been
wrong, as where a rate is raised slowly or a layer is let go later, none so short is believed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bnprobe.analyse.limits import Verdict, bracket
from bnprobe.analyse.what_if import CURVE_PLACES
from bnprobe.analyse.what_if_rates import best_of
from bnprobe.experiments.limits.plan import MOST_TRIALS, NEAR_STRIDES, STRIDES, furthest_index, next_index
from bnprobe.what_if.judging import Trial

#: Strides of the search of a remedy that is drawn where its own rate does not train, and the places of the curves have been tried.
STUCK_STRIDES = (3, 3, 8)
#: Trials of a search in which none has trained yet.
MOST_WITHOUT_SUCCESS = 7
#: The same where nothing says that a rate beyond them, or between two of them, would do.
MOST_WITHOUT_A_WAY = 5
#: Steps of the grid above a limit, from one that is stuck to one that diverges, between which a rate is tried: a factor of more than two.
WIDE_GAP = 2


@dataclass
class Search:
    """What is known of one remedy, by place on the grid.

    Attributes:
        is_drawn: whether its losses are drawn at several rates, which are then trained to their end.
        near: the limit of the training without a remedy; None where that is not known, or is what is searched for.
        tried: trainings that came to their end.
        looked_at: those that trained by their first steps, and were paused there.
        too_slow: places of which it is known that they learn less than faster ones at which nothing trains.
        unknown: places at which the stretch could not be trained again, and why; no faster one is tried.
        misled: how often a look was wrong; each cost a trial that is made up for.
    """

    is_drawn: bool
    near: int | None = None
    tried: dict[int, Trial] = field(default_factory=dict)
    looked_at: set[int] = field(default_factory=set)
    too_slow: set[int] = field(default_factory=set)
    unknown: dict[int, str] = field(default_factory=dict)
    misled: int = 0

    def next(self) -> int | None:
        """Return the place to try next; None where the search is over."""
        verdicts = self._verdicts()
        if "trains" not in verdicts.values():
            return self._first_that_trains(verdicts)
        low, high = bracket(verdicts)
        furthest = furthest_index(verdicts)
        assert low is not None and furthest is not None
        if (high is not None and high - low == 1) or self._has_made_its_trials or low == furthest:
            return low if low in self.looked_at else self._second_window()
        if high is None:
            return min(self._beyond(low), furthest)
        if self.near is not None and low < self.near < high:
            return self.near
        # Of the two places in the middle of an odd gap the upper one: if it trains it settles the limit, if it diverges it ends early.
        return (low + high + 1) // 2

    def is_for_a_look(self, place: int) -> bool:
        """Whether a place may be paused after some steps: above all that train, and never twice."""
        fastest = max((each for each, trial in self.tried.items() if trial.outcome == "trains"), default=0)
        return place > fastest and place not in self.looked_at and not (self.is_drawn and place in CURVE_PLACES)

    def take(self, place: int, trial: Trial) -> bool:
        """A training has come to its end; return whether a look at it was right, or there was none."""
        self.tried[place] = trial
        if place not in self.looked_at or trial.outcome == "trains":
            self.looked_at.discard(place)
            return True
        self.looked_at.clear()
        self.misled += 1
        return False

    def leave(self, place: int) -> None:
        """A training promises to train, and is paused.

        One that promises nothing is not: near a limit many a loss leaps at first and comes down in the end.
        """
        self.looked_at.add(place)

    @property
    def _has_made_its_trials(self) -> bool:
        return len(self.tried.keys() | self.looked_at | self.unknown.keys()) - self.misled >= MOST_TRIALS

    def _verdicts(self) -> dict[int, Verdict]:
        slow: dict[int, Verdict] = {place: "slow" for place in self.too_slow}
        promised: dict[int, Verdict] = dict.fromkeys(self.looked_at, "trains")
        unknown: dict[int, Verdict] = dict.fromkeys(self.unknown, "fails")
        return slow | promised | unknown | {place: verdict(trial) for place, trial in self.tried.items()}

    def _first_that_trains(self, verdicts: Mapping[int, Verdict]) -> int | None:
        _, high = bracket(verdicts)
        if self.near is not None and verdicts and self.near not in verdicts and (high is None or self.near < high):
            return self.near
        most = MOST_WITHOUT_SUCCESS if self._knows_the_way(verdicts) or self._may_be_too_slow() else MOST_WITHOUT_A_WAY
        strides = STUCK_STRIDES if self.is_drawn else NEAR_STRIDES if self.near else STRIDES
        return next_index(verdicts, strides=strides, most_trials=most + len(verdicts) - len(self.tried))

    def _knows_the_way(self, verdicts: Mapping[int, Verdict]) -> bool:
        """Whether there is more to try: beyond a fastest rate that was too slow or a slowest that was too fast, or between two rates."""
        # Between two rates only where going faster was of use: the lower one, or any above the script's own, ended at the lowest loss.
        low, high = bracket(verdicts)
        best = best_of(self.tried)
        lies_between = low is not None and high is not None and high - low > 1 and best is not None and (best == low or best > 0)
        return lies_between or not verdicts or verdicts[max(verdicts)] == "slow" or verdicts[min(verdicts)] == "fails"

    def _may_be_too_slow(self) -> bool:
        """Whether the fastest rate does not train and it could not be told whether it was too slow."""
        fastest = self.tried[max(self.tried)] if self.tried else None
        return fastest is not None and fastest.stuck_by == "level" and not fastest.saw_weights_move

    def _beyond(self, low: int) -> int:
        """Return a place above all that train: the last curve, the limit without a remedy, and from there on in strides that grow."""
        curve = CURVE_PLACES[-1] if self.is_drawn else 0
        if self.near is not None and low < self.near and curve < self.near:
            return self.near
        if low < curve:
            return curve
        far = max(curve, self.near or 0)
        strides = NEAR_STRIDES if self.near is not None else STRIDES[-1:] if self.is_drawn else STRIDES
        return low + strides[min(sum(place > far for place in self.tried.keys() | self.looked_at), len(strides) - 1)]

    def _second_window(self) -> int | None:
        """Return a place above a limit at which it may train again: well above a rate that is stuck, and below one that diverges."""
        if self._has_made_its_trials:
            return None
        low = max(place for place, trial in self.tried.items() if trial.outcome == "trains")
        diverges = min((place for place, trial in self.tried.items() if place > low and trial.outcome == "diverges"), default=None)
        if diverges is None:
            return None
        stuck = max((place for place in self.tried.keys() | self.looked_at if low < place < diverges), default=None)
        return (stuck + diverges) // 2 if stuck is not None and diverges - stuck > WIDE_GAP else None


def verdict(trial: Trial) -> Verdict:
    """Return what a trial says about its rate, as a search asks."""
    if trial.outcome == "stuck" and trial.stuck_by != "risen":
        return "slow" if trial.stuck_by == "slow" else "stuck"
    return "trains" if trial.outcome == "trains" else "fails"
