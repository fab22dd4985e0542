"""The reading side of the run file: a file in, a ``Run`` of numpy arrays out. Needs no torch and holds no handle.

A file may come from anywhere: it is read in a process of its own (``quarantine``), nothing in it is executed or unpickled, sizes are
checked against the file before memory is taken, and a part that cannot be read is left out with a note rather than believed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.quarantine import ReaderDied, Refused, Reply, read_quarantined
from bnprobe.store.schema import CONVENTIONS, DIMENSIONS, SCHEMA_NAME, SCHEMA_VERSION, TEXT, VARIABLES
from bnprobe.store.superseded import leave_out_superseded

Array = NDArray[Any]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: A run that is being recorded changes every half second to two seconds; one reading in between suffices.
READS_OF_A_GROWING_FILE = 2
#: A file that changes faster than it is read is copied first, which takes a hundredth of the time.
COPIES_OF_A_GROWING_FILE = 20
#: What is copied in all: a file so large that a copy takes as long as the time between two bursts is never copied in between.
MOST_COPIED_BYTES = 2**30


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


class Resumption(NamedTuple):
    """A start of the training, from a checkpoint, that went on in this file.

    Attributes:
        step: first step that it recorded; what had been recorded from there on is void.
        before: last step that had been recorded before it, -1 where there was none; where what came right before its first is void by now
            and steps are missing, the last before those.
        known_by: how that step was known: given, weights, optimizer, or none of them.
        created: when its recording began (UTC, ISO 8601).
        seconds: time between the last recorded step and its first.
        ended: how the start before it had ended; running where it was killed.
    """

    step: int
    before: int
    known_by: str
    created: str
    seconds: float
    ended: str

    @property
    def missing(self) -> int:
        """Steps between that no recording has."""
        return max(self.step - self.before - 1, 0)

    @property
    def repeated(self) -> int:
        """Steps that were recorded before it and taken again: what counts is the later recording."""
        return max(self.before + 1 - self.step, 0)


@dataclass(frozen=True)
class Run:
    """A recorded run in memory.

    ``run["activation_rms"]`` is the variable of that name in the schema, with the axes the schema gives it; a variable the file lacks
    comes back filled with its missing value. Layers, parameters, groups, events and gaps are lists of named tuples in axis order.
    Of a run that was merged, ``ranks`` are the recordings it was merged from, and ``batches`` says by their place in that list which
    of them were given the same batches.
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
    lengths: dict[str, int] = field(default_factory=dict)
    ranks: list[Run] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)

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
        """Short name for headings: the file's stem, of several ranks what it is without the rank."""
        return self.path.stem.rpartition(".rank")[0] or self.path.stem if self.ranks else self.path.stem

    @property
    def trained_steps(self) -> int:
        """Number of steps that were recorded, those included of which little was kept."""
        return self.steps + self._length("passed")

    @property
    def every_loss(self) -> tuple[Array, Array]:
        """Steps and losses of all steps that were recorded, in order, those included of which little was kept."""
        steps, losses = self["step"], self["loss"]
        if not self._length("passed"):
            return steps, losses
        steps, losses = np.concatenate([steps, self["passed"]]), np.concatenate([losses, self["passed_loss"]])
        order = np.argsort(steps, kind="stable")
        return steps[order], losses[order]

    @property
    def resumptions(self) -> list[Resumption]:
        """The starts that went on in this file and of which something counts, in order."""
        names = ("step", "before", "known_by", "created", "seconds", "ended")
        return _rows(self, Resumption, *(f"resumption_{name}" for name in names))

    def observed(self) -> NDArray[np.bool_]:
        """Mask over steps: where layers and parameters were measured."""
        mask: NDArray[np.bool_] = self["layers_observed"] == 1
        return mask

    def channel_slice(self, layer: int) -> slice:
        """Return the channels of one layer as a slice of the ``channel`` axis."""
        found = np.flatnonzero(self["channel_layer"] == layer)
        return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)

    def _length(self, dimension: str) -> int:
        if dimension in self.lengths:
            return self.lengths[dimension]
        if dimension in self.variables:
            return len(self.variables[dimension])
        counts = {"layer": len(self.layers), "parameter": len(self.parameters), "group": len(self.groups)}
        return counts.get(dimension, 0)


def read_run(path: Path | str) -> Run:
    """Read a run file, complete or not.

    Args:
        path: a file written by ``bnprobe record``; it may still be written to.

    Returns:
        The run, with what was found damaged in ``problems``.

    Raises:
        RunFileError: no such file; not HDF5; cut short before its first flush; not a bnprobe run; a newer schema; so damaged, or
            so made, that HDF5 crashes on it.
    """
    path = Path(path)
    reply = _read_settled(path)
    check_conventions(path, reply.attributes)
    problems = reply.problems
    lengths, arrays = agree(reply.arrays, problems)
    leave_out_superseded(arrays, lengths)
    return _assemble(Run(path, reply.attributes, [], [], [], [], [], arrays, problems, lengths))


def _read_settled(path: Path) -> Reply:
    """Read a file at a moment at which nobody writes to it: half of it from before a burst and half from after would not agree."""
    unsettled: Reply | None = None
    for _ in range(READS_OF_A_GROWING_FILE):
        before = look(path)
        try:
            reply = read_reply(path, before.st_size)
        except RunFileError:
            if _same(before, look(path)):
                raise
            continue
        if _same(before, look(path)):
            return reply
        unsettled = reply
    if (settled := _read_copy(path)) is not None:
        return settled
    try:
        return read_reply(path, look(path).st_size)  # and what does not agree is said
    except RunFileError:  # in the middle of a burst
        if unsettled is None:
            raise
        return unsettled


