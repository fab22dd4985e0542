"""Keep python signal handlers out of a burst.

While HDF5 runs it calls back into python, and there a signal handler could run: Ctrl-C would unwind through C code that expects no
exception, and a handler that closes the recording would find it half written. So the handlers wait, for the few milliseconds it takes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from bnprobe.originals import Original

#: Raised by the processor at a faulty instruction, which would be repeated for ever if its handler waited.
_IMMEDIATE = {getattr(signal, name, None) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")}


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back every signal that has a python handler; raise it again at the end. Outside the main thread there is nothing to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before: dict[int, Any] = {}

    def hold(number: int, frame: FrameType | None) -> None:
        arrived.append(number)

    try:
        for number in signal.valid_signals() - _IMMEDIATE:
            handler = Original.getsignal(number)
            if callable(handler) and not isinstance(handler, signal.Handlers):
                before[number] = handler
                Original.set_signal(number, hold)
        yield
    finally:
        for held, handler in before.items():
            Original.set_signal(held, handler)
        with contextlib.ExitStack() as all_of_them:  # the first may raise KeyboardInterrupt; the others must not be lost
            for one in reversed(arrived):
                all_of_them.callback(Original.raise_signal, one)
