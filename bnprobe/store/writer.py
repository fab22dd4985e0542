"""The writing side of the run file.

Rows are kept in memory and appended in bursts: open, append to every variable through held handles, flush, close. Between bursts
no handle is open, so a SIGKILL costs at most the rows since the last burst and a forked child has nothing to corrupt. Default
library version, no SWMR and no compression while recording: the combination whose files always opened after random kills.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bnprobe.errors import RunFileError
from bnprobe.store.schema import CONVENTIONS, DIMENSIONS, TEXT, VARIABLES, Variable, variables_along

BURST_ROWS = 64
BURST_SECONDS = 2.0
#: Rows that could not be written are kept up to this size, then the oldest are given up (and said to be).
PENDING_LIMIT_BYTES = 64 * 2**20
#: A burst is not started when the disk has less than this above what it needs: a write that fails half-way is worse than a late one.
DISK_RESERVE_BYTES = 2**20

Row = dict[str, Any]
Attribute = str | int | float


@dataclass
class _Axis:
    """Rows of one growing axis: how many are on disk, and those that wait."""

    written: int = 0
    pending: list[Row] = field(default_factory=list)


class RunWriter:
    """Writes one run file, in bursts.

    Args:
        path: the file; its folder must exist.
        attributes: root attributes (provenance). ``status`` is set to "running".
        overwrite: replace an existing file.

    Raises:
        RunFileError: the file exists and ``overwrite`` is false, or it cannot be created.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Attribute], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.closed = False
        self._attributes: dict[str, Attribute] = {"Conventions": CONVENTIONS, **attributes, "status": "running"}
        self._attributes_changed = True
        self._axes = {name: _Axis() for name in DIMENSIONS}
        self._coverage: dict[tuple[str, str], int] = {}
        self._coverage_changed = False
        self._pending_bytes = 0
        self._last_burst = time.monotonic()
        self._told = False
        self._create(overwrite)

    # -- what is recorded ---------------------------------------------------------------------------------------------

    @property
    def layer_count(self) -> int:
        """Number of layers defined so far."""
        return self._length("layer")

    @property
    def parameter_count(self) -> int:
        """Number of parameters defined so far."""
        return self._length("parameter")

    def set_attribute(self, name: str, value: Attribute) -> None:
        """Set a root attribute, written with the next burst."""
        self._attributes[name] = value
        self._attributes_changed = True

    def add_layer(self, *, channels: int, **columns: Any) -> int:
        """Append a layer with its channels; return its index. ``columns`` are the schema's variables along ``layer``."""
        index = self.layer_count
        self._append("layer", {**columns, "layer_channels": channels})
        for channel in range(channels):
            self._append("channel", {"channel": channel, "channel_layer": index})
        return index

    def add_parameter(self, **columns: Any) -> int:
        """Append a parameter; return its index."""
        self._append("parameter", columns)
        return self.parameter_count - 1

    def add_group(self, name: str) -> int:
        """Append a parameter group; return its index."""
        self._append("group", {"group": name})
        return self._length("group") - 1

    def add_event(self, step: int, kind: str, text: str) -> None:
        """Note something that happened at a step."""
        self._append("event", {"event": self._length("event"), "event_step": step, "event_kind": kind, "event_text": text})

    def add_coverage(self, subject: str, reason: str, count: int = 1) -> None:
        """Count something that could not be observed."""
        key = (subject, reason)
        self._coverage[key] = self._coverage.get(key, 0) + count
        self._coverage_changed = True

    def append_step(self, row: Row) -> None:
        """Append one step: scalars and one-dimensional arrays by variable name. What is absent is missing."""
        self._append("step", row)

    def append_snapshot(self, row: Row) -> None:
        """Append one snapshot of all channels."""
        self._append("snapshot", row)

    # -- bursts -------------------------------------------------------------------------------------------------------

    def burst_if_due(self) -> bool:
        """Write when enough rows or time have gathered; return whether everything is on disk."""
        waited = time.monotonic() - self._last_burst
        due = waited > BURST_SECONDS or (len(self._axes["step"].pending) >= BURST_ROWS and not self._told)
        return self.burst() if due else False

    def burst(self) -> bool:
        """Append all that waits to the file. On a fault keep it, tell the user once, and return False."""
        self._last_burst = time.monotonic()
        try:
            self._check_disk()
            self._write(self.path)
        except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py reports i/o faults as any of these
            self._on_fault(error)
            return False
        if self._told:
            self._say(f"{self.path} can be written again; nothing was lost")
            self._told = False
        return True

    def close(self, **attributes: Attribute) -> Path:
        """Write what is left together with the closing attributes; return the file that holds it.

        Where the file cannot be written, what is still in memory goes to a file of its own, next to it or in the temporary folder.
        """
        for name, value in attributes.items():
            self.set_attribute(name, value)
        if self.closed:
            return self.path
        self.closed = True
        return self.path if self.burst() else self._spill()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _length(self, dimension: str) -> int:
        axis = self._axes[dimension]
        return axis.written + len(axis.pending)

    def _append(self, dimension: str, row: Row) -> None:
        self._axes[dimension].pending.append(row)
        self._pending_bytes += sum(value.nbytes if isinstance(value, np.ndarray) else 16 for value in row.values())

    def _create(self, overwrite: bool) -> None:
        try:
            with h5py.File(self.path, "w" if overwrite else "x", locking=False) as file:
                self._write_attributes(file)
                file.flush()
        except FileExistsError:
            raise RunFileError(f"{self.path} already exists", "choose another name with -o, or overwrite it with -f") from None
        except OSError as error:
            raise RunFileError(f"cannot create {self.path}: {error.strerror or error}", "choose another folder with -o") from None

    def _check_disk(self) -> None:
        free = os.statvfs(self.path.parent)
        available = free.f_bavail * free.f_frsize
        if available < 2 * self._pending_bytes + DISK_RESERVE_BYTES:
            raise OSError(f"no space left ({available} bytes free)")

    def _write(self, path: Path) -> None:
        with h5py.File(path, "r+", locking=False) as file:
            if "step" not in file:
                _create_variables(file, {name: self._length(name) for name in DIMENSIONS})
            handles = {name: file[name] for name in VARIABLES}  # held until the flush; see the module's docstring
            self._resize_second_axes(handles)
            for dimension, axis in self._axes.items():
                if axis.pending:
                    self._write_rows(handles, dimension, axis)
            if self._coverage_changed:
                self._write_coverage(handles)
            if self._attributes_changed:
                self._write_attributes(file)
            file.flush()
        # Only now is it certain: until here a second try would write the same rows to the same places.
        for axis in self._axes.values():
            axis.written += len(axis.pending)
            axis.pending.clear()
        self._pending_bytes = 0
        self._attributes_changed = self._coverage_changed = False

    def _resize_second_axes(self, handles: Mapping[str, h5py.Dataset]) -> None:
        for name, dataset in handles.items():
            dims = VARIABLES[name].dims
            if len(dims) == 2 and dataset.shape[1] < self._length(dims[1]):
                dataset.resize(self._length(dims[1]), axis=1)

    def _write_rows(self, handles: Mapping[str, h5py.Dataset], dimension: str, axis: _Axis) -> None:
        end = axis.written + len(axis.pending)
        for variable in variables_along(dimension):
            dataset = handles[variable.name]
            width = dataset.shape[1] if len(variable.dims) == 2 else None
            dataset.resize(end, axis=0)
            dataset[axis.written : end] = _stack([row.get(variable.name) for row in axis.pending], variable, width)

    def _write_coverage(self, handles: Mapping[str, h5py.Dataset]) -> None:
        columns: dict[str, list[Any]] = {
            "coverage": list(range(len(self._coverage))),
            "coverage_subject": [subject for subject, _ in self._coverage],
            "coverage_reason": [reason for _, reason in self._coverage],
            "coverage_count": list(self._coverage.values()),
        }
        for name, values in columns.items():
            handles[name].resize(len(values), axis=0)
            handles[name][:] = _stack(values, VARIABLES[name], None)

    def _write_attributes(self, file: h5py.File) -> None:
        for name, value in self._attributes.items():
            # Attributes live in the object header, which holds 64 KiB in all.
            file.attrs[name] = value[:8000] if isinstance(value, str) else value

    def _on_fault(self, error: Exception) -> None:
        if not self._told:
            self._say(f"cannot write {self.path} now ({error}); the recording is kept in memory and tried again")
            self._told = True
        rows = self._axes["step"].pending
        if self._pending_bytes > PENDING_LIMIT_BYTES and len(rows) > BURST_ROWS:
            dropped = len(rows) // 2
            del rows[:dropped]
            self._axes["snapshot"].pending.clear()
            self._pending_bytes //= 2
            self.add_coverage("steps", "the run file could not be written for so long that steps were given up", dropped)

    def _spill(self) -> Path:
        """Write what is in memory to a new file, because the run file cannot be written."""
        for axis in self._axes.values():
            axis.written = 0
        for folder in (self.path.parent, Path(tempfile.gettempdir())):
            target = folder / f"{self.path.stem}.recovered-{os.getpid()}.h5"
            with contextlib.suppress(OSError, RuntimeError, RunFileError):
                rest = RunWriter(target, self._attributes)
                rest._axes, rest._attributes = self._axes, dict(self._attributes)
                rest._coverage, rest._coverage_changed = self._coverage, bool(self._coverage)
                rest._write(target)
                self._say(f"{self.path} could not be written; what was still in memory is in {target}")
                return target
        self._say(f"{self.path} could not be written, and neither could a file beside it; its last rows are lost")
        return self.path

    @staticmethod
    def _say(text: str) -> None:
        print(f"bnprobe: {text}", file=sys.stderr, flush=True)


