from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import pytest

from bnprobe.what_if.judging import Trial
from bnprobe.what_if.questions import CURVE_STRIDES, Questions, _next, learns_faster, learns_less

Becomes = Callable[[int], tuple[Literal["trains", "stuck", "diverges"], str]]


def searched(becomes: Becomes, places: tuple[int, ...] = (0,), saw_weights_move: bool = True) -> dict[int, str]:
    """Make a search whose trials come out as told; return the outcome at each place."""
    tried: dict[int, Trial] = {}

    def make(place: int) -> None:
        outcome, stuck_by = becomes(place)
        tried[place] = Trial("none", 5.0 ** (place / 4), outcome, stuck_by, "", (), place, saw_weights_move=saw_weights_move)

    for place in places:
        make(place)
    while (following := _next(tried, CURVE_STRIDES)) is not None:
        make(following)
    return {place: trial.outcome for place, trial in sorted(tried.items())}


def test_a_second_window_is_found_above_a_rate_that_is_stuck() -> None:
    def becomes(place: int) -> tuple[Literal["trains", "stuck", "diverges"], str]:
        if place <= 8 or 12 <= place <= 13:
            return "trains", ""
        return ("stuck", "level") if place < 14 else ("diverges", "")

    found = searched(becomes)
    assert max(place for place, outcome in found.items() if outcome == "trains") == 13
    assert found[14] == "diverges"
    assert len(found) <= 10


@pytest.mark.parametrize(
    ("limit", "tries"),
    [
        pytest.param(2, (0, 2, 3), id="it trains in the upper middle, which settles it"),
        pytest.param(1, (0, 1, 2, 3), id="it diverges there"),
        pytest.param(0, (0, 1, 2, 3), id="it diverges in both"),
    ],
)
def test_of_two_places_below_a_divergence_the_upper_one_is_tried_first(limit: int, tries: tuple[int, ...]) -> None:
    assert tuple(searched(lambda place: ("trains", "") if place <= limit else ("diverges", ""))) == tries


def test_a_limit_below_a_divergence_is_tried_once_and_no_further() -> None:
    found = searched(lambda place: ("trains", "") if place <= 5 else ("diverges", ""))
    assert (max(place for place, outcome in found.items() if outcome == "trains"), found[6]) == (5, "diverges")
    assert all(place in (0, 3, 4, 5, 6, 14) for place in found), found


@pytest.mark.parametrize(
    ("lowest", "highest", "goes_on"),
    [
        pytest.param(("stuck", "level"), ("stuck", "level"), False, id="neither end says where it would train"),
        pytest.param(("stuck", "slow"), ("stuck", "slow"), True, id="the fastest was too slow"),
        pytest.param(("diverges", ""), ("diverges", ""), True, id="the slowest was too fast"),
        pytest.param(("stuck", "slow"), ("diverges", ""), True, id="too slow and too fast: it may lie between"),
    ],
)
def test_where_nothing_trains_it_goes_on_where_an_end_points(
    lowest: tuple[Literal["stuck", "diverges"], str], highest: tuple[Literal["stuck", "diverges"], str], goes_on: bool
) -> None:
    places = (-6, -3, 0, 3, 6)
    found = searched(lambda place: highest if place > 0 else lowest, places)
    assert (len(found) > len(places)) is goes_on


def test_where_it_cannot_be_told_that_a_rate_is_too_slow_faster_ones_are_tried() -> None:
    found = searched(lambda place: ("trains" if place >= 10 else "stuck", "" if place >= 10 else "level"), (-6, -3, 0, 3, 6), False)
    assert "trains" in found.values()


def test_a_narrow_window_is_found_between_rates_that_are_stuck() -> None:
    def becomes(place: int) -> tuple[Literal["trains", "stuck", "diverges"], str]:
        return ("trains", "") if place == 5 else ("stuck", "risen" if place > 5 else "level")

    found = searched(becomes, (-6, -3, 0, 3, 6))
    assert found[5] == "trains"


