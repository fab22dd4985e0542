"""Run files whose every value can be told from its place: a value that is missing, stale or of another row is seen."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bnprobe.store.reader import Run
from bnprobe.store.schema import TEXT, VARIABLES, Variable
from bnprobe.store.writer import RunWriter

CHANNELS = 3


def text(name: str, index: int) -> str:
    return f"{name} {index} é"


def value(variable: Variable, *place: int) -> float:
    """The value of a variable at a place: small enough to be exact in every type."""
    numbers = (zlib.crc32(variable.name.encode()), *place)
    return float(sum((7 * axis + 3) * number for axis, number in enumerate(numbers)) % 9973)


def row(dimension: str, index: int, lengths: dict[str, int]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for variable in VARIABLES.values():
        if variable.dims[0] != dimension:
            continue
        if variable.dtype == TEXT:
            columns[variable.name] = text(variable.name, index)
        elif len(variable.dims) == 1:
            columns[variable.name] = index if variable.name == dimension else int(value(variable, index))
        else:
            columns[variable.name] = np.array([value(variable, index, other) for other in range(lengths[variable.dims[1]])])
    return columns


class NumberedRun:
    """A writer and what it has been given."""

    def __init__(self, path: Path, layers: int = 3, parameters: int = 2, **options: Any) -> None:
        self.writer = RunWriter(path, {"script": "train.py", "seed": 7}, **options)
        self.lengths = {"layer": 0, "parameter": 0, "group": 0, "channel": 0, "step": 0, "snapshot": 0}
        self.widths: dict[str, list[dict[str, int]]] = {"step": [], "snapshot": []}
        for _ in range(layers):
            self.add_layer()
        for _ in range(parameters):
            self.add_parameter()
        self.lengths["group"] += 1
        self.writer.add_group(text("group", 0))

    def add_layer(self) -> None:
        columns = row("layer", self.lengths["layer"], self.lengths)
        self.writer.add_layer(**{name: value for name, value in columns.items() if name != "layer_channels"}, channels=CHANNELS)
        self.lengths["layer"] += 1
        self.lengths["channel"] += CHANNELS

    def add_parameter(self) -> None:
        self.writer.add_parameter(**row("parameter", self.lengths["parameter"], self.lengths))
        self.lengths["parameter"] += 1

    def add_steps(self, count: int) -> None:
        for _ in range(count):
            self.writer.append_step(row("step", self.lengths["step"], self.lengths))
            self.widths["step"].append(dict(self.lengths))
            self.lengths["step"] += 1

    def add_snapshot(self) -> None:
        self.writer.append_snapshot(row("snapshot", self.lengths["snapshot"], self.lengths))
        self.widths["snapshot"].append(dict(self.lengths))
        self.lengths["snapshot"] += 1

    def add_probes(self, count: int) -> None:
        for _ in range(count):
            index = self.lengths.setdefault("curvature", 0)
            self.writer.append_curvature(row("curvature", index, self.lengths))
            self.lengths["curvature"] += 1

    def add_line_probe(self, points: int) -> None:
        """A line probe with its points, which know which probe they belong to."""
        probe = self.lengths.setdefault("probe", 0)
        rows = []
        for _ in range(points):
            rows.append(row("probe_point", self.lengths.setdefault("probe_point", 0), self.lengths))
            self.widths.setdefault("probe_point", []).append(dict(self.lengths))
            self.lengths["probe_point"] += 1
        self.writer.add_probe(rows, **{name: value for name, value in row("probe", probe, self.lengths).items() if name != "probe"})
        self.lengths["probe"] += 1

    def wrong(self, run: Run, steps: int | None = None) -> list[str]:
        """Names of variables in which a value is not what was given; ``steps`` is how many the file should have."""
        return wrong_values(run, {**self.lengths, "step": self.lengths["step"] if steps is None else steps}, self.widths)


def wrong_values(run: Run, lengths: dict[str, int], widths: dict[str, list[dict[str, int]]]) -> list[str]:
    """Compare every value of a run with what its place demands; rows are as wide as the axis was when they were written."""
    wrong = []
    for variable in VARIABLES.values():
        array = run[variable.name]
        if variable.dims[0] in ("event", "coverage"):
            continue
        expected = np.full([lengths.get(dimension, 0) for dimension in variable.dims], variable.missing, dtype=array.dtype)
        for index in range(lengths.get(variable.dims[0], 0)):
            if variable.name in ("layer_channels", "channel", "channel_layer"):
                quotients = {"layer_channels": CHANNELS, "channel": index % CHANNELS, "channel_layer": index // CHANNELS}
                expected[index] = quotients[variable.name]
            elif variable.dtype == TEXT:
                expected[index] = text(variable.name, index)
            elif len(variable.dims) == 1:
                expected[index] = index if variable.name == variable.dims[0] else int(value(variable, index))
            else:
                for other in range(widths[variable.dims[0]][index][variable.dims[1]]):
                    expected[index, other] = value(variable, index, other)
        if not _equal(array, expected):
            wrong.append(variable.name)
    return wrong


def _equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
