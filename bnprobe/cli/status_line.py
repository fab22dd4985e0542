"""One line on a terminal that is rewritten in place and never mixes with the script's own output.

The script shares the terminal, so the line gives way: before anything is written through ``sys.stdout`` or ``sys.stderr`` it is
wiped, and as long as the last thing written did not end its line (a progress bar, a prompt) it stays away. What child processes
and C code write is beyond this.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

_WIPE = "\r\x1b[K"
_SECONDS_BETWEEN_UPDATES = 0.25


class StatusLine:
    """A line at the bottom of the terminal behind ``stream``; silent where that is no terminal.

    Args:
        stream: Where the line is shown, as a rule ``sys.stderr``.
        clock: Seconds, rising; replaced in tests.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._write = stream.write  # the stream's own, from before watching it
        self._clock = clock
        self._is_shown = False
        self._line_is_free = True
        self._next_update = 0.0
        self.is_live = _is_terminal(stream)

    def watch(self, *streams: TextIO) -> None:
        """Give way to what is written to those of ``streams`` that are terminals."""
        if not self.is_live:
            return
        for stream in streams:
            if _is_terminal(stream):
                # On the instance: the stream keeps its type, its descriptor and its answers.
                stream.write = self._giving_way(stream.write)  # type: ignore[method-assign]

    def is_due(self) -> bool:
        """Whether an update now would be shown; asking is cheap enough for every step."""
        return self.is_live and self._line_is_free and self._clock() >= self._next_update

    def update(self, text: str) -> None:
        """Show ``text``, cut to the terminal's width, unless the last update was a moment ago."""
        if not self.is_due():
            return
        self._next_update = self._clock() + _SECONDS_BETWEEN_UPDATES
        width = shutil.get_terminal_size().columns - 1
        self._put(_WIPE + text[:width])
        self._is_shown = True

    def clear(self) -> None:
        """Wipe the line; the next update brings it back."""
        if self._is_shown:
            self._is_shown = False
            self._put(_WIPE)

    def _giving_way(self, write: Callable[[str], int]) -> Callable[[str], int]:
        def write_after_clearing(text: str, *rest: Any) -> int:
            self.clear()
            if text:
                self._line_is_free = text.endswith("\n")
            return write(text, *rest)

        return write_after_clearing

    def _put(self, text: str) -> None:
        try:
            self._write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone, or the script closed the stream
            self.is_live = False


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


def on_stderr() -> StatusLine:
    """Return a status line on stderr that gives way to both of the script's streams."""
    line = StatusLine(sys.stderr)
    line.watch(sys.stdout, sys.stderr)
    return line
