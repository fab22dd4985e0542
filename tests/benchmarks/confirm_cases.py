"""The programs that ``tests.benchmarks.confirm`` puts to the test, and which verdicts on them are right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY

REPORTED = Path(__file__).parents[1] / "reported"


@dataclass(frozen=True)
class Case:
    """One program.

    Attributes:
        name: under which its recording is kept.
        path: the script.
        group: what it is listed under: its cause, "healthy", or where it comes from.
        right: causes that name its fault; none where no cause does, or where it is healthy.
        partly: causes that name half of it: they count as neither right nor wrong.
    """

    name: str
    path: Path
    group: str
    right: tuple[str, ...]
    partly: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        return self.group == HEALTHY


def of_library(per_cause: int, healthy: int, only: Collection[str] = ()) -> list[Case]:
    """The first programs of each cause, tuned ones before held-out ones; one of each, then the second of each, and so on.

    Where the library has fewer of a cause, those that people reported come in.
    """
    taken: Counter[str] = Counter()
    rounds: list[tuple[int, Case]] = []
    for program in sorted(PROGRAMS, key=lambda one: one.part != "tuned"):
        most = healthy if program.cause == HEALTHY else per_cause
        if taken[program.cause] < most and (not only or program.cause in only):
            taken[program.cause] += 1
            right = () if program.cause == HEALTHY else (program.cause,)
            rounds.append((taken[program.cause], Case(program.name, program.path, program.cause, right)))
    for case in of_reported():
        cause = next(iter(case.right), "")
        if 0 < taken[cause] < per_cause:
            taken[cause] += 1
            rounds.append((taken[cause], case))
    return [case for _, case in sorted(rounds, key=lambda one: one[0])]


def of_reported() -> Iterator[Case]:
    """The faults that people reported."""
    for entry in json.loads((REPORTED / "manifest.json").read_text(encoding="utf-8")):
        path = REPORTED / entry["file"]
        yield Case(f"reported-{path.stem}", path, "reported", tuple(entry["named"]), tuple(entry["partly"]))


def of_folder(folder: Path) -> Iterator[Case]:
    """Programs of another folder, whose ``manifest.json`` lists for each its ``file`` and the causes to ``accept``."""
    for entry in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        path = (folder / entry["file"]).absolute()
        yield Case(f"{folder.name}-{path.stem}", path, folder.name, tuple(entry["accept"]))