def _read_copy(path: Path) -> Reply | None:
    """Read a copy that was made while nobody wrote; None where there is no room for one, or never the time."""
    try:
        with tempfile.TemporaryDirectory(prefix="bnprobe-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / path.name
            for _ in range(min(COPIES_OF_A_GROWING_FILE, MOST_COPIED_BYTES // look(path).st_size)):
                before = look(path)
                shutil.copyfile(path, copy)
                if _same(before, look(path)):
                    return read_reply(path, before.st_size, copy=copy)
    except OSError:
        pass
    return None


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)


# -- reading, part by part --------------------------------------------------------------------------------------------


def look(path: Path) -> os.stat_result:
    """Return the state of a file that may be an HDF5 file. What is no regular file could block a reader for ever, or never end.

    Raises:
        RunFileError: no such file, none that can be read, or not HDF5.
    """
    hint = "name a file written by `bnprobe record`"
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise RunFileError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", hint) from None
    if stat.S_ISDIR(found.st_mode):
        raise RunFileError(f"{path} is a folder, not a run file", hint)
    if not stat.S_ISREG(found.st_mode):
        raise RunFileError(f"{path} is not a regular file", hint)
    if found.st_size == 0:
        raise RunFileError(f"{path} is empty", "the recording ended before its first write; record again")
    try:
        with path.open("rb") as file:
            signature = file.read(len(HDF5_SIGNATURE))
    except OSError as error:
        raise RunFileError(f"cannot read {path}: {error.strerror}", "check its permissions") from None
    if signature != HDF5_SIGNATURE:
        raise RunFileError(f"{path} is not an HDF5 file", hint)
    return found


def read_reply(path: Path, size: int, table: str = "run", copy: Path | None = None) -> Reply:
    """Read what looks like an HDF5 file in a process of its own.

    Args:
        path: the file.
        size: its size, for the message.
        table: the schema that it should follow.
        copy: of it, which is read in its place; what is wrong is told of the file.

    Returns:
        Attributes and arrays, with what was found damaged.

    Raises:
        RunFileError: it is damaged.
    """
    damaged = "copy it again from where it was recorded, or record again"
    try:
        return read_quarantined(copy or path, table)
    except Refused as refusal:
        raise RunFileError(f"{path} ({size} bytes) is cut short or damaged ({str(refusal)[:200]})", damaged) from None
    except ReaderDied as death:
        raise RunFileError(f"{path} is damaged: the process that read it gave no result ({death})", damaged) from None


def check_conventions(path: Path, attributes: dict[str, str | int | float]) -> None:
    """Make sure that a file follows a schema that is known here.

    Raises:
        RunFileError: it does not.
    """
    name, _, version = str(attributes.get("Conventions", "")).rpartition("-")
    if name != SCHEMA_NAME or not (version.isascii() and version.isdecimal()):
        raise RunFileError(f"{path} is an HDF5 file, but not one of bnprobe's", "name a file written by `bnprobe record`")
    if int(version[:9]) > SCHEMA_VERSION:
        raise RunFileError(
            f"{path} has schema {name}-{version[:9]}; this bnprobe reads up to {CONVENTIONS}", "pip install --upgrade bnprobe"
        )


def agree(raw: dict[str, Array], problems: list[str]) -> tuple[dict[str, int], dict[str, Array]]:
    """Give every axis the length that most of its variables have: longer ones are cut, shorter ones left out.

    The writer leaves no unequal lengths behind; a damaged file has them.

    Returns:
        The length of each axis, and the arrays cut to it.
    """
    lengths: dict[str, int] = {}
    for dimension in DIMENSIONS:
        found = Counter(
            array.shape[VARIABLES[name].dims.index(dimension)] for name, array in raw.items() if dimension in VARIABLES[name].dims
        )
        # The smaller of two equally frequent lengths: what fewer variables reach is not data.
        lengths[dimension] = min(found, key=lambda length: (-found[length], length), default=0)
    arrays: dict[str, Array] = {}
    for name, array in raw.items():
        expected = tuple(lengths[dimension] for dimension in VARIABLES[name].dims)
        if array.shape != expected:
            problems.append(f"{name} has {array.shape} entries where the others have {expected}")
        if all(own >= others for own, others in zip(array.shape, expected, strict=True)):
            arrays[name] = array[tuple(map(slice, expected))]
    return lengths, arrays


def _assemble(run: Run) -> Run:
    arrays = run.variables
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
    run.parameters.extend(_rows(run, Parameter, "parameter", "parameter_layer", "parameter_shape", "parameter_size", "parameter_group"))
    run.groups.extend(run["group"].tolist())
    run.events.extend(_rows(run, Event, "event_step", "event_kind", "event_text"))
    gaps = _rows(run, Gap, "coverage_subject", "coverage_reason", "coverage_count")
    run.gaps.extend(gap for gap in gaps if gap.times)  # what was taken back happened no time
    return run


def _rows(run: Run, kind: Any, *names: str) -> list[Any]:
    return [kind(*values) for values in zip(*(run[name].tolist() for name in names), strict=False)]
