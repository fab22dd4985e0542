"""The trials that a results file holds already: what a command goes on with, if they were made under the same conditions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from bnprobe.errors import UsageError
from bnprobe.launch.output import check_output
from bnprobe.launch.target import Target


class _Trials(Protocol):
    """What a results file of trials is read into."""

    @property
    def attributes(self) -> Mapping[str, str | int | float]: ...

    @property
    def problems(self) -> Sequence[str]: ...


Trials = TypeVar("Trials", bound=_Trials)
#: What every trial of a file has in common, by attribute.
OF_SCRIPT = {"argv": "the command line of the script", "cwd": "the folder", "steps": "--steps", "script_digest": "the script itself"}


def script_digest(target: Target) -> str:
    """Return the SHA-256 of a script, "" for a module or a folder."""
    if target.is_module or not Path(target.path).is_file():
        return ""
    return hashlib.sha256(Path(target.path).read_bytes()).hexdigest()


def earlier_trials(
    file: Path,
    attributes: Mapping[str, str | int | float],
    fresh: bool,
    told: Mapping[str, str],
    holds: Callable[[Path], bool],
    read: Callable[[Path], Trials],
    what: str,
) -> Trials | None:
    """Return what the file holds already, if it belongs to the same script under the same conditions.

    Args:
        file: the results file.
        attributes: those of the trials that are asked for now.
        fresh: whether what it holds is to be made again.
        told: what has to be equal, with what a person calls it.
        holds: whether a file is one of these results.
        read: reads it.
        what: what such a file holds, in words.

    Raises:
        UsageError: it belongs to another, is damaged, or cannot be written.
    """
    if not file.exists():
        check_output(file, force=False)
        return None
    if not holds(file):
        raise UsageError(f"'{file}' exists and holds no {what}", "choose another name with -o")
    if fresh:
        return None
    found = read(file)
    if found.problems:
        raise UsageError(f"'{file}' is damaged: {found.problems[0]}", "--fresh makes its trials again, or choose another name with -o")
    for name, called in told.items():
        if found.attributes.get(name) != attributes[name]:
            raise UsageError(f"'{file}' holds trials that differ in {called}", "--fresh replaces them, or choose another name with -o")
    return found
