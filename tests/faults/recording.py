"""Record programs of the fault library, several at a time, each in a process forked from one that has imported torch."""

from __future__ import annotations

import queue
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bnprobe.analyse.stability import divergence
from bnprobe.diagnose import Finding, diagnose
from bnprobe.errors import RunFileError
from bnprobe.store.reader import Run, read_run
from tests.faults.program import HEALTHY, Program
from tests.observe.program_server import Job, ProgramServer

#: Nothing is thinned: a verdict must not depend on how busy the machine is.
NO_LIMIT = 1e9
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class Take:
    """One recording to make.

    Attributes:
        program: what to run.
        fixed: whether without its fault.
        seed: of the program's random numbers.
        every: measure every n-th step.
        kill: whether to kill the process one step after the loss is lost, if it is.
        budget: share of the time that measuring may take.
    """

    program: Program
    fixed: bool = False
    seed: int = 0
    every: int = 1
    kill: bool = False
    budget: float = NO_LIMIT

    @property
    def name(self) -> str:
        """What tells it from all others."""
        fixed, kill = "-fixed" if self.fixed else "", "-kill" if self.kill else ""
        return f"{self.program.name}{fixed}-seed{self.seed}-every{self.every}{kill}-budget{self.budget:g}"

    @property
    def expected(self) -> str:
        """The id that the verdict should be."""
        return HEALTHY if self.fixed else self.program.cause


@dataclass(frozen=True)
class Diagnosed:
    """What a recording said.

    Attributes:
        take: how it was made.
        findings: ranked, the verdict first; empty where no run file came to be.
        loss: first loss, and the median of the last tenth; NaN where it was lost.
        killed_at: the step after which the process was killed, or None.
        error: what the program said if it ended badly, or "".
    """

    take: Take
    findings: tuple[Finding, ...]
    loss: tuple[float, float]
    killed_at: int | None = None
    error: str = ""


@contextmanager
def recorder(jobs: int, keep: Path | None = None) -> Iterator[Callable[[Iterable[Take]], Iterator[Diagnosed]]]:
    """Start ``jobs`` servers; gives a function that records takes side by side and diagnoses them, in the order given.

    Args:
        jobs: how many at a time.
        keep: a folder for the run files; what lies there already is diagnosed as it is and not recorded again.
    """
    servers: queue.SimpleQueue[ProgramServer] = queue.SimpleQueue()
    started = [ProgramServer() for _ in range(jobs)]
    for server in started:
        servers.put(server)

    def one(take: Take) -> Diagnosed:
        server = servers.get()
        try:
            if keep is not None:
                return diagnose_one(server, take, keep)
            with tempfile.TemporaryDirectory(prefix="bnprobe-fault-") as folder:
                return diagnose_one(server, take, Path(folder))
        finally:
            servers.put(server)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            yield lambda takes: pool.map(one, takes)
    finally:
        for server in started:
            server.close()


def diagnose_one(server: ProgramServer, take: Take, folder: Path) -> Diagnosed:
    """Record one take below a folder and diagnose it; one that is to be killed is first run whole, to learn when.

    What a folder holds already is not recorded again.
    """
    whole, error = _run(server, take, folder / replace(take, kill=False).name / "whole", None)
    lost = divergence(whole) if whole is not None and take.kill else None
    if whole is None or lost is None:
        return _diagnosed(take, whole, None, error)
    cut, error = _run(server, take, folder / take.name / "cut", lost.step + 1)
    return _diagnosed(take, cut, lost.step + 1, error)


def record_file(server: ProgramServer, take: Take, folder: Path, kill_at: int | None = None) -> tuple[Path, str]:
    """Record one take, with ``folder`` as its working folder; the run file beside it, and what was said if it ended badly."""
    file, noted = folder.with_suffix(".h5"), folder.with_suffix(".error")
    if noted.exists():
        return file, noted.read_text(encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted recording left
    file.unlink(missing_ok=True)
    folder.mkdir(parents=True)
    arguments = ["--seed", str(take.seed), *(["--fixed"] if take.fixed else [])]
    options = {"every": take.every, "budget": take.budget}
    job = Job(str(take.program.path), str(folder), str(file), options, arguments, kill_at=kill_at)
    [outcome] = server.run(job, timeout=TIMEOUT_SECONDS)
    said = outcome.stderr.strip().splitlines()
    error = f"status {outcome.status}: {said[-1] if said else ''}" if outcome.status and kill_at is None else ""
    noted.write_text(error, encoding="utf-8")
    return file, error


def _run(server: ProgramServer, take: Take, folder: Path, kill_at: int | None) -> tuple[Run | None, str]:
    file, error = record_file(server, take, folder, kill_at)
    try:
        return read_run(file), error
    except RunFileError as unreadable:
        return None, error or str(unreadable)


def _diagnosed(take: Take, run: Run | None, killed_at: int | None, error: str) -> Diagnosed:
    if run is None:
        return Diagnosed(take, (), (float("nan"), float("nan")), killed_at, error)
    loss = run["loss"].astype(float)
    late = sorted(loss[-max(1, len(loss) // 10) :])
    ends = (float(loss[0]), float(late[len(late) // 2])) if len(loss) else (float("nan"), float("nan"))
    return Diagnosed(take, tuple(diagnose(run)), ends, killed_at, error)
