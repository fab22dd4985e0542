"""A trial under way, on this machine or another: whether it is over, what it left, and how it is ended."""

from __future__ import annotations

import contextlib
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path

#: How a recording ended that says nothing of what was tried, unless it had diverged before.
NO_OUTCOME = {
    "crashed": "the script ended with an error",
    "exited": "the script left early",
    "running": "the process was killed",
    "interrupted": "the process was interrupted",
}
LAST_LINES = 15
#: What a trial writes when torch has been imported: the names of variables that the script had changed by then.
START = "start.json"
_LONGEST_LINE = 300


class RunningTrial(ABC):
    """What an experiment sees of a trial."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Where it leaves its results."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How long it has run, or ran; 0 while it waits for a worker."""

    @abstractmethod
    def is_over(self) -> bool:
        """Whether it has ended, for good."""

    @property
    @abstractmethod
    def exit_status(self) -> int:
        """Of the process of an ended trial: negative where a signal ended it."""

    @abstractmethod
    def ask_to_end(self) -> None:
        """Ask it to end and return at once; ``end`` has to follow."""

    @abstractmethod
    def end(self) -> None:
        """End it with all that it has started, and wait for that."""

    @abstractmethod
    def clear(self) -> None:
        """Remove what it left."""

    @property
    def run_file(self) -> Path:
        """The recording; it need not exist."""
        return self.folder / "run.h5"

    @property
    def has_plain_start(self) -> bool:
        """Whether it imported torch, with the variables that it was given."""
        with contextlib.suppress(OSError, ValueError):
            return not json.loads((self.folder / START).read_text(encoding="utf-8"))
        return False

    @property
    def is_forked(self) -> bool:
        """Whether it began with what others have imported."""
        return False

    def output(self) -> str:
        """All that the script wrote."""
        with contextlib.suppress(OSError):
            return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        return ""

    def last_lines(self) -> str:
        """What the script wrote last."""
        with contextlib.suppress(OSError), (self.folder / "output.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
            return "\n".join(line[:_LONGEST_LINE] for line in lines[-LAST_LINES:])
        return ""
