from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from bnprobe.analyse.what_if_rates import learns_faster, learns_less
from bnprobe.what_if.judging import Trial
from bnprobe.what_if.search import Search

Outcome = Literal["trains", "stuck", "diverges"]
Becomes = Callable[[int], tuple[Outcome, str]]
CURVES = (0, 3, 6, -3, -6)


def told(place: int, outcome: Outcome, stuck_by: str = "", end: float = 1.0, saw_weights_move: bool = True) -> Trial:
    return Trial("none", 5.0 ** (place / 4), outcome, stuck_by, "", (2.3, *[end] * 20), place, saw_weights_move=saw_weights_move)


def searched(
    becomes: Becomes,
    places: tuple[int, ...] = (0,),
    saw_weights_move: bool = True,
    near: int | None = None,
    promises: Callable[[int], bool] = lambda place: False,
) -> Search:
    """Make a search whose trials come out as told; after a look they do as promised."""
    search = Search(True, near)
    for place in places:
        search.take(place, told(place, *becomes(place), saw_weights_move=saw_weights_move))
    while (following := search.next()) is not None:
        if search.is_for_a_look(following) and promises(following):
            search.leave(following)
        else:
            search.take(following, told(following, *becomes(following), saw_weights_move=saw_weights_move))
    return search


def below(limit: int, above: tuple[Outcome, str] = ("diverges", "")) -> Becomes:
    return lambda place: ("trains", "") if place <= limit else above


def limit_of(search: Search) -> int | None:
    return max((place for place, trial in search.tried.items() if trial.outcome == "trains"), default=None)


def test_a_second_window_is_found_above_a_rate_that_is_stuck() -> None:
    def becomes(place: int) -> tuple[Outcome, str]:
        if place <= 8 or 12 <= place <= 13:
            return "trains", ""
        return ("stuck", "level") if place < 14 else ("diverges", "")

    found = searched(becomes)
    assert limit_of(found) == 13
    assert found.tried[14].outcome == "diverges"
    assert len(found.tried) <= 10


@pytest.mark.parametrize(
    ("limit", "tries"),
    [
        pytest.param(5, (0, 6, 3, 5), id="it trains in the upper middle, which settles it"),
        pytest.param(4, (0, 6, 3, 5, 4), id="it diverges there"),
        pytest.param(3, (0, 6, 3, 5, 4), id="it diverges in both"),
        pytest.param(9, (0, 6, 14, 10, 8, 9), id="above the curves"),
    ],
)
def test_of_two_places_in_the_middle_the_upper_one_is_tried_first(limit: int, tries: tuple[int, ...]) -> None:
    assert tuple(searched(below(limit)).tried) == tries


@pytest.mark.parametrize("limit", [0, 1, 5, 7, 13, 19, 23])
@pytest.mark.parametrize("above", [("diverges", ""), ("stuck", "risen")])
@pytest.mark.parametrize("near", [None, 4, 12])
@pytest.mark.parametrize("always", [False, True])
def test_the_limit_is_a_step_of_the_grid_whatever_a_look_says(
    limit: int, above: tuple[Outcome, str], near: int | None, always: bool
) -> None:
    found = searched(below(limit, above), near=near, promises=lambda place: always or place <= limit)
    assert limit_of(found) == limit
    assert found.tried[limit + 1].outcome == above[0]


def test_a_look_spares_the_end_of_all_that_train_below_the_limit() -> None:
    found = searched(below(20), promises=lambda place: place <= 20)
    assert tuple(found.tried) == (0, 6, 22, 21, 20), "the curves, what diverges, and the limit"


def test_once_a_look_was_wrong_no_other_of_its_kind_is_believed() -> None:
    search = Search(True)
    for place in (0, 6):
        assert search.take(place, told(place, "trains"))
    for place in (14, 22):
        assert search.next() == place
        search.leave(place)
    search.take(24, told(24, "diverges"))
    search.leave(23)
    assert search.next() == 23
    assert not search.take(23, told(23, "diverges"))
    assert search.next() == 15, "halfway between what trained to the end and what did not"


