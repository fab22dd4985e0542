"""The thread whose training is recorded.

A script may train in several threads at once. The first one that goes backward is recorded; another one that does, while the first still
lives, is left alone altogether: its weights are not ours to read, for its backward replaces gradients without holding the interpreter's
lock. Threads that only run forwards, as the replicas of ``DataParallel``, belong to the training that waits for them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable


class TrainingThread:
    """Tells the recorded training from others in the same process.

    Args:
        on_other: called once for each other thread that trains.
        is_inside_backward: whether the calling thread is at work for a backward, as the threads of an accelerator are.

    Attributes:
        lock: held while the recorder's state is read or changed.
        is_alone: whether no other thread has run a forward with gradient or gone backward.
    """

    def __init__(self, on_other: Callable[[], None], is_inside_backward: Callable[[], bool]) -> None:
        self.lock = threading.RLock()
        self.is_alone = True
        self._on_other = on_other
        self._is_inside_backward = is_inside_backward
        self._owner: weakref.ref[threading.Thread] | None = None
        self._owner_number = 0
        self._others: dict[int, weakref.ref[threading.Thread]] = {}

    @property
    def owner_number(self) -> int:
        """Number of the recorded thread; 0 before there is one."""
        return self._owner_number

    @property
    def others(self) -> frozenset[int]:
        """Numbers of the other threads that train."""
        return frozenset(self._others)

    def claims(self) -> bool:
        """The calling thread goes backward or moves weights; return whether it is the one that is recorded."""
        if threading.get_ident() == self._owner_number:
            return True
        with self.lock:
            return self._judge(threading.current_thread())

    def sees(self) -> bool:
        """The calling thread runs a forward with gradient; return whether that may belong to the recorded training."""
        number = threading.get_ident()
        if number == self._owner_number:
            return True
        if self._owner_number and self.is_alone:
            owner = self._owner() if self._owner is not None else None
            self.is_alone = owner is None or not owner.is_alive()
        return not self.is_other()

    def is_other(self) -> bool:
        """Whether the calling thread is known to train something else."""
        known = self._others.get(threading.get_ident())
        return known is not None and known() is threading.current_thread()

    def _judge(self, thread: threading.Thread) -> bool:
        owner = self._owner() if self._owner is not None else None
        if owner is None or owner is thread or not owner.is_alive():
            self._owner, self._owner_number = weakref.ref(thread), threading.get_ident()
            self._others.pop(self._owner_number, None)
            return True
        if self.is_other():
            return False
        if not self._is_inside_backward():
            self.is_alone = False
            self._others[threading.get_ident()] = weakref.ref(thread)
            self._on_other()
            return False
        return True
