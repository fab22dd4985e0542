"""The file of trials beside a run file: ``run.confirm.json`` for ``run.h5``, written whole after every trial.

It says which recording it belongs to; a new recording under the same name does not inherit what was found out about the old one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bnprobe.errors import RunFileError
from bnprobe.store.reader import Run

SCHEMA = "bnprobe-confirm-1"
Status = Literal["ran", "refused", "failed"]
Word = Literal["confirmed", "refuted", "undecided"]


@dataclass(frozen=True)
class Trial:
    """One run of the script with one thing changed.

    Attributes:
        name: what was changed; "as it is" and "as it is, again" for nothing.
        status: ran to an outcome; refused, for there was nothing to change; or failed, without an outcome.
        why: of one that was refused or failed; else the outcome's reason.
        outcome: what became of the training, in the words of the diagnosis; "" without an outcome.
        level: 0 diverged or learned nothing, 1 learned poorly, 2 learned; -1 without an outcome.
        acts: what was changed, in words.
        steps: optimizer steps taken.
        seconds: that it took.
        start: loss that it began from; NaN where there was none.
        late: median of the last losses.
        noise: standard error of ``late``.
        held_out: loss of the script's last evaluations; NaN where it made none.
        missed: share of their labels that were not found; NaN where they have none.
        samples: of the last evaluation; 0 where it is not known.
        leap: step at which the loss leapt furthest; -1 where it never did.
        findings: ids of what its own diagnosis found, warnings and errors.
        loss: of each step; NaN where none was seen.
        is_ruled_out: of one that was refused: what it would take away was looked for, and is not there.
        is_no_choice: what it took away cannot have been meant by the script.
    """

    name: str
    status: Status
    why: str = ""
    outcome: str = ""
    level: int = -1
    acts: str = ""
    steps: int = 0
    seconds: float = 0.0
    start: float = math.nan
    late: float = math.nan
    noise: float = 0.0
    held_out: float = math.nan
    missed: float = math.nan
    samples: int = 0
    leap: int = -1
    findings: tuple[str, ...] = ()
    loss: tuple[float, ...] = ()
    is_ruled_out: bool = False
    is_no_choice: bool = False


@dataclass(frozen=True)
class Judgement:
    """What the trials say of one cause.

    Attributes:
        cause: its id.
        word: confirmed, refuted or undecided.
        reason: a sentence with what was seen.
        trial: name of the trial that decided; "" where none did.
    """

    cause: str
    word: Word
    reason: str
    trial: str = ""


@dataclass(frozen=True)
class Confirmation:
    """The trials of a recording, and what they say.

    Attributes:
        key: which recording, script and steps they belong to.
        trials: in the order in which they ended.
        judgements: of each cause that was put to the test, the verdict first; empty while trials are missing.
    """

    key: Mapping[str, str | int]
    trials: Sequence[Trial] = ()
    judgements: Sequence[Judgement] = field(default_factory=tuple)


def confirm_file_of(run: Path) -> Path:
    """Return where the trials of a run file are kept.

    >>> confirm_file_of(Path("runs/a.h5")).name
    'a.confirm.json'
    """
    return run.with_name(f"{run.name.removesuffix('.h5')}.confirm.json")


def recording_key(run: Run) -> dict[str, str | int]:
    """Return what tells a recording from another one of the same name."""
    return {
        "created": str(run.attributes.get("created", "")),
        "pid": str(run.attributes.get("pid", "")),
        "recorded_steps": run.trained_steps,
    }


def confirmation_beside(run: Run) -> Confirmation | None:
    """Return what was found out about a recording; None where nothing was, or about another one, or what cannot be read."""
    with contextlib.suppress(RunFileError, OSError):
        found = read_confirmation(confirm_file_of(Path(run.path)))
        if all(found.key.get(name) == value for name, value in recording_key(run).items()):
            return found
    return None


def write_confirmation(path: Path, confirmation: Confirmation) -> None:
    """Write the file, whole and at once; an existing one is replaced.

    Raises:
        RunFileError: it cannot be written.
    """
    document = {
        "schema": SCHEMA,
        "key": dict(confirmation.key),
        "judgements": [dataclasses.asdict(one) for one in confirmation.judgements],
        "trials": [trial_document(one) for one in confirmation.trials],
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise RunFileError(
            f"cannot write {path}: {error.strerror or error}", "copy the run file to a folder that you can write to"
        ) from None


def read_confirmation(path: Path) -> Confirmation:
    """Read the file.

    Returns:
        What it holds.

    Raises:
        RunFileError: there is none, or it is damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise RunFileError(f"{path} has schema {document['schema']!r}, expected {SCHEMA}", "remove it, or bnprobe confirm --fresh")
        return Confirmation(
            key=dict(document["key"]),
            trials=tuple(_trial(one) for one in document["trials"]),
            judgements=tuple(Judgement(**one) for one in document["judgements"]),
        )
    except OSError as error:
        raise RunFileError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFileError(f"{path} is damaged ({error!r})", "remove it, or bnprobe confirm --fresh") from None


def trial_document(trial: Trial) -> dict[str, Any]:
    """A trial ready for JSON, in which numbers that are not finite are texts."""
    return {name: _plain(value) for name, value in dataclasses.asdict(trial).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _trial(document: Mapping[str, Any]) -> Trial:
    values = dict(document)
    for name in ("start", "late", "noise", "seconds", "held_out", "missed"):
        values[name] = float(values.get(name, math.nan))
    values["findings"] = tuple(values["findings"])
    values["loss"] = tuple(float(one) for one in values["loss"])
    return Trial(**values)
