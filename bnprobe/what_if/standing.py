"""Trainings of one search that were paused, to be taken up again where their end is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from bnprobe.what_if.activations import Activations
from bnprobe.what_if.movement import Movement
from bnprobe.what_if.training import Training


@dataclass(frozen=True)
class Watched:
    """A training with what looks at it; the activations are None where they are not looked at."""

    training: Training
    movement: Movement
    activations: Activations | None = None


class Standing:
    """Keeps them, by place on the grid, while there is room; one that has to go is begun anew if it is asked for."""

    def __init__(self) -> None:
        self._left: dict[int, Watched] = {}

    def leave(self, place: int, watched: Watched, room: int) -> None:
        """Keep one, and of the others those for which there is room: the highest places, which are asked for first."""
        self._left[place] = watched
        for each in sorted(self._left, reverse=True):
            room -= self._left[each].training.held_bytes
            if room < 0:
                self._left.pop(each).training.end()

    def take(self, place: int) -> Watched | None:
        """Return the one that stands at a place."""
        return self._left.pop(place, None)

    def clear(self) -> None:
        """None will be asked for again."""
        for watched in self._left.values():
            watched.training.end()
        self._left.clear()
