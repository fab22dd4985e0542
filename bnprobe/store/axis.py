"""A growing axis of the run file: rows that wait to be written, and how they become one block a variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from bnprobe.store.hdf5_session import Block, stack, stack_columns
from bnprobe.store.schema import TEXT, variables_along

Row = Mapping[str, Any]


class Rows(NamedTuple):
    """Rows that came together.

    Attributes:
        number: how many.
        columns: by variable: of a single row its value, of several one value a row in a list or array, or what all of them have.
        end: length of the axis with them.
    """

    number: int
    columns: Row
    end: int = 0

    @property
    def nbytes(self) -> int:
        """Memory held, about."""
        values = [value for value in self.columns.values() if isinstance(value, np.ndarray | list)]
        return 16 * len(self.columns) + sum(value.nbytes if isinstance(value, np.ndarray) else 32 * len(value) for value in values)


@dataclass
class Axis:
    """Rows of one growing axis.

    Attributes:
        name: its dimension.
        written: rows on disk.
        pending: those that are not.
        kept: those on disk that a recovered file would need.
    """

    name: str
    written: int = 0
    pending: list[Rows] = field(default_factory=list)
    kept: list[Rows] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Rows in all. The last ones say it: a number beside them would lag behind where ctrl-C comes in between."""
        return self.pending[-1].end if self.pending else self.written

    def append(self, rows: Rows) -> None:
        """Take rows."""
        self.pending.append(rows._replace(end=self.length + rows.number))

    def note_written(self, *, keep: bool) -> None:
        """All that waited is on disk."""
        if keep:
            self.kept += self.pending
        self.written = self.length
        self.pending.clear()

    def give_up(self, first: int, end: int) -> int:
        """Forget some of what waits, from one place to before another; return how many rows that were."""
        dropped = sum(rows.number for rows in self.pending[first:end])
        later = [rows._replace(end=rows.end - dropped) for rows in self.pending[end:]]
        self.pending[first:] = later
        return dropped

    def take_over(self, other: Axis) -> None:
        """Take all rows that another axis still holds."""
        for rows in (*other.kept, *other.pending):
            self.append(rows)

    def blocks(self, lengths: Mapping[str, int]) -> Iterator[tuple[str, Block]]:
        """Yield the waiting rows of every variable that any of them has: what nobody observed is the fill value already.

        Args:
            lengths: length of every axis.
        """
        is_single = all(rows.number == 1 for rows in self.pending)
        # One pass over what there is: most rows are of steps that were not measured, and have few of the variables.
        parts: dict[str, list[tuple[int, int, Any]]] = {}
        begin = 0
        for rows in self.pending:
            for name, value in rows.columns.items():
                if value is not None:
                    parts.setdefault(name, []).append((begin, rows.number, value))
            begin += rows.number
        for variable in variables_along(self.name) if parts else ():
            if variable.name not in parts:
                continue
            width = lengths[variable.dims[1]] if len(variable.dims) == 2 else None
            if is_single or variable.dtype == TEXT:
                yield variable.name, stack([rows.columns.get(variable.name) for rows in self.pending], variable, width)
            else:
                yield variable.name, stack_columns(parts[variable.name], begin, variable, width)
