"""What today's rules say of recordings."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from bnprobe.diagnose import Finding, diagnose
from bnprobe.errors import RunFileError
from bnprobe.store.reader import Run, read_run
from tests.faults.recording import Recording, Take


@dataclass(frozen=True)
class Diagnosed:
    """What the rules said of a recording.

    Attributes:
        take: how it was made.
        findings: ranked, the verdict first; empty where no run file came to be.
        loss: first loss, and the median of the last tenth; NaN where it was lost.
        killed_at: the step after which the process was killed, or None.
        error: what the program said if it ended badly, or why its file cannot be read, or "".
    """

    take: Take
    findings: tuple[Finding, ...]
    loss: tuple[float, float]
    killed_at: int | None = None
    error: str = ""


def judge(recording: Recording) -> Diagnosed:
    """Read a recording and diagnose it."""
    try:
        run = read_run(recording.file)
    except RunFileError as unreadable:
        return Diagnosed(recording.take, (), (float("nan"), float("nan")), recording.killed_at, recording.error or str(unreadable))
    return Diagnosed(recording.take, tuple(diagnose(run)), _ends(run), recording.killed_at, recording.error)


def judge_all(recordings: Iterable[Recording], jobs: int) -> Iterator[Diagnosed]:
    """Judge recordings in processes side by side, in the order given."""
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(judge, recordings, chunksize=8)


def _ends(run: Run) -> tuple[float, float]:
    loss = run["loss"].astype(float)
    if not len(loss):
        return float("nan"), float("nan")
    late = sorted(loss[-max(1, len(loss) // 10) :])
    return float(loss[0]), float(late[len(late) // 2])
