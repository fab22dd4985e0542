"""What stands in an HDF5 run file: attributes and arrays, each checked before it is believed.

This module calls the HDF5 library, which crashes, hangs or asks for any amount of memory on some damaged files. It therefore runs in a
process of its own; see ``quarantine``. Links out of the file, references, pickles and plugins are never followed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bnprobe.store.journal import Snapshot, find_journal
from bnprobe.store.schema import TEXT, Variable

Array = NDArray[Any]
Attributes = dict[str, str | int | float]

#: gzip, shuffle and Fletcher's checksum: what every HDF5 library has built in.
KNOWN_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
MOST_ATTRIBUTES = 1000
LONGEST_TEXT = 10_000

#: What h5py raises on a damaged file. Nothing else is expected from it, and these say nothing about which part is damaged.
Damage = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)


class RunContent:
    """An open run file, read part by part.

    Args:
        path: the file.
        limit_bytes: how many bytes of arrays it may claim to hold.
        variables: the schema that it should follow.

    Raises:
        OSError: or any other of ``Damage``: not an HDF5 file, or not one that can be opened.
    """

    def __init__(self, path: Path, limit_bytes: int, variables: Mapping[str, Variable]) -> None:
        self._resources = contextlib.ExitStack()
        with contextlib.ExitStack() as until_opened:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            until_opened.callback(os.close, descriptor)
            journal = find_journal(descriptor)
            source: Any = path if journal is None else Snapshot(descriptor, journal)
            options = {"locking": False} if journal is None else {}
            self._file = until_opened.enter_context(h5py.File(source, "r", **options))
            self._resources = until_opened.pop_all()
        self._left = limit_bytes
        self._variables = variables
        self.problems: list[str] = []

    def close(self) -> None:
        """Close the file."""
        self._resources.close()

    def attributes(self) -> Attributes:
        """Return the root attributes that are single texts or numbers; others are left out."""
        found: Attributes = {}
        names: list[str] = []
        with contextlib.suppress(*Damage):
            for name in self._file.attrs:
                names.append(str(name))
                if len(names) >= MOST_ATTRIBUTES:
                    break
        for name in names:
            try:
                value = _attribute(self._file, name)
            except Damage as error:
                self.problems.append(f"attribute {name[:100]!r} could not be read: {_short(error)}")
                continue
            if value is not None:
                found[name] = value
        return found

    def arrays(self) -> Iterator[tuple[Variable, Array]]:
        """Yield every variable that is there and is what the schema says; note the others in ``problems``."""
        for variable in self._variables.values():
            try:
                array = self._array(variable)
            except Damage as error:
                self.problems.append(f"{variable.name} could not be read: {_short(error)}")
                continue
            if array is not None:
                yield variable, array

    def _array(self, variable: Variable) -> Array | None:
        link = self._file.get(variable.name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise ValueError("it refers to something else than itself")
        dataset = self._file.get(variable.name)
        self._check(dataset, variable)
        if variable.dtype == TEXT:
            array: Array = np.array([_decode(value) for value in dataset[()]], dtype=object)
            size = sum(len(text) for text in array)
        else:
            array = dataset[()].astype(variable.dtype, copy=False)
            size = array.nbytes
        self._left -= size
        return array

    def _check(self, dataset: Any, variable: Variable) -> None:
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or len(dataset.shape) != len(variable.dims):
            raise ValueError(f"expected an array with axes {variable.dims}")
        if dataset.external or dataset.is_virtual:
            raise ValueError("it refers to data outside the file")
        if variable.dtype == TEXT:
            if h5py.check_string_dtype(dataset.dtype) is None:
                raise ValueError(f"expected texts, found {dataset.dtype}")
        elif dataset.dtype.kind not in "iuf" or not np.can_cast(dataset.dtype, variable.dtype, "same_kind"):
            raise ValueError(f"expected numbers like {variable.dtype}, found {dataset.dtype}")
        layout = dataset.id.get_create_plist()
        filters = {layout.get_filter(index)[0] for index in range(layout.get_nfilters())}
        if not filters <= KNOWN_FILTERS:
            raise ValueError(f"it is packed by an unknown filter {sorted(filters - KNOWN_FILTERS)}")
        declared = max(dataset.dtype.itemsize, np.dtype("f8").itemsize)
        for length in dataset.shape:
            declared *= int(length)
        if declared > self._left:
            raise ValueError(f"it declares {declared} bytes, more than the file can hold")


def _attribute(file: h5py.File, name: str) -> str | int | float | None:
    attribute = h5py.h5a.open(file.id, name.encode("utf-8", "surrogateescape"))
    if attribute.get_space().get_simple_extent_npoints() != 1 or attribute.get_storage_size() > 65536:
        return None
    value = file.attrs[name]
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0]
    if isinstance(value, np.void):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, bytes)):
        return _decode(value)
    return value if isinstance(value, (int, float)) else None


def _decode(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
