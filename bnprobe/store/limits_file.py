"""The file of learning-rate trials: written whole after every trial, so that at any moment it holds those that have ended.

It is small, so it is written under another name and moved into its place: a reader, or the command that goes on with it after a
crash, finds the old trials or the new ones and never a part.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.limits_schema import CONVENTIONS, DIMENSIONS, SCHEMA_NAME, SCHEMA_VERSION, VARIABLES
from bnprobe.store.reader import look, read_reply
from bnprobe.store.schema import TEXT

Array = NDArray[Any]
Attributes = dict[str, str | int | float]
Outcome = Literal["trains", "stuck", "diverges", "failed"]

#: Four steps of the grid are a factor of five: neighbours lie a factor of 1.495 apart.
GRID_RATIO = 5.0**0.25
#: A factor of 5^100 is none that anyone tried.
FURTHEST_INDEX = 400
NO_REMEDY = "NONE"


@dataclass(frozen=True)
class Trial:
    """One run of the script at a scaled learning rate; the fields are the schema's ``trial_*`` variables."""

    remedy: str
    seed: int
    grid_index: int
    outcome: Outcome
    stuck_by: str = ""
    reason: str = ""
    layer: str = ""
    layer_step: int = -1
    end_step: int = -1
    end_rate: float = float("nan")
    steps: int = 0
    first_loss: float = float("nan")
    final_loss: float = float("nan")
    peak_rate: float = float("nan")
    remedy_acts: str = ""
    protection: str = ""
    seconds: float = 0.0
    output: str = ""
    step: Array = field(default_factory=lambda: np.zeros(0, dtype="i8"), compare=False)
    loss: Array = field(default_factory=lambda: np.zeros(0), compare=False)
    rate: Array = field(default_factory=lambda: np.zeros(0), compare=False)

    @property
    def factor(self) -> float:
        """Factor on every learning rate of the script."""
        return factor_of(self.grid_index)


@dataclass(frozen=True)
class Prediction:
    """A limit that a trial's own recording predicts; the fields are the schema's ``prediction_*`` variables."""

    remedy: str
    estimate: str
    step: int
    low: float
    high: float


@dataclass(frozen=True)
class Limits:
    """A file of trials in memory."""

    path: Path
    attributes: Attributes
    trials: list[Trial]
    predictions: list[Prediction]
    problems: list[str] = field(default_factory=list)

    @property
    def own_rate(self) -> float:
        """The script's own learning rate; NaN as long as no trial has shown it."""
        return own_rate(self.trials)


def factor_of(grid_index: int) -> float:
    """Return the factor on the learning rates at a place of the grid.

    >>> factor_of(4), factor_of(-4), factor_of(0)
    (5.0, 0.2, 1.0)
    """
    whole, part = divmod(grid_index, 4)
    return (5.0**whole if whole >= 0 else 1.0 / 5.0**-whole) * GRID_RATIO**part


def own_rate(trials: Sequence[Trial]) -> float:
    """Return the largest learning rate that the script itself sets within the steps of a trial; NaN if none is known.

    A trial that diverges during a warm-up has not seen all of it; one at a lower rate has.
    """
    known = [trial.peak_rate / trial.factor for trial in trials if np.isfinite(trial.peak_rate)]
    return max(known, default=float("nan"))


def write_limits(
    path: Path, attributes: Mapping[str, str | int | float], trials: Sequence[Trial], predictions: Sequence[Prediction]
) -> None:
    """Write a file of trials, whole and at once; an existing one is replaced.

    Raises:
        RunFileError: it cannot be written.
    """
    import h5py

    columns = _columns(trials, predictions)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with h5py.File(draft, "w", libver=("earliest", "v110")) as file:
            file.attrs["Conventions"] = CONVENTIONS
            for name, value in attributes.items():
                file.attrs[name] = _clean(value) if isinstance(value, str) else value
            for variable in VARIABLES.values():
                dtype = h5py.string_dtype() if variable.dtype == TEXT else variable.dtype
                dataset = file.create_dataset(variable.name, data=columns[variable.name], dtype=dtype)
                for name in ("units", "long_name", "formula", "source"):
                    dataset.attrs[name] = getattr(variable, name)
            for name in DIMENSIONS:
                file[name].make_scale(name)
            for variable in VARIABLES.values():
                if variable.name not in DIMENSIONS:
                    file[variable.name].dims[0].attach_scale(file[variable.dims[0]])
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise RunFileError(f"cannot write {path}: {error.strerror or error}", "choose another place with -o") from None


def holds_limits(path: Path) -> bool:
    """Whether a file says of itself that it holds learning-rate trials; false of all that cannot be read.

    A file that cannot be read is the business of whoever reads it next, with a message.

    Returns:
        True where the file's own attributes say so.
    """
    with contextlib.suppress(RunFileError):
        reply = read_reply(path, look(path).st_size, "limits")
        return _conventions(reply.attributes)[0] == SCHEMA_NAME
    return False


