"""Signals while a training is trained again: that takes many times as long as its steps did, and who presses Ctrl-C means it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bnprobe.originals import Original

#: What ends it.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(BaseException):
    """A signal has come; no ``except Exception`` on the way keeps it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end what runs inside, and hand it on afterwards to whoever handled it before. A second one ends the process at once.

    Raises:
        Interrupted: one has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before: dict[int, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        if came:
            Original.set_signal(number, signal.SIG_DFL)
            Original.raise_signal(number)
        came.append(number)
        raise Interrupted(number)

    for number in SIGNALS:
        handler = Original.getsignal(number)
        if handler not in (signal.SIG_IGN, None):
            before[number] = handler
            Original.set_signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            Original.set_signal(number, handler)
        for number in came:
            Original.raise_signal(number)
