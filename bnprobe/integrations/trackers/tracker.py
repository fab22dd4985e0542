"""What a tracker is to us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Tracker(Protocol):
    """A run in an experiment tracker. Steps come in order, each once."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the scalars of one step; values may be nan or infinite."""

    def finding(self, step: int, name: str, text: str) -> None:
        """Write a finding, when it is first made."""

    def close(self, verdict: str) -> None:
        """Write the verdict and end the run."""
