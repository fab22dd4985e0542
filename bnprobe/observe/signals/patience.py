"""How many forwards are measured while no backward comes.

Which forwards a backward goes through is known only afterwards: a step may collect hundreds of them (an episode, a contrastive batch) or
none (a set that is scored with gradients enabled). A model has as many as its backward calls have used before, and a few more; what is held
meanwhile is bounded as memory. When only calls have come for long that are not to be measured, the hook rests until something tells that
training goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bnprobe.observe.signals.records import Pass

#: Forwards of a model before its first backward.
FIRST_FORWARDS = 160
#: Forwards beyond as many as a backward has gone through.
SPARE_FORWARDS = 8
#: Memory held by signals that wait, in bytes; one forward of each model may exceed it.
LIMIT_BYTES = 24 * 2**20
#: Calls that are not measured, in a row, after which the hook rests.
REFUSED_CALLS = 1_000
#: Calls without gradient, in a row.
HIDDEN_CALLS = 60_000
#: A backward whose forwards all went unseen, after fewer backward calls than this since the one before, shows a patience too short.
BACKWARDS_BETWEEN = 10


class Patience:
    """Decides which forwards are measured.

    Attributes:
        refused: forwards refused since the last backward.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._limits: dict[Any, int] = {}  # by the root's weak reference
        self._counts: dict[Any, int] = {}
        self._last: Pass | None = None
        self._admits = True
        self._decided: dict[Pass, bool] = {}
        self._idle = 0.0
        self._calls = 1.0
        self._backwards = 0

    def admits(self, forward: Pass, held: int) -> bool:
        """Whether a forward is measured, which begins or goes on.

        Args:
            forward: the forward.
            held: bytes of what waits for a backward.
        """
        if forward is not self._last:
            self._last = forward
            known = self._decided.get(forward)
            self._admits = self._decide(forward, held) if known is None else known
        if self._admits:
            self._idle = 0.0
        return self._admits

    def is_exhausted(self, *, hidden: bool) -> bool:
        """A call was not measured; return whether so many have come in a row that the hook may rest."""
        self._idle += 1.0 / (HIDDEN_CALLS if hidden else REFUSED_CALLS)
        return self._idle >= self._calls

    def answer(self, passes: Iterable[Pass], live: set[Pass], *, missed: bool) -> None:
        """A backward has run: learn how many forwards it goes through.

        Args:
            passes: those measured since the one before.
            live: those that it went through.
            missed: whether forwards since the one before were not measured.
        """
        self._backwards += 1
        used: dict[Any, int] = {}
        for forward in live:
            used[forward.root] = used.get(forward.root, 0) + 1
        is_short = self.refused > 0 and set(passes) <= live
        for root, count in used.items():
            enough = 2 * count if is_short and self._counts.get(root, 0) >= self._limit(root) else count + SPARE_FORWARDS
            self._limits[root] = max(enough, self._limits.get(root, 0))
        if missed and not live:
            if self._backwards < BACKWARDS_BETWEEN:
                self._calls *= 2.0
                self._limits.update((root, 2 * self._limit(root)) for root in self._counts)
            self._backwards = 0
        self.begin()
        if len(self._limits) > 2 * len(used) + 64:
            self._limits = {root: limit for root, limit in self._limits.items() if root() is not None}

    def begin(self) -> None:
        """Begin anew: a backward has run, or an update."""
        self.refused = 0
        self._idle = 0.0
        self._last = None
        self._counts.clear()
        self._decided.clear()

    def _limit(self, root: Any) -> int:
        return self._limits.get(root, FIRST_FORWARDS)

    def _decide(self, forward: Pass, held: int) -> bool:
        count = self._counts.get(forward.root, 0)
        admitted = count < self._limit(forward.root) and (held < LIMIT_BYTES or not count)
        if admitted:
            self._counts[forward.root] = count + 1
        else:
            self.refused += 1
        if admitted or len(self._decided) < FIRST_FORWARDS:
            self._decided[forward] = admitted
        return admitted
