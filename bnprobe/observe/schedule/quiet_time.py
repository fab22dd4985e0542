"""How long the training would take on a quiet machine: without its waiting for a processor that other programs have.

What is measured must not depend on how busy the machine is. Linux says of every thread how long it stood in the queue of a processor
(``/proc/thread-self/schedstat``); of the time that passes, the rest is the training's: its computing, and its own waiting for a disk, an
accelerator or a timer. Where no such queue can be read, all time counts.
"""

from __future__ import annotations

import os
import threading

from bnprobe.originals import Original

try:
    import resource

    _IS_TOLD = hasattr(resource, "RUSAGE_THREAD")
except ImportError:  # there is no such thing on Windows
    _IS_TOLD = False

#: The queue's account; three numbers: nanoseconds on a processor, nanoseconds in the queue, and how often it was given one.
ACCOUNT = "/proc/thread-self/schedstat"
#: Seconds between two looks at it.
INTERVAL = 0.1
#: The least share of quiet time: a thread that hardly ran says little.
LEAST_SHARE = 0.05


class QuietTime:
    """Tells which share of the time of late the calling thread had to itself."""

    def __init__(self) -> None:
        self._share = 1.0
        self._began = Original.perf_counter()
        self._queued = _queued()
        self._thread = threading.get_ident()
        self._interruptions = _interruptions()

    def was_interrupted(self) -> bool:
        """Whether another program was given the calling thread's processor since last asked; false where that is not told."""
        before, self._interruptions = self._interruptions, _interruptions()
        return self._interruptions != before

    def share(self) -> float:
        """Return the share of the time since the last look, 0 to 1, that the thread did not wait for a processor."""
        now = Original.perf_counter()
        passed = now - self._began
        if self._queued is None or passed < INTERVAL:
            return self._share
        queued = _queued()
        if queued is not None and self._thread == threading.get_ident():
            self._share = min(1.0, max(LEAST_SHARE, 1.0 - (queued - self._queued) / passed))
        self._queued, self._began, self._thread = queued, now, threading.get_ident()
        return self._share


def _interruptions() -> int:
    """How often the calling thread has had to leave its processor."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw if _IS_TOLD else 0


def _queued() -> float | None:
    """Seconds that the calling thread has waited for a processor."""
    try:
        account = os.open(ACCOUNT, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            return int(os.read(account, 128).split()[1]) / 1e9
        finally:
            os.close(account)
    except (OSError, IndexError, ValueError):
        return None
