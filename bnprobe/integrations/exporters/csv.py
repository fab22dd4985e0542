"""Comma-separated tables: a file each, UTF-8, a header line, an empty cell where nothing was observed."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.integrations.tables import tables
from bnprobe.store.reader import Run
from bnprobe.store.schema import TEXT, VARIABLES


def write(run: Run, folder: Path) -> list[Path]:
    """Write each table that has a row to a file of its own."""
    files = []
    for name, columns in tables(run).items():
        file = folder / f"{name}.csv"
        with file.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream)
            lines.writerow(columns)
            lines.writerows(zip(*(_cells(key, column) for key, column in columns.items()), strict=True))
        files.append(file)
    return files


def _cells(name: str, column: NDArray[Any]) -> Iterable[object]:
    """The cells of a column: numbers as Python writes them back exactly, nothing for what was not observed."""
    if column.dtype.kind == "f":
        # float32 in its own shortest form: 0.1 and not 0.10000000149011612
        return ["" if np.isnan(value) else str(value) for value in column]
    variable = VARIABLES.get(name)
    if column.dtype.kind in "iu" and variable is not None and variable.dtype != TEXT:
        return ["" if value == -1 else value for value in column.tolist()]
    cells: list[object] = column.tolist()
    return cells