def test_where_every_rate_trains_the_search_ends_at_a_factor_that_nobody_asks_for() -> None:
    assert max(searched(below(1000), promises=lambda place: True).tried) == 32


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
    lowest: tuple[Outcome, str], highest: tuple[Outcome, str], goes_on: bool
) -> None:
    found = searched(lambda place: highest if place > 0 else lowest, CURVES)
    assert (len(found.tried) > len(CURVES)) is goes_on


def test_where_it_cannot_be_told_that_a_rate_is_too_slow_faster_ones_are_tried() -> None:
    found = searched(lambda place: ("trains" if place >= 10 else "stuck", "" if place >= 10 else "level"), CURVES, False)
    assert limit_of(found) is not None


@pytest.mark.parametrize(("ends", "is_found"), [((2.3, 2.29, 2.28, 2.27), True), ((2.3, 2.29, 2.31, 2.32), False)])
def test_between_rates_that_are_stuck_it_looks_where_going_faster_was_of_use(ends: tuple[float, ...], is_found: bool) -> None:
    search = Search(True)
    for place, end in zip((-6, -3, 0, 3), ends, strict=True):
        search.take(place, told(place, "stuck", "level", end))
    search.take(6, told(6, "stuck", "risen", 9.0))
    while (place := search.next()) is not None:
        search.take(place, told(place, "trains") if place == 5 else told(place, "stuck", "risen" if place > 5 else "level", 2.3))
    assert (limit_of(search) == 5) is is_found


@pytest.mark.parametrize(
    ("own", "third", "is_faster"),
    [
        pytest.param(("trains", 0.2), ("trains", 0.5), True, id="a smaller rate learns less"),
        pytest.param(("trains", 0.2), ("stuck", 2.3), True, id="a smaller rate does not learn"),
        pytest.param(("stuck", 2.2), ("stuck", 2.3), True, id="neither has learned much"),
        pytest.param(("trains", 0.5), ("trains", 0.2), False, id="a smaller rate learns more"),
        pytest.param(("trains", 0.0), ("trains", 0.0), False, id="neither is ahead"),
        pytest.param(("diverges", 900.0), ("trains", 0.2), False, id="the own rate diverges"),
        pytest.param(("trains", 0.2), ("diverges", 900.0), False, id="a smaller rate diverges"),
    ],
)
def test_which_of_two_rates_learns_more(own: tuple[Outcome, float], third: tuple[Outcome, float], is_faster: bool) -> None:
    one, slower = (Trial("none", 1.0, outcome, "", "", (2.3, *[end] * 20)) for outcome, end in (own, third))
    assert learns_faster(one, slower) is is_faster


def test_of_two_rates_that_come_to_the_same_loss_the_one_that_was_there_first_learns_more() -> None:
    sooner = Trial("none", 1.0, "trains", "", "", (2.3, *[0.31] * 20))
    later = Trial("none", 1.0, "trains", "", "", (2.3, *[2.0] * 5, *[0.30] * 15))
    assert learns_faster(sooner, later)
    assert not learns_faster(later, sooner)


@pytest.mark.parametrize(("outcome", "end", "is_known"), [("stuck", 2.3029, False), ("stuck", 2.29, True), ("trains", 2.3029, True)])
def test_of_two_rates_at_which_nothing_trains_a_little_says_nothing_of_slower_ones(
    outcome: Literal["stuck", "trains"], end: float, is_known: bool
) -> None:
    def ending(place: int, loss: float, became: Literal["stuck", "trains"]) -> Trial:
        return Trial("none", 5.0 ** (place / 4), became, "", "", (2.31,) * 20 + (loss,) * 20, place)

    tried = {0: ending(0, 2.3030, "stuck"), 6: ending(6, end, outcome), 12: ending(12, 2.31, "stuck")}
    assert learns_less(tried, -6) is is_known
