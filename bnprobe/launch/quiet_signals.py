"""Signal handlers of ours that a script does not see.

A script may look whether anybody handles SIGTERM before it does so itself, and keep its hands off where somebody does. So it is told of the
default where ours stands, and where it asks for the default ours stays.
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from bnprobe.originals import Original


class QuietSignals:
    """Handles fatal signals that nobody else handles.

    Args:
        handler: what is called in the place of the default.
        numbers: the signals.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], None], numbers: Iterable[int]) -> None:
        self._handler = handler
        self._numbers = frozenset(numbers)
        self._is_on = False

    def attach(self) -> None:
        """Handle what has no handler, from now on."""
        self._is_on = True
        for number in self._numbers:
            if Original.getsignal(number) is signal.SIG_DFL:
                Original.set_signal(number, self._handler)
        library: Any = signal
        library.getsignal, library.signal = self._telling(), self._setting()

    def release(self) -> None:
        """Leave the signals to the default: in a child, or when the recording is over."""
        self._is_on = False
        for number in self._numbers:
            if Original.getsignal(number) == self._handler:
                Original.set_signal(number, signal.SIG_DFL)

    def _telling(self) -> Callable[[int], Any]:
        @functools.wraps(Original.getsignal)
        def getsignal(signalnum: int) -> Any:
            return self._told(Original.getsignal(signalnum))

        return getsignal

    def _setting(self) -> Callable[[int, Any], Any]:
        @functools.wraps(Original.set_signal)
        def set_signal(signalnum: int, handler: Any) -> Any:
            is_default = self._is_on and signalnum in self._numbers and handler == signal.SIG_DFL
            return self._told(Original.set_signal(signalnum, self._handler if is_default else handler))

        return set_signal

    def _told(self, handler: Any) -> Any:
        return signal.SIG_DFL if handler == self._handler else handler
