"""What runs the trials of an experiment; the experiment decides which trial is next, and keeps what they leave."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from bnprobe.experiments.order import TrialOrder
from bnprobe.experiments.running_trial import RunningTrial


class Executor(ABC):
    """Runs trials, each in a folder of its own."""

    @abstractmethod
    def start(self, order: TrialOrder, folder: Path) -> RunningTrial:
        """Start a trial, or have it wait for a worker.

        Args:
            order: the trial.
            folder: its own, in the folder of the experiment; new.

        Returns:
            The trial.
        """

    def share_start(self, is_shared: bool) -> None:  # noqa: B027 - most executors share nothing
        """Let trials share what takes long at their start, where the executor can do that; or let each begin by itself."""

    def prepare(self, order: TrialOrder) -> None:  # noqa: B027 - most executors have nothing to prepare
        """Do what takes long before a trial can be started. Unlike ``start`` it may be interrupted at any moment."""

    @property
    def not_shared(self) -> str:
        """Why trials that may share their start begin by themselves all the same; "" where they share it, or none was to."""
        return ""

    @abstractmethod
    def beat(self, folder: Path) -> None:
        """Say that the experiment, whose folder this is, is still at work; called some times a second."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the executor holds; no trial of it runs any more."""
