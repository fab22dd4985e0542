"""The file of compared techniques (``bnprobe compare``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from bnprobe.store import limits_file
from bnprobe.store.comparison_schema import DIMENSIONS, SCHEMA_NAME, SCHEMA_VERSION, VARIABLES
from bnprobe.store.limits_file import fields_of, grid_index_of, sample_columns, samples_of, trial_columns
from bnprobe.store.trial_table import Attributes, Table, holds_table, read_table, rows_along, write_table

Array = NDArray[Any]
Outcome = Literal["trains", "stuck", "diverges", "unclear", "refused", "failed"]
_OUTCOMES: tuple[Outcome, ...] = ("trains", "stuck", "diverges", "unclear", "refused", "failed")
NO_TECHNIQUE = limits_file.NO_REMEDY
#: ``length`` of a trial that the script itself ends.
WHOLE = -1
COMPARISON = Table("comparison", "compared techniques", "compare", SCHEMA_NAME, SCHEMA_VERSION, DIMENSIONS, VARIABLES)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation that the script made; the fields are the schema's ``evaluation_*`` variables."""

    step: int
    loss: float = float("nan")
    accuracy: float = float("nan")
    samples: int = 0


@dataclass(frozen=True)
class Trial(limits_file.Trial):
    """One run of the script with a technique; the fields are the schema's ``trial_*`` variables."""

    outcome: Outcome  # type: ignore[assignment]
    length: int = WHOLE
    held_out_loss: float = float("nan")
    held_out_accuracy: float = float("nan")
    held_out_step: int = -1
    held_out_samples: int = 0
    held_out_source: str = ""
    metric: float = float("nan")
    step_seconds: float = float("nan")
    peak_bytes: float = float("nan")
    device_bytes: float = float("nan")
    seeding: str = ""
    evaluations: tuple[Evaluation, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Comparison:
    """A file of compared techniques in memory."""

    path: Path
    attributes: Attributes
    trials: Sequence[Trial]
    problems: Sequence[str] = field(default_factory=list)

    @property
    def own_rate(self) -> float:
        """The script's own learning rate; NaN as long as no trial has shown it."""
        return limits_file.own_rate(self.trials)


def write_comparison(path: Path, attributes: Mapping[str, str | int | float], trials: Sequence[Trial]) -> None:
    """Write the file, whole and at once; an existing one is replaced.

    Raises:
        RunFileError: it cannot be written.
    """
    evaluations = [(index, one) for index, trial in enumerate(trials) for one in trial.evaluations]
    columns: dict[str, Iterable[Any]] = {
        **trial_columns(trials, COMPARISON),
        **sample_columns(trials, ("step", "loss")),
        "evaluation": range(len(evaluations)),
        "evaluation_trial": [index for index, _ in evaluations],
        **{f"evaluation_{name}": [getattr(one, name) for _, one in evaluations] for name in ("step", "loss", "accuracy", "samples")},
    }
    write_table(path, COMPARISON, attributes, columns)


def holds_comparison(path: Path) -> bool:
    """Whether a file says of itself that it holds compared techniques; false of all that cannot be read."""
    return holds_table(path, COMPARISON)


def read_comparison(path: Path | str) -> Comparison:
    """Read the file.

    Returns:
        Trials and attributes, with what was found damaged.

    Raises:
        RunFileError: no such file; not HDF5; damaged; of another kind; a newer schema.
    """
    path = Path(path)
    reply = read_table(path, COMPARISON)
    problems = list(reply.problems)
    rows = rows_along("trial", reply.arrays, COMPARISON, problems)
    evaluations = rows_along("evaluation", reply.arrays, COMPARISON, problems)
    trials = []
    for index, row in enumerate(rows):
        place = grid_index_of(float(row["factor"]))
        if place is None:
            problems.append(f"trial {index} lies off the grid of factors")
            continue
        values = {"grid_index": place, **fields_of(Trial, row), **samples_of(reply.arrays, index, ("step", "loss"))}
        values["outcome"] = str(row["outcome"]) if str(row["outcome"]) in _OUTCOMES else "failed"
        mine = tuple(Evaluation(**fields_of(Evaluation, one)) for one in evaluations if int(one["trial"]) == index)
        trials.append(Trial(**values, evaluations=mine))
    return Comparison(path, reply.attributes, trials, problems)
