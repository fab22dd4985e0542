"""The flight recorder proper: the last steps, channel by channel, kept in memory and written when the training diverges."""

from __future__ import annotations

from collections import deque

from bnprobe.observe.axes.channel_row import ChannelRow

LAST_STEPS = 20
LIMIT_BYTES = 16 * 2**20
#: After the moment of divergence a few more steps are kept whole.
STEPS_AFTER = 3


class FlightRecorder:
    """Holds the last steps' channels."""

    def __init__(self) -> None:
        self._rows: deque[ChannelRow] = deque()
        self._bytes = 0
        self._left_after = 0

    def keep(self, row: ChannelRow, *, write: bool) -> bool:
        """Take a step's channels; return whether they are to be written now. What is not may still be asked for by ``dump``."""
        if write or self._left_after > 0:
            self._left_after = max(0, self._left_after - 1)
            return True
        self._rows.append(row)
        self._bytes += row.nbytes
        while len(self._rows) > LAST_STEPS or (self._bytes > LIMIT_BYTES and len(self._rows) > 1):
            self._bytes -= self._rows.popleft().nbytes
        return False

    def dump(self) -> list[ChannelRow]:
        """Return all that is held, because the training has diverged, and keep the next few steps whole."""
        rows = list(self._rows)
        self._rows.clear()
        self._bytes = 0
        self._left_after = STEPS_AFTER
        return rows
