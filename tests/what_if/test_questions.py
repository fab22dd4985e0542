"""What is trained for an answer: the rates of the search and of the curves, and how many steps that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from bnprobe.observe.probes.replay import ReplayError
from bnprobe.what_if.judging import Trial
from bnprobe.what_if.questions import CURVE_STRETCHES, Questions

Becomes = tuple[Literal["trains", "stuck", "diverges"], str, float]
STEPS = 21


class Told(Questions):
    """Questions whose trainings come out as told, without a look; one that diverges does so at once."""

    def __init__(self, becomes: Mapping[int, Becomes] | Callable[[int], Becomes]) -> None:
        rerun: Any = SimpleNamespace(program=SimpleNamespace(steps=STEPS, own_rate=0.1), stop_after=lambda steps: None)
        super().__init__(rerun, None, SimpleNamespace(parameter_names={}), None)  # type: ignore[arg-type]
        self._becomes = becomes if callable(becomes) else becomes.__getitem__

    def trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
        assert place is not None
        outcome, stuck_by, end = self._becomes(place)
        losses = (2.3, end) if outcome == "diverges" else (2.3, *[end] * (STEPS - 1))
        self.trials.append(Trial(remedy, factor, outcome, stuck_by, "", losses, place))
        self.rerun_steps += len(losses)
        return self.trials[-1]

    def _attempt(self, remedy: str, search: Any, standing: Any, place: int) -> None:
        search.take(place, self.trial(remedy, 5.0 ** (place / 4), place))


DIVERGES: Becomes = ("diverges", "", 1e6)
LEVEL: Becomes = ("stuck", "level", 2.3)


@pytest.mark.parametrize(
    ("becomes", "left_out"),
    [
        pytest.param({0: ("trains", "", 0.5), 3: ("trains", "", 0.3)}, (-3, -6), id="the own rate learns less than a faster one"),
        pytest.param({0: ("trains", "", 0.3), -3: ("trains", "", 0.5)}, (-6,), id="a third learns less than the own rate"),
        pytest.param({0: ("trains", "", 0.5), -3: ("trains", "", 0.3), -6: ("trains", "", 0.4)}, (), id="the own rate is too fast"),
        pytest.param({0: ("stuck", "level", 2.29), -3: LEVEL}, (-6,), id="stuck, and a third learns less"),
        pytest.param({0: LEVEL, -3: ("stuck", "level", 2.29), -6: ("trains", "", 1.0)}, (), id="stuck, and a third learns more"),
    ],
)
def test_rates_that_learn_less_still_are_left_out(becomes: dict[int, Becomes], left_out: tuple[int, ...]) -> None:
    asked = Told(dict.fromkeys(range(1, 9), DIVERGES) | dict.fromkeys((-2, -4, -5), LEVEL) | becomes)
    asked.limit("none")
    tried = {trial.grid_index for trial in asked.trials}
    assert {-6, -3, 0, 3, 6} - tried == set(left_out)
    trains = [place for place, (outcome, _, _) in becomes.items() if outcome == "trains"]
    assert asked.limit_of_none == max(trains, default=None)


def test_above_rates_that_learn_less_the_slower_they_are_it_goes_on() -> None:
    slow = {0: LEVEL, 3: ("stuck", "level", 2.29), 6: ("stuck", "level", 2.28)}
    risen = dict.fromkeys((7, 8, 9, 10), ("stuck", "risen", 9.0))
    asked = Told(slow | risen | {7: DIVERGES})
    asked.limit("none")
    assert [trial.grid_index for trial in asked.trials] == [0, 3, 6, 10, 8, 7]


@pytest.mark.parametrize(
    ("near", "limit", "tries"),
    [
        pytest.param(12, 12, (0, 12, 13, 3, 6), id="the limit of the training without it, and one above"),
        pytest.param(12, 10, (0, 12, 6, 9, 11, 10), id="it lies below that"),
        pytest.param(4, 7, (0, 6, 7, 9, 8), id="it lies above, beyond the curves"),
        pytest.param(1, 1, (0, 6, 1, 4, 3, 2), id="between the curves"),
    ],
)
def test_the_search_of_a_remedy_that_is_drawn_begins_at_the_limit_without_it(near: int, limit: int, tries: tuple[int, ...]) -> None:
    asked = Told({place: ("trains", "", 1.0 / (place + 2)) if place <= limit else DIVERGES for place in range(20)})
    asked.limit_of_none = near
    asked.limit("msr")
    assert tuple(trial.grid_index for trial in asked.trials)[: len(tries)] == tries


@pytest.mark.parametrize("limit", range(0, 24, 3))
@pytest.mark.parametrize("above", [DIVERGES, ("stuck", "risen", 9.0)])
def test_curves_are_drawn_as_far_as_ten_stretches_allow(limit: int, above: Becomes) -> None:
    asked = Told(lambda place: ("trains", "", 0.5 + 0.01 * place) if place <= limit else above)  # a slower one always learns more
    asked.limit("none")
    searched = len({trial.grid_index for trial in asked.trials} - {-6, -3, 3})
    asked.limit("msr")
    assert asked.rerun_steps <= max(2 * CURVE_STRETCHES, 2 + searched + 3) * STEPS
    assert {0, 6} & {trial.grid_index for trial in asked.trials if trial.remedy == "none"} == {0, 6}


def test_curves_without_a_remedy_have_their_counterparts_first() -> None:
    asked = Told(lambda place: ("trains", "", 1.0 / (place + 20)) if place <= 9 else ("stuck", "risen", 9.0))
    asked.limit("none")
    without = {trial.grid_index for trial in asked.trials}
    asked.trials.clear()
    asked.limit("msr")
    assert 3 not in without
    assert [trial.grid_index for trial in asked.trials][:4] == [0, 9, 10, 6]


def test_a_refusal_names_the_rate_at_which_it_could_not_be_trained_again() -> None:
    asked = Told({})
    asked._rerun.begin = lambda *anything, **named: SimpleNamespace(go_on=_leaves_the_way, course=SimpleNamespace(losses=[]))  # type: ignore[method-assign]
    asked._edits.of = lambda remedy: None  # type: ignore[attr-defined, assignment, return-value]
    asked.movement = lambda: SimpleNamespace(watch=None)  # type: ignore[assignment, return-value, method-assign]
    asked.refusable("none", lambda remedy: Questions.trial(asked, remedy, 5.0, None) and None)
    assert asked.refused == [("none", "the stretch cannot be trained again at 0.5: the script might go another way")]


def _leaves_the_way(stop: int | None = None) -> bool:
    raise ReplayError("the script might go another way")


def test_what_is_known_of_slower_rates_stands_where_a_faster_one_leaves_the_way() -> None:
    class Leaving(Told):
        def trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
            if place is not None and place >= 5:
                raise ReplayError("it might go another way")
            return super().trial(remedy, factor, place)

    asked = Leaving(lambda place: ("trains", "", 1.0 / (place + 20)))
    asked.refusable("none", asked.limit)
    assert {trial.grid_index for trial in asked.trials} >= {0, 3, 4}
    assert max(trial.grid_index for trial in asked.trials if trial.grid_index is not None) == asked.limit_of_none == 4
    assert asked.refused == [("none at 0.748", "the stretch cannot be trained again there: it might go another way")]


def test_a_remedy_that_leaves_the_way_at_the_own_rate_has_no_answer() -> None:
    class Leaving(Told):
        def trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
            self._factor = factor
            raise ReplayError("it might go another way")

    asked = Leaving({})
    asked.refusable("msr", asked.limit)
    assert (asked.trials, [what for what, _ in asked.refused]) == ([], ["msr"])
