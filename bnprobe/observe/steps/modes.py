"""In which mode the forwards of a step ran."""

from __future__ import annotations

from typing import NamedTuple


class Modes(NamedTuple):
    """How often modules that behave differently in training ran in training mode and in evaluation, and the mode of the model itself."""

    training: int
    evaluating: int
    model: int
