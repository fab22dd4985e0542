"""The run file as HDF5 sees it while it is written: variables, axes, blocks of rows.

One HDF5 file stays open, with its handles and its caches, over an overlay in memory; on disk nothing is open between bursts. That makes a
burst ten times cheaper than opening fifty variables each time. The pinned library version has no "open for writing" mark, which
would make a killed run unreadable. Numbers are not compressed while recording but carry Fletcher's checksum, a filter that every HDF5
library has: a flipped bit makes its variable unreadable instead of wrong.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.journal import Overlay
from bnprobe.store.schema import DIMENSIONS, TEXT, VARIABLES, Variable
from bnprobe.store.unlogged import unlogged

with unlogged():
    import h5py
    import h5py._hl.dims  # noqa: F401 - h5py would import it while the script trains, which may watch what is imported

LIBRARY_VERSIONS = ("earliest", "v110")
#: Rows of a chunk, by first axis. Most bursts bring up to 64 steps; snapshots are few and wide.
CHUNK_ROWS = {"step": 64, "snapshot": 8, "probe_point": 8}
OTHER_CHUNK_ROWS = 256
#: Axes of which most rows have nothing of most wide variables: under a budget, steps are hardly ever measured.
_SPARSE = ("step",)
WIDEST_CHUNK, NARROWEST_CHUNK = 2048, 8
#: Places in the table of chunks that HDF5 makes for each open variable, a prime as it asks for. Some hundred variables stay open, and a
#: burst writes a few chunks of each; the 8191 of HDF5 2 would take 14 MiB for tables that stay empty.
CHUNK_SLOTS = 1009
#: A text may come from the user's program; nothing there is worth more.
LONGEST_TEXT = 8000

Block = NDArray[Any]
Attribute = str | int | float


#: Sessions that nobody has closed yet. HDF5 calls back into Python for every write, and must not do so from a dying interpreter.
_open_sessions: weakref.WeakSet[Hdf5Session] = weakref.WeakSet()


@atexit.register
def _discard_open_sessions() -> None:
    for session in list(_open_sessions):
        session.discard()


class Hdf5Session:
    """An HDF5 run file, open over an overlay.

    Args:
        path: the file, made by ``create_run_file``.
        end: where it ended when it was last committed.
        lengths: how far each axis had been committed; what a commit left behind beyond that, with its error unknown, is cut off.
    """

    def __init__(self, path: Path, end: int, lengths: Mapping[str, int]) -> None:
        self._overlay = Overlay(path, end)
        _open_sessions.add(self)
        self._handles: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        with self._overlay.attached():
            self._file = h5py.File(self._overlay, "r+", libver=LIBRARY_VERSIONS, rdcc_nslots=CHUNK_SLOTS)
            if "step" in self._file:
                create_variables(self._file, lengths)  # those that the bnprobe which made the file did not know yet
                self._hold_handles()
                for name, shape in list(self._shapes.items()):
                    self._resize(name, tuple(map(min, shape, (lengths[dimension] for dimension in VARIABLES[name].dims))))

    @property
    def end(self) -> int:
        """Where the file ends."""
        return self._overlay.end

    @property
    def is_open(self) -> bool:
        """Whether the HDF5 file is open still: a script that closes all of the process has closed this one, too."""
        return bool(self._file)

    def write(
        self,
        lengths: Mapping[str, int],
        blocks: Iterable[tuple[str, tuple[int, Block]]],
        attributes: Mapping[str, Attribute],
    ) -> None:
        """Put rows into the file and commit them: all, or none.

        Args:
            lengths: length of every axis from now on.
            blocks: each variable's name, the first row to be written, and rows; asked for one by one.
            attributes: root attributes that have changed.
        """
        with self._overlay.attached():
            self._write(lengths, blocks, attributes)
            self._file.flush()
            self._overlay.commit()

    def close(self) -> None:
        """Close and commit what closing changed."""
        with self._overlay.attached():
            self._handles.clear()
            self._file.close()
            self._overlay.commit()

    def discard(self) -> None:
        """Close without touching the file on disk."""
        self._handles.clear()
        with contextlib.suppress(Exception):
            self._file.close()

    def _write(
        self, lengths: Mapping[str, int], blocks: Iterable[tuple[str, tuple[int, Block]]], attributes: Mapping[str, Attribute]
    ) -> None:
        if not self._handles:
            create_variables(self._file, lengths)
            self._hold_handles()
        for name in VARIABLES:
            self._resize(name, tuple(lengths[dimension] for dimension in VARIABLES[name].dims))
        for name, (first, block) in blocks:
            if block.size:
                self._write_block(name, first, block)
        _write_attributes(self._file, attributes)

    def _hold_handles(self) -> None:
        for name in VARIABLES:
            self._handles[name] = self._file[name].id
            self._shapes[name] = self._handles[name].shape

    def _resize(self, name: str, shape: tuple[int, ...]) -> None:
        if shape != self._shapes[name]:
            self._handles[name].set_extent(shape)
            self._shapes[name] = shape

    def _write_block(self, name: str, first: int, block: Block) -> None:
        variable = VARIABLES[name]
        for begin, end in (
            _chunks_with_something(first, block, variable) if variable.dims[0] in _SPARSE and block.ndim > 1 else [(0, len(block))]
        ):
            place_block(self._handles[name], first + begin, block[begin:end], variable.dtype)


def _chunks_with_something(first: int, block: Block, variable: Variable) -> Iterator[tuple[int, int]]:
    """Yield which new rows of a variable are to be written: a chunk in which all is missing is never made, and reads as missing.

    Args:
        first: the row with which they begin; nothing of them, nor behind them, was written before.
        block: the rows.
        variable: whose they are.
    """
    is_there = ~np.isnan(block) if np.isnan(variable.missing) else block != variable.missing
    places = np.flatnonzero(is_there.any(axis=1)) + first
    chunk = CHUNK_ROWS[variable.dims[0]]
    runs: list[list[int]] = []
    for number in np.unique(places // chunk).tolist():
        if runs and runs[-1][1] == number:
            runs[-1][1] = number + 1
        else:
            runs.append([number, number + 1])
    for begin, end in runs:
        yield max(begin * chunk - first, 0), min(end * chunk - first, len(block))


def place_block(handle: Any, first: int, block: Block, dtype: str) -> None:
    """Write rows into a variable.

    Args:
        handle: its h5py identifier.
        first: the row with which they begin.
        block: the rows.
        dtype: its type in the schema.
    """
    place = handle.get_space()
    place.select_hyperslab((first, *(0,) * (block.ndim - 1)), block.shape)
    text = h5py.h5t.py_create(h5py.string_dtype()) if dtype == TEXT else None
    handle.write(h5py.h5s.create_simple(block.shape), place, block, text)


def create_run_file(path: Path, attributes: Mapping[str, Attribute], *, overwrite: bool) -> int:
    """Create a run file that holds attributes only, under another name, and move it into its place complete.

    Args:
        path: the file; a link is followed.
        attributes: root attributes.
        overwrite: replace an existing file.

    Returns:
        Where it ends.

    Raises:
        RunFileError: it exists and ``overwrite`` is false, or it cannot be created.
    """
    place = Path(os.path.realpath(path))
    if place.exists():
        if not overwrite:
            raise RunFileError(f"{path} already exists", "choose another name with -o, or overwrite it with -f")
        if not place.is_file():
            raise RunFileError(f"{path} is not a regular file", "choose another name with -o")
        if not os.access(place, os.W_OK):
            raise RunFileError(f"cannot create {path}: it is write-protected", "choose another name with -o")
    draft = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        try:
            end = _write_new(draft, attributes)
            _move(draft, place, overwrite)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        raise RunFileError(f"{path} already exists", "choose another name with -o, or overwrite it with -f") from None
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise RunFileError(f"cannot create {path}: {reason}", "choose another folder with -o") from None
    return end


def _write_new(path: Path, attributes: Mapping[str, Attribute]) -> int:
    path.touch()
    overlay = Overlay(path)
    with overlay.attached():
        with h5py.File(overlay, "w", libver=LIBRARY_VERSIONS) as file:
            _write_attributes(file, attributes)
        overlay.commit()
    return overlay.end


def _move(draft: Path, place: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(draft, place)
        return
    try:
        os.link(draft, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if place.exists():
            raise FileExistsError(str(place)) from None
        os.replace(draft, place)


def stack(values: Sequence[Any], variable: Variable, width: int | None) -> Block:
    """Lay rows under each other; what is absent, of a wrong kind, or shorter than the axis has grown since, is missing.

    Args:
        values: one entry a row: a scalar, or a vector if ``width`` is given; None is missing.
        variable: whose rows they are.
        width: length of the second axis.

    Returns:
        The rows, of the variable's type.
    """
    if variable.dtype == TEXT:
        return np.array([clean_text(value) for value in values], dtype=object)
    shape = (len(values),) if width is None else (len(values), width)
    block = np.full(shape, variable.missing, dtype=variable.dtype)
    with np.errstate(all="ignore"):  # a float64 beyond float32 is stored as infinite where the schema says float32
        if _fit(values, width):
            block[:] = values  # the common case, in one go
            return block
        for index, value in enumerate(values):
            if value is not None:
                with contextlib.suppress(ValueError, TypeError, OverflowError):  # one bad value must not hold up all the others
                    block[index] = value if width is None else _padded(value, block[index])
    return block


def stack_columns(parts: Iterable[tuple[int, int, Any]], length: int, variable: Variable, width: int | None) -> Block:
    """Lay groups of rows under each other, as ``stack`` does with single ones.

    Args:
        parts: of each group that has something: its first row, how many there are, and one value a row, or what all of them have.
        length: rows in all.
        variable: whose rows they are; no text.
        width: length of the second axis.

    Returns:
        The rows, of the variable's type.
    """
    dtype = np.dtype(variable.dtype)
    block = np.full((length,) if width is None else (length, width), variable.missing, dtype=dtype)
    with np.errstate(all="ignore"):
        for begin, count, value in parts:
            try:
                vectors = np.asarray(value, dtype=dtype)
                if width is None:
                    block[begin : begin + count] = vectors
                else:
                    block[begin : begin + count, : vectors.shape[-1]] = vectors[..., :width]
            except (ValueError, TypeError, OverflowError):
                continue  # one bad value must not hold up all the others
    return block


def clean_text(value: Any) -> str:
    """Return a text that HDF5 can hold: a NUL would end it, and a lone surrogate cannot be encoded."""
    return ("" if value is None else str(value)).replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST_TEXT]


def _fit(values: Sequence[Any], width: int | None) -> bool:
    """Whether values are rows of their own without more ado: numbers, or as many of them as the axis is long."""
    kinds = set(map(type, values))
    if width is None:
        return kinds <= {int, float}
    if kinds == {np.ndarray}:
        return all(value.shape == (width,) for value in values)
    return kinds == {list} and all(len(value) == width and set(map(type, value)) <= {int, float} for value in values)


def _padded(value: Any, row: Block) -> Block:
    vector = np.asarray(value, dtype=row.dtype)[: len(row)]
    return np.concatenate([vector, row[len(vector) :]])


def _write_attributes(file: h5py.File, attributes: Mapping[str, Attribute]) -> None:
    for name, value in attributes.items():
        file.attrs[name] = clean_text(value) if isinstance(value, str) else value


def create_variables(file: h5py.File, lengths: Mapping[str, int]) -> None:
    """Create every variable that is not there yet, empty, growable, with its axes named and its meaning attached."""
    new = [variable for variable in VARIABLES.values() if variable.name not in file]
    for variable in new:
        dataset = file.create_dataset(
            variable.name,
            shape=(0, *(lengths[name] for name in variable.dims[1:])),
            maxshape=(None,) * len(variable.dims),
            chunks=_chunks(variable, lengths),
            dtype=h5py.string_dtype() if variable.dtype == TEXT else variable.dtype,
            fillvalue=None if variable.dtype == TEXT else variable.missing,
            fletcher32=variable.dtype != TEXT,
        )
        for name in ("units", "long_name", "formula", "source"):
            dataset.attrs[name] = getattr(variable, name)
    for name in DIMENSIONS:
        if VARIABLES[name] in new:
            file[name].make_scale(name)
    for variable in new:
        for axis, name in enumerate(variable.dims):
            if name != variable.name:
                file[variable.name].dims[axis].attach_scale(file[name])


def _chunks(variable: Variable, lengths: Mapping[str, int]) -> tuple[int, ...]:
    """A chunk is as wide as the axis is now; a narrow one would be repeated for every layer found late."""
    widths: Iterable[int] = (min(max(lengths[name], NARROWEST_CHUNK), WIDEST_CHUNK) for name in variable.dims[1:])
    rows = CHUNK_ROWS.get(variable.dims[0], OTHER_CHUNK_ROWS) if len(variable.dims) > 1 else OTHER_CHUNK_ROWS
    return (rows, *widths)
