"""Steps at which figures are measured: those that were asked for, and a number of those in trouble."""

from __future__ import annotations

from typing import Any

from bnprobe.observe.probes.figure_steps import MOST_IN_TROUBLE, FigureSteps


class InTrouble:
    """A schedule that is in trouble for three steps of each hundred but the first."""

    def follows_trouble(self, step: int) -> bool:
        return step >= 100 and step % 100 < 3


def drawn(*chosen: Any) -> list[int]:
    schedule: Any = InTrouble()
    steps = FigureSteps(chosen, schedule)
    return [step for step in range(2000) if step in steps and step in steps]


def test_steps_that_were_asked_for_are_drawn_whatever_the_trouble() -> None:
    assert drawn(0, 7, 1900) == [0, 7, 1900]


def test_a_run_that_is_never_out_of_trouble_has_so_many_figures_of_it() -> None:
    found = drawn(0, "trouble", 1901, 1999)
    assert found == [0, 100, 101, 102, 200, 201, 202, 300, 301, 302, 400, 401, 402, 1901, 1999]
    assert len(found) == 3 + MOST_IN_TROUBLE
