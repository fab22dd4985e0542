"""Files of trials: HDF5 with the conventions of a run file, written whole after every trial.

They are small, so they are written under another name and moved into place: a reader, or the command that goes on with one after a crash,
finds the old trials or the new ones and never a part.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.quarantine import Reply
from bnprobe.store.reader import look, read_reply
from bnprobe.store.schema import TEXT, Variable

Array = NDArray[Any]
Attributes = dict[str, str | int | float]


@dataclass(frozen=True)
class Table:
    """A kind of file of trials.

    Attributes:
        name: what the reading process calls it.
        what: what it holds, in words.
        command: that writes it.
        schema: name of its conventions.
        version: of them.
        dimensions: its axes, with their meaning.
        variables: by name; those along an axis begin with its name.
    """

    name: str
    what: str
    command: str
    schema: str
    version: int
    dimensions: Mapping[str, str]
    variables: Mapping[str, Variable]

    @property
    def conventions(self) -> str:
        """What a file says that it follows."""
        return f"{self.schema}-{self.version}"


def write_table(path: Path, table: Table, attributes: Mapping[str, str | int | float], columns: Mapping[str, Iterable[Any]]) -> None:
    """Write a file, whole and at once; an existing one is replaced.

    Args:
        path: of the file.
        table: its kind.
        attributes: of its root.
        columns: the values of every variable.

    Raises:
        RunFileError: it cannot be written.
    """
    import h5py

    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with h5py.File(draft, "w", libver=("earliest", "v110")) as file:
            file.attrs["Conventions"] = table.conventions
            for name, value in attributes.items():
                file.attrs[name] = _clean(value) if isinstance(value, str) else value
            for variable in table.variables.values():
                dtype = h5py.string_dtype() if variable.dtype == TEXT else variable.dtype
                dataset = file.create_dataset(variable.name, data=_column(columns[variable.name], variable), dtype=dtype)
                for name in ("units", "long_name", "formula", "source"):
                    dataset.attrs[name] = getattr(variable, name)
            for name in table.dimensions:
                file[name].make_scale(name)
            for variable in table.variables.values():
                if variable.name not in table.dimensions:
                    file[variable.name].dims[0].attach_scale(file[variable.dims[0]])
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise RunFileError(f"cannot write {path}: {error.strerror or error}", "choose another place with -o") from None


def columns_along(axis: str, rows: Sequence[Any], table: Table, known: Mapping[str, Iterable[Any]]) -> dict[str, Iterable[Any]]:
    """Return the variables along an axis: those given, and of the others the attribute of each row that is called so without the prefix."""
    columns = {axis: range(len(rows)), **known}
    for variable in table.variables.values():
        if variable.dims == (axis,) and variable.name not in columns:
            columns[variable.name] = [getattr(row, variable.name.removeprefix(f"{axis}_")) for row in rows]
    return columns


def holds_table(path: Path, table: Table) -> bool:
    """Whether a file says of itself that it is of a kind; false of all that cannot be read.

    A file that cannot be read is the business of whoever reads it next, with a message.

    Returns:
        True where the file's own attributes say so.
    """
    with contextlib.suppress(RunFileError):
        reply = read_reply(path, look(path).st_size, table.name)
        return _conventions(reply.attributes)[0] == table.schema
    return False


def read_table(path: Path, table: Table) -> Reply:
    """Read a file.

    Returns:
        Its attributes and arrays, with what was found damaged.

    Raises:
        RunFileError: no such file; not HDF5; damaged; of another kind; a newer schema.
    """
    reply = read_reply(path, look(path).st_size, table.name)
    name, version = _conventions(reply.attributes)
    if name != table.schema:
        raise RunFileError(f"{path} is not a file of {table.what}", f"name a file written by `bnprobe {table.command}`")
    if version > table.version:
        raise RunFileError(
            f"{path} has schema {name}-{version}; this bnprobe reads up to {table.conventions}", "pip install --upgrade bnprobe"
        )
    return reply


def rows_along(axis: str, arrays: Mapping[str, Array], table: Table, problems: list[str]) -> list[dict[str, Any]]:
    """Return the rows along an axis as dictionaries without the prefix; none where a column is missing or of another length."""
    names = [name for name, variable in table.variables.items() if variable.dims == (axis,) and name != axis]
    found = {name: arrays[name] for name in names if name in arrays}
    lengths = {len(array) for array in found.values()}
    if len(found) < len(names) or len(lengths) > 1:
        if found and len(lengths) > 1:
            problems.append(f"the variables along {axis} have different lengths {sorted(lengths)}")
        elif len(found) < len(names):
            problems.append(f"{', '.join(sorted(set(names) - set(found)))} could not be read")
        return []
    return [{name.removeprefix(f"{axis}_"): found[name][i] for name in names} for i in range(lengths.pop() if lengths else 0)]


def _column(values: Iterable[Any], variable: Variable) -> Array:
    if variable.dtype == TEXT:
        return np.array([_clean(str(value)) for value in values], dtype=object)
    return np.array(list(values), dtype=variable.dtype)


def _conventions(attributes: Attributes) -> tuple[str, int]:
    name, _, version = str(attributes.get("Conventions", "")).rpartition("-")
    return name, int(version[:9]) if version.isascii() and version.isdecimal() else -1


def _clean(text: str) -> str:
    """A text that HDF5 can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
