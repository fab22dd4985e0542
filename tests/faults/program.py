"""A program of the fault library, and what a diagnosis has to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, TypeAlias

HERE = Path(__file__).parent
HEALTHY = "healthy"

Part: TypeAlias = Literal["tuned", "held_out"]
#: By cause: the rest of a program's name, the layers any of which is the right place, the first and last step that is right.
Catalogue: TypeAlias = dict[str, dict[str, tuple[tuple[str, ...], tuple[int, int] | None]]]


@dataclass(frozen=True)
class Program:
    """One program and what a diagnosis has to say of it.

    Attributes:
        name: file name without its ending.
        cause: the id of its cause, "healthy" where it has none.
        layers: patterns (as in fnmatch) of the layers, any of which is the right place; empty where the fault has no place.
        steps: first and last optimizer step that is right for the fault's beginning; None where it has none.
        part: whether the rules may be tuned on it; the folder that it lies in.
    """

    name: str
    cause: str
    layers: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    part: Part = "tuned"

    @property
    def path(self) -> Path:
        return HERE / self.part / f"{self.name}.py"

    def is_place(self, layer: str) -> bool:
        """Whether a layer's dotted name is where the fault is."""
        return any(fnmatchcase(layer, pattern) for pattern in self.layers)

    def is_time(self, step: int, tolerance: int = 0) -> bool:
        """Whether a step is when the fault begins, give or take the steps that were not measured."""
        return self.steps is not None and self.steps[0] - tolerance <= step <= self.steps[1] + tolerance
