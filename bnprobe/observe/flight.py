"""The flight recorder proper: the last steps, channel by channel, kept in memory and written down when the training leaves its course."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

LAST_STEPS = 20
LIMIT_BYTES = 16 * 2**20
#: After the moment of divergence a few more steps are kept whole.
STEPS_AFTER = 3

Row = dict[str, Any]


class FlightRecorder:
    """Holds the last steps' channel rows."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()
        self._bytes = 0
        self._left_after = 0

    def keep(self, row: Row, *, write: bool) -> list[Row]:
        """Take a step's row; return the rows to be written now: this one if it is due, or none."""
        if write or self._left_after > 0:
            self._left_after = max(0, self._left_after - 1)
            return [row]
        self._rows.append(row)
        self._bytes += _size(row)
        while len(self._rows) > LAST_STEPS or (self._bytes > LIMIT_BYTES and len(self._rows) > 1):
            self._bytes -= _size(self._rows.popleft())
        return []

    def dump(self) -> list[Row]:
        """Return all that is held, because the training has left its course, and keep the next few steps whole."""
        rows = list(self._rows)
        self._rows.clear()
        self._bytes = 0
        self._left_after = STEPS_AFTER
        return rows


def _size(row: Row) -> int:
    return sum(value.nbytes for value in row.values() if isinstance(value, np.ndarray))
