"""The reading side of the run file: a file in, a ``Run`` of numpy arrays out. Needs no torch and holds no handle.

A file may come from anywhere: nothing in it is executed or unpickled, sizes are checked against the file before memory is taken, and
a part that cannot be read is left out with a note rather than believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.schema import CONVENTIONS, DIMENSIONS, SCHEMA_NAME, SCHEMA_VERSION, TEXT, VARIABLES, Variable

Array = NDArray[Any]

#: gzip shrinks constant data at most about a thousandfold; a file that declares more than this is damaged or hostile.
EXPANSION_LIMIT = 1100
SMALLEST_LIMIT_BYTES = 64 * 2**20
LARGEST_LIMIT_BYTES = 16 * 2**30
LONGEST_TEXT = 10_000


class Layer(NamedTuple):
    """One recorded module call."""

    name: str
    type: str
    kind: str
    role: str
    depth: int
    call: int
    model: int
    channels: int


class Parameter(NamedTuple):
    """One trained parameter."""

    name: str
    layer: str
    shape: str
    size: int
    group: int


class Event(NamedTuple):
    """Something the recorder noticed or decided at a step."""

    step: int
    kind: str
    text: str


class Gap(NamedTuple):
    """Something that could not be observed, why, and how often."""

    subject: str
    reason: str
    times: int


@dataclass(frozen=True)
class Run:
    """A recorded run in memory.

    ``run["activation_rms"]`` is the variable of that name in the schema, with the axes the schema gives it; a variable the file lacks
    comes back filled with its missing value. Layers, parameters, groups, events and gaps are lists of named tuples in axis order.
    """

    path: Path
    attributes: dict[str, str | int | float]
    layers: list[Layer]
    parameters: list[Parameter]
    groups: list[str]
    events: list[Event]
    gaps: list[Gap]
    variables: dict[str, Array]
    problems: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Array:
        """Return a variable by its schema name. Raises KeyError for a name the schema does not have."""
        variable = VARIABLES[name]
        if name in self.variables:
            return self.variables[name]
        shape = tuple(self._length(dimension) for dimension in variable.dims)
        return np.full(shape, variable.missing, dtype=object if variable.dtype == TEXT else variable.dtype)

    @property
    def steps(self) -> int:
        """Number of recorded steps."""
        return self._length("step")

    @property
    def status(self) -> str:
        """How the run ended: finished, stopped, interrupted, crashed, exited, or running (still going, or killed)."""
        return str(self.attributes.get("status", "unknown"))

    @property
    def name(self) -> str:
        """Short name for headings: the file's stem."""
        return self.path.stem

    def observed(self) -> NDArray[np.bool_]:
        """Mask over steps: where layers and parameters were measured."""
        mask: NDArray[np.bool_] = self["layers_observed"] == 1
        return mask

    def channel_slice(self, layer: int) -> slice:
        """Return the channels of one layer as a slice of the ``channel`` axis."""
        found = np.flatnonzero(self["channel_layer"] == layer)
        return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)

    def _length(self, dimension: str) -> int:
        if dimension in self.variables:
            return len(self.variables[dimension])
        counts = {"layer": len(self.layers), "parameter": len(self.parameters), "group": len(self.groups)}
        return counts.get(dimension, 0)


def read_run(path: Path | str) -> Run:
    """Read a run file, complete or not.

    Args:
        path: a file written by ``bnprobe record``; it may still be written to.

    Raises:
        RunFileError: no such file; not HDF5; cut short before its first flush; not a bnprobe run; a newer schema.
    """
    path = Path(path)
    size = _size(path)
    problems: list[str] = []
    try:
        with h5py.File(path, "r", locking=False) as file:
            attributes = _attributes(file)
            _check_conventions(path, attributes)
            raw = _read_variables(file, size, problems)
    except RunFileError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, UnicodeError) as error:
        raise _explain(path, size, error) from None
    return _assemble(path, attributes, _trim(raw, problems), problems)


# -- reading, part by part --------------------------------------------------------------------------------------------


def _size(path: Path) -> int:
    if path.is_dir():
        raise RunFileError(f"{path} is a folder, not a run file", "name a file written by `bnprobe record`")
    try:
        return path.stat().st_size
    except OSError as error:
        raise RunFileError(f"cannot read {path}: {error.strerror}", "name a file written by `bnprobe record`") from None


def _explain(path: Path, size: int, error: Exception) -> RunFileError:
    if size == 0:
        return RunFileError(f"{path} is empty", "the recording ended before its first write; record again")
    try:
        with path.open("rb") as file:
            signature = file.read(8)
    except OSError as unreadable:
        return RunFileError(f"cannot read {path}: {unreadable.strerror}", "check its permissions")
    if signature != b"\x89HDF\r\n\x1a\n":
        return RunFileError(f"{path} is not an HDF5 file", "name a file written by `bnprobe record`")
    return RunFileError(
        f"{path} is cut short or damaged ({str(error)[:200]})", "copy it again from where it was recorded, or record again"
    )


