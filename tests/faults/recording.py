"""Recordings of the fault library: made once, kept, and judged by today's rules as often as one likes.

A recording is kept in a small run file with a note beside it: how the program ended, and a fingerprint of what made it (the program, the
recorder, torch). Rules are no part of the fingerprint, so a change of a rule is judged on what is kept; a change of the recorder is not.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import queue
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py

from bnprobe.analyse.stability import divergence
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests.faults.program import HEALTHY, HERE, Program
from tests.observe.program_server import Job, ProgramServer

ROOT = HERE.parents[1]
#: Where recordings are kept; git ignores it.
KEPT = Path(os.environ.get("BNPROBE_RECORDINGS", ROOT / ".recordings"))
#: What judges a recording, or shows it, has no part in making it.
JUDGES = ("analyse", "diagnose", "report", "cli", "experiments")
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
        kill: whether to kill the process one step after the training has diverged, if it does.
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
class Recording:
    """A take that was recorded.

    Attributes:
        take: how it was made.
        file: the run file; absent where none came to be.
        killed_at: the step after which the process was killed, or None.
        error: what the program said if it ended badly, or "".
    """

    take: Take
    file: Path
    killed_at: int | None = None
    error: str = ""


def library(programs: Iterable[Program]) -> list[Take]:
    """Every program with its fault and without it, healthy ones as they are."""
    return [Take(program, fixed) for program in programs for fixed in ((False,) if program.cause == HEALTHY else (False, True))]


def kept(take: Take, folder: Path = KEPT, *, stale: bool = False) -> Recording | None:
    """The recording of a take, if it is in the folder.

    Args:
        take: what was recorded.
        folder: where recordings are kept.
        stale: whether one will do that another recorder made, or another version of the program.
    """
    file = folder / f"{take.name}.h5"
    try:
        note = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if note["fingerprint"] != fingerprint(take.program) and not stale:
        return None
    return Recording(take, file, note["killed_at"], note["error"])


def recorded(server: ProgramServer, take: Take, folder: Path = KEPT) -> Recording:
    """The recording of a take, made now if it is not in the folder; one that is to be killed is first run whole, to learn when."""
    if found := kept(take, folder):
        return found
    if not take.kill:
        return _record(server, take, folder)
    whole = recorded(server, replace(take, kill=False), folder)
    lost = None
    if whole.file.exists():
        lost = divergence(read_run(whole.file))
    return whole if lost is None else _record(server, take, folder, lost.step + 1)


def record_missing(takes: Sequence[Take], jobs: int, folder: Path = KEPT) -> None:
    """Record side by side those takes of which the folder has no recording, or one of another recorder; says on stderr how far it is."""
    new = [take for take in takes if kept(take, folder) is None]
    if not new:
        return
    servers: queue.SimpleQueue[ProgramServer] = queue.SimpleQueue()
    started = [ProgramServer() for _ in range(min(jobs, len(new)))]
    for server in started:
        servers.put(server)

    def one(take: Take) -> None:
        server = servers.get()
        try:
            recorded(server, take, folder)
        finally:
            servers.put(server)

    try:
        with ThreadPoolExecutor(len(started)) as pool:
            for done, _ in enumerate(pool.map(one, new), 1):
                print(f"\rrecorded {done} of {len(new)}; {len(takes) - len(new)} were kept", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
    finally:
        for server in started:
            server.close()


def fingerprint(program: Program) -> str:
    """What tells a recording of this program from one that another recorder made, or another version of the program."""
    return hashlib.sha256(_recorder_fingerprint() + program.path.read_bytes()).hexdigest()


@functools.cache
def _recorder_fingerprint() -> bytes:
    package = ROOT / "bnprobe"
    parts = [folder for folder in sorted(package.iterdir()) if folder.is_dir() and folder.name not in JUDGES]
    sources = [path for part in parts for path in sorted(part.rglob("*")) if path.suffix in (".py", ".c")]
    data = [*sorted(HERE.glob("*/digits.py")), *sorted((ROOT / "sample_runs").glob("digits*"))]
    found = hashlib.sha256(f"torch {version('torch')}".encode())
    for path in (*sources, *data, HERE.parent / "observe" / "program_server.py"):
        found.update(path.read_bytes())
    return found.digest()


def _record(server: ProgramServer, take: Take, folder: Path, kill_at: int | None = None) -> Recording:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{take.name}.h5"
    file.with_suffix(".json").unlink(missing_ok=True)
    file.unlink(missing_ok=True)
    arguments = ["--seed", str(take.seed), *(["--fixed"] if take.fixed else [])]
    options = {"every": take.every, "budget": take.budget}
    with tempfile.TemporaryDirectory(prefix="bnprobe-fault-") as scratch:
        work, fresh = Path(scratch) / "work", Path(scratch) / "run.h5"
        work.mkdir()
        [outcome] = server.run(
            Job(str(take.program.path), str(work), str(fresh), options, arguments, kill_at=kill_at), timeout=TIMEOUT_SECONDS
        )
        said = outcome.stderr.strip().splitlines()
        error = f"status {outcome.status}: {said[-1] if said else ''}" if outcome.status and kill_at is None else ""
        try:
            if kill_at is None:
                shrink(fresh, file)
            else:
                shutil.copyfile(fresh, file)  # as it was left, the changes that were under way with it
        except (OSError, RunFileError) as unreadable:
            error = error or str(unreadable)
    note = {"fingerprint": fingerprint(take.program), "killed_at": kill_at, "error": error}
    file.with_suffix(".json").write_text(json.dumps(note), encoding="utf-8")
    return Recording(take, file, kill_at, error)


def shrink(source: Path, target: Path) -> None:
    """Write a run file anew with all its numbers and without what makes it large: room to grow, and descriptions of its variables.

    Raises:
        OSError: the source is no HDF5 file, or absent.
    """
    with h5py.File(source) as full, h5py.File(target, "w", libver="latest") as small:
        small.attrs.update(full.attrs)

        def copy(name: str, part: Any) -> None:
            if isinstance(part, h5py.Dataset):
                packed = {"compression": "gzip", "shuffle": True} if part.nbytes > 256 else {}
                small.create_dataset(name, data=part[()], dtype=part.dtype, **packed)

        full.visititems(copy)