@pytest.mark.parametrize(
    ("own", "third", "is_faster"),
    [
        pytest.param(("trains", 0.2), ("trains", 0.5), True, id="a smaller rate learns less"),
        pytest.param(("trains", 0.2), ("stuck", 2.3), True, id="a smaller rate does not learn"),
        pytest.param(("stuck", 2.2), ("stuck", 2.3), True, id="neither has learned much"),
        pytest.param(("trains", 0.5), ("trains", 0.2), False, id="a smaller rate learns more"),
        pytest.param(("diverges", 900.0), ("trains", 0.2), False, id="the own rate diverges"),
        pytest.param(("trains", 0.2), ("diverges", 900.0), False, id="a smaller rate diverges"),
    ],
)
def test_which_of_two_rates_learns_more(
    own: tuple[Literal["trains", "stuck", "diverges"], float], third: tuple[Literal["trains", "stuck", "diverges"], float], is_faster: bool
) -> None:
    one, slower = (Trial("none", 1.0, outcome, "", "", (2.3, *[end] * 20)) for outcome, end in (own, third))
    assert learns_faster(one, slower) is is_faster


class Told(Questions):
    """Questions whose trainings come out as told."""

    def __init__(self, becomes: Mapping[int, tuple[Literal["trains", "stuck", "diverges"], str, float]]) -> None:
        self.trials, self.limit_of_none, self._becomes = [], None, becomes

    def trial(self, remedy: str, factor: float, place: int | None = None) -> Trial:
        assert place is not None
        outcome, stuck_by, end = self._becomes[place]
        self.trials.append(Trial(remedy, factor, outcome, stuck_by, "", (2.3, *[end] * 20), place))
        return self.trials[-1]


DIVERGES = ("diverges", "", 1e6)
LEVEL = ("stuck", "level", 2.3)


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
def test_rates_that_learn_less_still_are_left_out(
    becomes: dict[int, tuple[Literal["trains", "stuck", "diverges"], str, float]], left_out: tuple[int, ...]
) -> None:
    asked = Told(dict.fromkeys(range(1, 9), DIVERGES) | dict.fromkeys((-2, -4, -5), LEVEL) | becomes)
    asked.limit("none")
    tried = {trial.grid_index for trial in asked.trials}
    assert {-6, -3, 0, 3, 6} - tried == set(left_out)
    trains = [place for place, (outcome, _, _) in becomes.items() if outcome == "trains"]
    assert asked.limit_of_none == max(trains, default=None)


def test_above_rates_that_learn_less_the_slower_they_are_it_goes_on() -> None:
    slow = {0: LEVEL, 3: ("stuck", "level", 2.29), 6: ("stuck", "level", 2.28)}
    risen = dict.fromkeys((7, 8, 9, 10), ("stuck", "risen", 9.0))
    asked = Told(slow | risen | {7: DIVERGES})  # type: ignore[arg-type]
    asked.limit("none")
    assert [trial.grid_index for trial in asked.trials] == [0, 3, 6, 10, 8, 7]


@pytest.mark.parametrize(
    ("near", "limit", "tries"),
    [
        pytest.param(12, 12, (0, 3, 6, 12, 13), id="the limit of the training without it, and one above"),
        pytest.param(12, 10, (0, 3, 6, 12, 9, 11, 10), id="it lies below that"),
        pytest.param(4, 7, (0, 3, 6, 7, 9, 8), id="it lies above, beyond the curves"),
        pytest.param(1, 1, (0, 3, 1, 2, 6), id="between the curves"),
    ],
)
def test_the_search_of_a_remedy_that_is_drawn_begins_at_the_limit_without_it(near: int, limit: int, tries: tuple[int, ...]) -> None:
    fast = {place: ("trains", "", 1.0 / (place + 2)) if place <= limit else DIVERGES for place in range(20)}
    asked = Told(fast)  # type: ignore[arg-type]
    asked.limit_of_none = near
    asked.limit("msr")
    assert tuple(trial.grid_index for trial in asked.trials) == tries


@pytest.mark.parametrize(("outcome", "end", "is_known"), [("stuck", 2.3029, False), ("stuck", 2.29, True), ("trains", 2.3029, True)])
def test_of_two_rates_at_which_nothing_trains_a_little_says_nothing_of_slower_ones(
    outcome: Literal["stuck", "trains"], end: float, is_known: bool
) -> None:
    def ending(place: int, loss: float, became: Literal["stuck", "trains"]) -> Trial:
        return Trial("none", 5.0 ** (place / 4), became, "", "", (2.31,) * 20 + (loss,) * 20, place)

    tried = {0: ending(0, 2.3030, "stuck"), 6: ending(6, end, outcome), 12: ending(12, 2.31, "stuck")}
    assert learns_less(tried, -6) is is_known