def _check_conventions(path: Path, attributes: dict[str, str | int | float]) -> None:
    name, _, version = str(attributes.get("Conventions", "")).rpartition("-")
    if name != SCHEMA_NAME or not version.isdecimal():
        raise RunFileError(f"{path} is an HDF5 file, but not one of bnprobe's", "name a file written by `bnprobe record`")
    if int(version[:9]) > SCHEMA_VERSION:
        raise RunFileError(
            f"{path} has schema {name}-{version[:9]}; this bnprobe reads up to {CONVENTIONS}", "pip install --upgrade bnprobe"
        )


def _attributes(file: h5py.File) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {}
    for name in file.attrs:
        value = file.attrs[name]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (str, int, float)):
            attributes[str(name)] = value[:LONGEST_TEXT] if isinstance(value, str) else value
    return attributes


def _read_variables(file: h5py.File, size: int, problems: list[str]) -> dict[str, Array]:
    left = min(max(SMALLEST_LIMIT_BYTES, EXPANSION_LIMIT * size), LARGEST_LIMIT_BYTES)
    arrays: dict[str, Array] = {}
    for variable in VARIABLES.values():
        try:
            dataset = file.get(variable.name)
            if dataset is None:
                continue
            _check_dataset(dataset, variable, left)
            array = _text(dataset) if variable.dtype == TEXT else dataset[()].astype(variable.dtype, copy=False)
            left -= array.nbytes
            arrays[variable.name] = array
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, UnicodeError) as error:
            problems.append(f"{variable.name} could not be read: {str(error)[:200]}")
    return arrays


def _check_dataset(dataset: Any, variable: Variable, left: int) -> None:
    if not isinstance(dataset, h5py.Dataset) or len(dataset.shape or ()) != len(variable.dims):
        raise ValueError(f"expected an array with axes {variable.dims}")
    if dataset.external or dataset.is_virtual:
        raise ValueError("it refers to data outside the file")
    if (variable.dtype == TEXT) != (h5py.check_string_dtype(dataset.dtype) is not None):
        raise ValueError(f"expected {variable.dtype}, found {dataset.dtype}")
    if variable.dtype != TEXT and dataset.dtype.kind not in "iuf":
        raise ValueError(f"expected numbers, found {dataset.dtype}")
    declared = int(np.prod(dataset.shape, dtype=object)) * max(dataset.dtype.itemsize, np.dtype("f8").itemsize)
    if declared > left:
        raise ValueError(f"it declares {declared} bytes, more than the file can hold")


def _text(dataset: h5py.Dataset) -> Array:
    decode: Callable[[Any], str] = lambda value: (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))[
          # noqa: E731
        :LONGEST_TEXT
    ]
    return np.array([decode(value) for value in dataset[()]], dtype=object)


def _trim(raw: dict[str, Array], problems: list[str]) -> dict[str, Array]:
    """Cut every axis to the length that all its variables share: what a writer that died left unequal is not data."""
    lengths: dict[str, int] = {}
    for dimension in DIMENSIONS:
        found = [
            array.shape[VARIABLES[name].dims.index(dimension)] for name, array in raw.items() if dimension in VARIABLES[name].dims
        ]
        lengths[dimension] = min(found, default=0)
        if found and max(found) != min(found):
            problems.append(f"axis {dimension} has {min(found)} complete entries of {max(found)}; the rest was cut off")
    return {name: array[tuple(slice(lengths[d]) for d in VARIABLES[name].dims)] for name, array in raw.items()}


def _assemble(path: Path, attributes: dict[str, str | int | float], arrays: dict[str, Array], problems: list[str]) -> Run:
    run = Run(path, attributes, [], [], [], [], [], arrays, problems)
    # Ragged dumps of the flight recorder arrive after later steps of the coarse schedule: sort snapshots by step.
    if "snapshot" in arrays:
        order = np.argsort(arrays["snapshot"], kind="stable")
        for name in arrays:
            if VARIABLES[name].dims[0] == "snapshot":
                arrays[name] = arrays[name][order]
    run.layers.extend(
        _rows(
            run,
            Layer,
            "layer",
            "layer_type",
            "layer_kind",
            "layer_role",
            "layer_depth",
            "layer_call",
            "layer_model",
            "layer_channels",
        )
    )
    run.parameters.extend(
        _rows(run, Parameter, "parameter", "parameter_layer", "parameter_shape", "parameter_size", "parameter_group")
    )
    run.groups.extend(run["group"].tolist())
    run.events.extend(_rows(run, Event, "event_step", "event_kind", "event_text"))
    run.gaps.extend(_rows(run, Gap, "coverage_subject", "coverage_reason", "coverage_count"))
    return run


def _rows(run: Run, kind: Any, *names: str) -> list[Any]:
    return [kind(*values) for values in zip(*(run[name].tolist() for name in names), strict=False)]
