"""A page that is made anew while its runs go on, for as long as somebody looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bnprobe.errors import RunFileError
from bnprobe.report.page import render
from bnprobe.report.plotly_bundle import plotly_js
from bnprobe.report.wording import is_going_on
from bnprobe.store.limits_file import read_limits
from bnprobe.store.reader import Run, read_run

#: Between two looks at the files, in seconds.
LOOK_EVERY = 0.1
#: Share of one processor that making the page takes at most, in a process that yields to the training.
SHARE = 0.5
#: What there is before the first step has been written; the browser asks again.
WAITING = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>bnprobe</title>
<p>Nothing has been recorded yet: the script has not begun to train.</p></html>"""


class LivePage:
    """The page on some runs as it stands now, and who waits for the next one.

    Attributes:
        runs: the files of the runs.
        trials: files of learning-rate trials that stand beside them.
        version: counts the pages that were made, from 1; 0 before the first.
        is_ended: whether all runs have ended, and the last page shows their end.
    """

    def __init__(self, runs: Sequence[Path], trials: Sequence[Path] = ()) -> None:
        """Take the files; there is no page on them until the first look."""
        self.runs = list(runs)
        self.trials = list(trials)
        self.version = 0
        self.is_ended = False
        self._text = WAITING
        self._recorded: list[Run] = []
        self._seen: list[tuple[int, int]] = []
        self._changed = threading.Condition()
        self._rested = 0.0

    def look(self) -> bool:
        """Make the page anew if a file has grown or a run has ended since the last one.

        Returns:
            Whether it was made.

        Raises:
            RunFileError: a file can no longer be read.
        """
        seen = [_state(file) for file in [*self.runs, *self.trials]]
        ended = self.version > 0 and not self.is_ended and not any(is_going_on(run) for run in self._recorded)
        if (seen == self._seen and not ended) or (self.version and time.monotonic() < self._rested):
            return False
        began, spent = time.monotonic(), time.process_time()
        self._recorded = [read_run(run) for run in self.runs]
        # Asked of the files as they were read: what comes after that makes another page.
        is_ended = not any(is_going_on(run) for run in self._recorded)
        text = render(self._recorded, live=self.version + 1, limits=[read_limits(file) for file in self.trials])
        with self._changed:
            self._seen, self._text, self.is_ended = seen, text, is_ended
            self.version += 1
            self._changed.notify_all()
        self._rested = began + (time.process_time() - spent) / SHARE
        return True

    def follow(self, stop: threading.Event) -> None:
        """Look until the runs have ended, or until it is told to stop. A file that is being replaced is read at the next look."""
        while not self.is_ended and not stop.wait(LOOK_EVERY):
            with suppress(RunFileError, OSError):
                self.look()

    def now(self) -> tuple[int, str]:
        """Return the version and the text of the page."""
        with self._changed:
            return self.version, self._text

    def after(self, version: int, seconds: float) -> tuple[int, str] | None:
        """Wait for a page that comes after a version.

        Args:
            version: the one that is known.
            seconds: how long to wait.

        Returns:
            Its version, and its text without plotly's script, which whoever asks has already; None where none has come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.version > version, seconds):
                return None
            version, text = self.version, self._text
        return version, text.replace(plotly_js(), "")


def _state(run: Path) -> tuple[int, int]:
    """What tells one state of a file from the next; of a file that is gone, nothing does."""
    try:
        state = run.stat()
    except OSError:
        return (-1, -1)
    return state.st_size, state.st_mtime_ns