def _create_variables(file: h5py.File, lengths: Mapping[str, int]) -> None:
    """Create every variable of the schema, empty, growable, with its axes named and its meaning attached."""
    for variable in VARIABLES.values():
        shape = (0, *(lengths[name] for name in variable.dims[1:]))
        # A chunk is one burst long: a burst then touches one or two chunks a variable.
        chunks = (BURST_ROWS, *(min(max(length, 1), 2048) for length in shape[1:])) if len(shape) == 2 else (256,)
        dataset = file.create_dataset(
            variable.name,
            shape=shape,
            maxshape=(None,) * len(shape),
            chunks=chunks,
            dtype=h5py.string_dtype() if variable.dtype == TEXT else variable.dtype,
            fillvalue=None if variable.dtype == TEXT else variable.missing,
        )
        for name in ("units", "long_name", "formula", "source"):
            dataset.attrs[name] = getattr(variable, name)
    for name in DIMENSIONS:
        file[name].make_scale(name)
    for variable in VARIABLES.values():
        for axis, name in enumerate(variable.dims):
            if name != variable.name:
                file[variable.name].dims[axis].attach_scale(file[name])


def _stack(values: Sequence[Any], variable: Variable, width: int | None) -> np.ndarray[Any, Any]:
    """Lay rows under each other; what is absent, or shorter than the axis has grown since, is missing."""
    if variable.dtype == TEXT:
        # A NUL would end the string for HDF5, a lone surrogate cannot be encoded.
        texts = [str(value or "").replace("\0", "").encode("utf-8", "replace").decode() for value in values]
        return np.array(texts, dtype=object)
    missing = variable.missing
    with np.errstate(over="ignore"):  # a float64 energy beyond float32 is stored as infinite where the schema says float32
        if width is None:
            return np.array([missing if value is None else value for value in values], dtype=variable.dtype)
        block = np.full((len(values), width), missing, dtype=variable.dtype)
        for row, value in zip(block, values, strict=True):
            if value is not None:
                row[: len(value)] = value
    return block
