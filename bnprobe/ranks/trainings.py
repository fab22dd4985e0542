"""Which recordings are ranks of one training, and which are runs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.ranks.merge import merge
from bnprobe.store.reader import Run, read_run

#: Seconds between the starts of ranks of one launch: a launcher waits for all machines and starts its workers together.
LAUNCH_SECONDS = 120.0


def read_trainings(paths: Iterable[Path]) -> list[Run]:
    """Read run files, and merge those that are ranks of one training.

    Args:
        paths: run files, in any order.

    Returns:
        One run a training, in the order of its first file; a merged one holds its ranks in ``Run.ranks``.

    Raises:
        RunFileError: a file is missing or is no run file.
    """
    return trainings([read_run(path) for path in paths])


def read_training(paths: Sequence[Path], command: str) -> Run:
    """Read the run files of one training: one, or those of its ranks, merged.

    Args:
        paths: run files, at least one.
        command: what tells of one training alone.

    Returns:
        The run.

    Raises:
        RunFileError: a file is missing or is no run file.
        UsageError: they are of several trainings.
    """
    found = read_trainings(paths)
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:4])
        raise UsageError(
            f"these files are of {len(found)} trainings ({names}): {command} tells of one", "name one file, or those of its ranks together"
        )
    return found[0]


def stem_of(paths: Sequence[Path]) -> str:
    """Return a name of a training by its files: by the first; by what they share where they are ranks.

    >>> stem_of([Path("run.rank0.h5"), Path("run.rank1.h5")]), stem_of([Path("run.rank0.h5")]), stem_of([Path("a.h5"), Path("b.h5")])
    ('run', 'run.rank0', 'a')
    """
    names = [path.name.removesuffix(".h5") for path in paths]
    stems = {name.rpartition(".rank")[0] for name in names}
    return names[0] if len(names) == 1 or len(stems) > 1 or stems == {""} else stems.pop()


def trainings(runs: Sequence[Run]) -> list[Run]:
    """Merge the runs that are ranks of one training; the others are returned as they are."""
    groups: list[list[Run]] = []
    for run in runs:
        group = next((group for group in groups if all(_are_of_one_launch(run, other) for other in group)), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return [merge(sorted(group, key=rank_of)) if len(group) > 1 else group[0] for group in groups]


def rank_of(run: Run) -> int:
    """Return the number of a run's rank; 0 for a process by itself."""
    return _whole_number(run, "rank", 0)


def world_size_of(run: Run) -> int:
    """Return how many ranks trained together."""
    return max(_whole_number(run, "world_size", 1), 1)


def _are_of_one_launch(run: Run, other: Run) -> bool:
    """Whether two runs are ranks of one start: they share its id, began together, and are not the same rank."""
    mine, its = run.attributes, other.attributes
    if not mine.get("launch") or mine.get("launch") != its.get("launch") or world_size_of(run) != world_size_of(other):
        return False
    if rank_of(run) == rank_of(other) or (
        mine.get("launch_node") == its.get("launch_node") and mine.get("launcher") != its.get("launcher")
    ):
        return False
    began = [_seconds(one.attributes.get("created")) for one in (run, other)]
    return None not in began and abs(began[0] - began[1]) <= LAUNCH_SECONDS  # type: ignore[operator]


def _seconds(created: object) -> float | None:
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except (ValueError, OverflowError):
        return None


def _whole_number(run: Run, name: str, otherwise: int) -> int:
    text = str(run.attributes.get(name, otherwise))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else otherwise