def read_limits(path: Path | str) -> Limits:
    """Read a file of trials.

    Returns:
        The trials, predictions and attributes, with what was found damaged.

    Raises:
        RunFileError: no such file; not HDF5; damaged; not a file of trials; a newer schema.
    """
    path = Path(path)
    reply = read_reply(path, look(path).st_size, "limits")
    name, version = _conventions(reply.attributes)
    if name != SCHEMA_NAME:
        raise RunFileError(f"{path} is not a file of learning-rate trials", "name a file written by `bnprobe lr-limit`")
    if version > SCHEMA_VERSION:
        raise RunFileError(f"{path} has schema {name}-{version}; this bnprobe reads up to {CONVENTIONS}", "pip install --upgrade bnprobe")
    problems = list(reply.problems)
    rows = _rows(reply.arrays, "trial", problems)
    places = [_grid_index(float(row["factor"])) for row in rows]
    trials = [_trial(row, place, reply.arrays, i) for i, (row, place) in enumerate(zip(rows, places, strict=True)) if place is not None]
    if len(trials) < len(rows):
        problems.append(f"{len(rows) - len(trials)} trials lie off the grid of factors")
    predictions = [
        Prediction(str(row["remedy"]), str(row["estimate"]), int(row["step"]), float(row["low"]), float(row["high"]))
        for row in _rows(reply.arrays, "prediction", problems)
    ]
    return Limits(path, reply.attributes, trials, predictions, problems)


# -- columns and rows -------------------------------------------------------------------------------------------------


def _columns(trials: Sequence[Trial], predictions: Sequence[Prediction]) -> dict[str, Any]:
    own = own_rate(trials)
    lengths = [len(trial.loss) for trial in trials]
    columns: dict[str, Any] = {
        "trial": range(len(trials)),
        "trial_factor": [trial.factor for trial in trials],
        "trial_rate": [trial.factor * own for trial in trials],
        "sample": range(sum(lengths)),
        "sample_trial": np.repeat(np.arange(len(trials)), lengths),
        "prediction": range(len(predictions)),
    }
    for name in ("step", "loss", "rate"):
        columns[f"sample_{name}"] = np.concatenate([getattr(trial, name) for trial in trials]) if trials else np.zeros(0)
    for kind, rows in (("trial", trials), ("prediction", predictions)):
        for name in VARIABLES:
            if name.startswith(f"{kind}_") and name not in columns:
                columns[name] = [getattr(row, name.removeprefix(f"{kind}_")) for row in rows]
    return {name: _column(values, name) for name, values in columns.items()}


def _column(values: Any, name: str) -> Array:
    if VARIABLES[name].dtype == TEXT:
        return np.array([_clean(str(value)) for value in values], dtype=object)
    return np.array(list(values), dtype=VARIABLES[name].dtype)


def _rows(arrays: Mapping[str, Array], kind: str, problems: list[str]) -> list[dict[str, Any]]:
    """Return the rows along an axis as dictionaries without the prefix; none where a column is missing or of another length."""
    names = [name for name in VARIABLES if VARIABLES[name].dims == (kind,) and name != kind]
    found = {name: arrays[name] for name in names if name in arrays}
    lengths = {len(array) for array in found.values()}
    if len(found) < len(names) or len(lengths) > 1:
        if found and len(lengths) > 1:
            problems.append(f"the variables along {kind} have different lengths {sorted(lengths)}")
        elif len(found) < len(names):
            problems.append(f"{', '.join(sorted(set(names) - set(found)))} could not be read")
        return []
    return [{name.removeprefix(f"{kind}_"): found[name][i] for name in names} for i in range(lengths.pop() if lengths else 0)]


def _grid_index(factor: float) -> int | None:
    """Return the place of a factor on the grid; None where it is none of the grid's."""
    if not 0.0 < factor < math.inf:
        return None
    index = round(math.log(factor, GRID_RATIO))
    return index if abs(index) <= FURTHEST_INDEX and math.isclose(factor, factor_of(index), rel_tol=1e-6) else None


def _trial(row: dict[str, Any], grid_index: int, arrays: Mapping[str, Array], index: int) -> Trial:
    values: dict[str, Any] = {"grid_index": grid_index}
    for one in dataclasses.fields(Trial):
        if one.name in row:
            kind = {"str": str, "int": int, "float": float}.get(str(one.type), str)
            values[one.name] = kind(row[one.name])
    owner = arrays.get("sample_trial", np.zeros(0, dtype="i4"))
    for name in ("step", "loss", "rate"):
        column = arrays.get(f"sample_{name}")
        if column is not None and len(column) == len(owner):
            values[name] = column[owner == index]
    outcome = values["outcome"]
    return Trial(**{**values, "outcome": outcome if outcome in ("trains", "stuck", "diverges") else "failed"})


def _conventions(attributes: Attributes) -> tuple[str, int]:
    name, _, version = str(attributes.get("Conventions", "")).rpartition("-")
    return name, int(version[:9]) if version.isascii() and version.isdecimal() else -1


def _clean(text: str) -> str:
    """A text that HDF5 can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
