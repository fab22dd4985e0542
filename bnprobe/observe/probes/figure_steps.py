"""At which steps figures of papers are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bnprobe.observe.schedule.schedule import Schedule

#: Steps of a run that are measured because of trouble: each is megabytes for a large network, and some trainings are never out of it.
MOST_IN_TROUBLE = 12


class FigureSteps:
    """Says it step by step.

    Args:
        chosen: steps, and "trouble" for those at which it shows.
        schedule: knows of trouble.
    """

    def __init__(self, chosen: Sequence[int | Literal["trouble"]], schedule: Schedule) -> None:
        self._chosen = frozenset(chosen)
        self._schedule = schedule
        self._in_trouble: set[int] = set()

    def __contains__(self, step: int) -> bool:
        """Whether figures are measured at a step; to be asked in order, and as often as one likes."""
        if step in self._chosen or step in self._in_trouble:
            return True
        if "trouble" not in self._chosen or len(self._in_trouble) == MOST_IN_TROUBLE or not self._schedule.follows_trouble(step):
            return False
        self._in_trouble.add(step)
        return True
