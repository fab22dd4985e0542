"""The file of learning-rate trials (``bnprobe lr-limit``)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.limits_schema import DIMENSIONS, SCHEMA_NAME, SCHEMA_VERSION, VARIABLES
from bnprobe.store.trial_table import Attributes, Table, columns_along, holds_table, read_table, rows_along, write_table

Array = NDArray[Any]
LIMITS = Table("limits", "learning-rate trials", "lr-limit", SCHEMA_NAME, SCHEMA_VERSION, DIMENSIONS, VARIABLES)
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
    write_table(path, LIMITS, attributes, _columns(trials, predictions))


def holds_limits(path: Path) -> bool:
    """Whether a file says of itself that it holds learning-rate trials; false of all that cannot be read.

    A file that cannot be read is the business of whoever reads it next, with a message.

    Returns:
        True where the file's own attributes say so.
    """
    return holds_table(path, LIMITS)


def read_limits(path: Path | str) -> Limits:
    """Read a file of trials.

    Returns:
        The trials, predictions and attributes, with what was found damaged.

    Raises:
        RunFileError: no such file; not HDF5; damaged; not a file of trials; a newer schema.
    """
    path = Path(path)
    reply = read_table(path, LIMITS)
    problems = list(reply.problems)
    rows = rows_along("trial", reply.arrays, LIMITS, problems)
    places = [grid_index_of(float(row["factor"])) for row in rows]
    trials = [_trial(row, place, reply.arrays, i) for i, (row, place) in enumerate(zip(rows, places, strict=True)) if place is not None]
    if len(trials) < len(rows):
        problems.append(f"{len(rows) - len(trials)} trials lie off the grid of factors")
    predictions = [
        Prediction(str(row["remedy"]), str(row["estimate"]), int(row["step"]), float(row["low"]), float(row["high"]))
        for row in rows_along("prediction", reply.arrays, LIMITS, problems)
    ]
    return Limits(path, reply.attributes, trials, predictions, problems)


# -- columns and rows -------------------------------------------------------------------------------------------------


def _columns(trials: Sequence[Trial], predictions: Sequence[Prediction]) -> dict[str, Iterable[Any]]:
    samples = sample_columns(trials, ("step", "loss", "rate"))
    return {**trial_columns(trials, LIMITS), **samples, **columns_along("prediction", predictions, LIMITS, {})}


def trial_columns(trials: Sequence[Trial], table: Table) -> dict[str, Iterable[Any]]:
    """The variables along ``trial``."""
    own = own_rate(trials)
    rates = {"trial_factor": [trial.factor for trial in trials], "trial_rate": [trial.factor * own for trial in trials]}
    return columns_along("trial", trials, table, rates)


def sample_columns(trials: Sequence[Trial], names: Sequence[str]) -> dict[str, Iterable[Any]]:
    """What was seen at each step of each trial, end to end."""
    lengths = [len(trial.loss) for trial in trials]
    columns: dict[str, Iterable[Any]] = {"sample": range(sum(lengths)), "sample_trial": np.repeat(np.arange(len(trials)), lengths)}
    for name in names:
        columns[f"sample_{name}"] = np.concatenate([getattr(trial, name) for trial in trials]) if trials else np.zeros(0)
    return columns


def grid_index_of(factor: float) -> int | None:
    """Return the place of a factor on the grid; None where it is none of the grid's."""
    if not 0.0 < factor < math.inf:
        return None
    index = round(math.log(factor, GRID_RATIO))
    return index if abs(index) <= FURTHEST_INDEX and math.isclose(factor, factor_of(index), rel_tol=1e-6) else None


def _trial(row: dict[str, Any], grid_index: int, arrays: Mapping[str, Array], index: int) -> Trial:
    values = {"grid_index": grid_index, **fields_of(Trial, row), **samples_of(arrays, index, ("step", "loss", "rate"))}
    outcome = values["outcome"]
    return Trial(**{**values, "outcome": outcome if outcome in ("trains", "stuck", "diverges") else "failed"})


def fields_of(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that a row has, as the python types that they are declared to be."""
    types = {"str": str, "int": int, "float": float}
    return {one.name: types.get(str(one.type), str)(row[one.name]) for one in dataclasses.fields(kind) if one.name in row}


def samples_of(arrays: Mapping[str, Array], index: int, names: Sequence[str]) -> dict[str, Array]:
    """What was seen at each step of one trial."""
    owner = arrays.get("sample_trial", np.zeros(0, dtype="i4"))
    columns = {name: arrays.get(f"sample_{name}") for name in names}
    return {name: column[owner == index] for name, column in columns.items() if column is not None and len(column) == len(owner)}
