"""What a run file is to hold, and which of it is on disk already: all that is kept in memory between two bursts. Knows no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bnprobe.store.axis import Axis, Row, Rows
from bnprobe.store.hdf5_session import Attribute, Block, stack
from bnprobe.store.schema import DIMENSIONS, STEP_OF, VARIABLES

if TYPE_CHECKING:
    from bnprobe.store.earlier import Earlier

#: Rows that could not be written are kept up to this size, then the oldest are given up (and said to be).
PENDING_LIMIT_BYTES = 64 * 2**20
#: Axes of what is measured for figures of papers.
_FIGURES = ("figure", "bin", "logit", "singular")
#: Axes whose rows are forgotten once written. All others are short, and a recovered file would mean nothing without them.
_LONG_AXES = ("step", "snapshot", "curvature", "probe_point", "what_if_point", *_FIGURES)


class InMemory:
    """Rows, layers, coverage and attributes of a run file, written or not.

    Args:
        attributes: root attributes of a file that is made anew.

    Attributes:
        axes: by dimension.
        coverage: how often what could not be observed, by subject and reason.
        attributes: root attributes as they are to be.
        pending_bytes: memory held by rows that are not on disk.
        row_bytes: bytes of one row of the step axis, over all its variables, in the last burst.
    """

    def __init__(self, attributes: Mapping[str, Attribute]) -> None:
        self.axes = {name: Axis(name) for name in DIMENSIONS if name not in ("channel", "coverage")}
        self.coverage: dict[tuple[str, str], int] = {}
        self.attributes = dict(attributes)
        self.pending_bytes = 0
        self.row_bytes = 0.0
        self._channels: list[int] = []  # by layer, of those on disk
        self._coverage_written = 0
        self._changed_attributes: set[str] = set()

    def set_attribute(self, name: str, value: Attribute) -> None:
        """Set a root attribute."""
        self.attributes[name] = value
        self._changed_attributes.add(name)

    def append(self, dimension: str, columns: Row, count: int = 1) -> None:
        """Take rows of an axis: of one row its values, of several what ``Rows`` says."""
        rows = Rows(count, columns)
        self.axes[dimension].append(rows)
        self.pending_bytes += rows.nbytes

    def length(self, dimension: str) -> int:
        """Rows of an axis so far."""
        return self.axes[dimension].length

    def go_on_with(self, earlier: Earlier) -> None:
        """Begin where a file ends; what a file of its own would need of it, should this one become unwritable, is kept."""
        for name, axis in self.axes.items():
            axis.written = earlier.lengths[name]
            axis.kept = [Rows(1, row) for row in earlier.kept.get(name, ())]
        self._channels = list(earlier.layer_channels)
        self.coverage = dict(earlier.coverage)
        self._coverage_written = len(self.coverage)

    def lengths(self) -> dict[str, int]:
        """Length of every axis."""
        own = {name: axis.length for name, axis in self.axes.items()}
        return {**own, "channel": sum(self._channels) + sum(self._new_channels()), "coverage": len(self.coverage)}

    def written_lengths(self) -> dict[str, int]:
        """How far each is on disk."""
        own = {name: axis.written for name, axis in self.axes.items()}
        return {**own, "channel": sum(self._channels), "coverage": self._coverage_written}

    def blocks(self) -> Iterator[tuple[str, tuple[int, Block]]]:
        """Every variable's waiting rows, and where they go; one at a time, since together they would fill the memory once more."""
        lengths = self.lengths()
        for axis in self.axes.values():
            bytes_of_axis = 0
            for name, block in axis.blocks(lengths):
                bytes_of_axis += block.nbytes
                yield name, (axis.written, block)
            if axis.name == "step" and bytes_of_axis:
                self.row_bytes = bytes_of_axis / (axis.length - axis.written)
        channels, before = self._new_channels(), len(self._channels)
        first = sum(self._channels)
        columns = {
            "channel": np.array([channel for count in channels for channel in range(count)]),
            "channel_layer": np.repeat(np.arange(before, before + len(channels)), channels),
        }
        yield from ((name, (first, column.astype(VARIABLES[name].dtype))) for name, column in columns.items())
        # Of known gaps only the count changes; texts rewritten at every burst would fill the file with copies.
        new = list(self.coverage)[self._coverage_written :]
        notes: dict[str, tuple[int, list[Any]]] = {
            "coverage": (self._coverage_written, list(range(self._coverage_written, len(self.coverage)))),
            "coverage_subject": (self._coverage_written, [subject for subject, _ in new]),
            "coverage_reason": (self._coverage_written, [reason for _, reason in new]),
            "coverage_count": (0, list(self.coverage.values())),
        }
        yield from ((name, (start, stack(values, VARIABLES[name], None))) for name, (start, values) in notes.items())

    def new_attributes(self) -> dict[str, Attribute]:
        """Root attributes that have changed since the last burst."""
        return {name: self.attributes[name] for name in self.attributes if name in self._changed_attributes}

    def note_written(self) -> None:
        """All of it is on disk."""
        self._channels += self._new_channels()
        for name, axis in self.axes.items():
            axis.note_written(keep=name not in _LONG_AXES)
        self._coverage_written = len(self.coverage)
        self._changed_attributes.clear()
        self.pending_bytes = 0

    def note_thinned(self, lengths: Mapping[str, int]) -> None:
        """The file was written anew with fewer rows of some axes; starts that a recovered file would need begin behind no more of them."""
        starts = self.axes["resumption"].kept
        for name, length in lengths.items():
            gone, self.axes[name].written = self.axes[name].written - length, length
            starts[:] = [_without(start, name, length, gone) for start in starts]

    def give_up_what_is_too_much(self) -> None:
        """Make room in memory where it is short: all waiting figures, all waiting snapshots but the latest, the older half of the steps."""
        if self.pending_bytes <= PENDING_LIMIT_BYTES:
            return
        snapshots, steps = self.axes["snapshot"], self.axes["step"]
        self._give_up(snapshots, len(snapshots.pending) - 1)
        if sum([self._give_up(self.axes[name], len(self.axes[name].pending)) for name in _FIGURES]):
            key = ("figures of papers", "the run file could not be written for so long that they were given up")
            self.coverage[key] = self.coverage.get(key, 0) + 1
        if sum(rows.nbytes for rows in steps.pending) > PENDING_LIMIT_BYTES // 2:
            dropped = self._give_up(steps, len(steps.pending) // 2)
            key = ("steps", "the run file could not be written for so long that steps were given up")
            self.coverage[key] = self.coverage.get(key, 0) + dropped
        self.pending_bytes = sum(rows.nbytes for name in _LONG_AXES for rows in self.axes[name].pending)

    def take_over(self, other: InMemory) -> None:
        """Take all that another still holds, for a file of its own."""
        for name, axis in other.axes.items():
            self.axes[name].take_over(axis)
        # Where a training was taken up is said in rows of the old file: here it counts in those that have come along.
        starts = self.axes["resumption"].pending
        for axis in (other.axes[name] for name in STEP_OF):
            left = axis.length - sum(rows.number for rows in (*axis.kept, *axis.pending))
            starts[:] = [_without(start, axis.name, 0, left) for start in starts]
        self.coverage = other.coverage
        self.set_attribute("status", other.attributes["status"])

    def _new_channels(self) -> list[int]:
        """Channels of each layer that is not on disk."""
        return [int(rows.columns.get("layer_channels", 0)) for rows in self.axes["layer"].pending]

    def _give_up(self, axis: Axis, end: int) -> int:
        """Forget the first of an axis' waiting rows; return how many. Starts that wait as well begin behind so many fewer."""
        dropped = axis.give_up(0, end)
        starts = self.axes["resumption"].pending
        starts[:] = [_without(start, axis.name, axis.written, dropped) for start in starts]
        return dropped


def _without(start: Rows, axis: str, first: int, count: int) -> Rows:
    """Return a start where rows of an axis are gone, so many from a first one on: it has fewer before it."""
    name = f"resumption_rows_{axis}"
    before = int(start.columns.get(name, 0))
    return start._replace(columns={**start.columns, name: before - min(count, max(before - first, 0))})
