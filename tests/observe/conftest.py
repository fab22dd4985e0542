from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bnprobe.store.reader import Run, read_run
from tests.observe.program_server import Job, Outcome, ProgramServer

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
#: Nothing is thinned: what a program's test expects must not depend on how busy the machine is.
NO_LIMIT = 1e9


@dataclass(frozen=True)
class Comparison:
    """One program, run plainly and recorded."""

    plain: Outcome
    recorded: Outcome
    file: Path

    @property
    def run(self) -> Run:
        return read_run(self.file)


@pytest.fixture(scope="session")
def server() -> Iterator[ProgramServer]:
    server = ProgramServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def compare(server: ProgramServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Comparison]:
    """Run a program both ways, once a session for the same arguments: ``compare("checkpoint plain", strict=True)``.

    What one worker ran the others read: a program is run plainly once, whatever it is compared with, and recorded once in each way.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "programs"

    def run(program: str, *, compiled: bool = True, known_calls: bool = True, **options: Any) -> Comparison:
        name, *arguments = program.split()
        script, way = str(PROGRAMS / f"{name}.py"), [f"{option} {value}" for option, value in sorted(options.items())]
        folder = shared / program.replace(" ", "-")
        kernels = ("compiled" if known_calls else "anew") if compiled else "torch"
        unlike = folder / "-".join([*way, kernels]).replace(" ", "-")
        plain = _once(server, folder / "plain", Job(script, "", arguments=arguments))
        environment = {**({} if compiled else {"BNPROBE_FUSED": "0"}), **({} if known_calls else {"BNPROBE_KNOWN_CALLS": "0"})}
        recorded = _once(server, unlike, Job(script, "", "run.h5", {"budget": NO_LIMIT, **options}, arguments, environment))
        return Comparison(plain, recorded, unlike / "run.h5")

    return run


def _once(server: ProgramServer, folder: Path, job: Job) -> Outcome:
    """Run a job with its files in a folder, if no worker has done so yet.

    Args:
        server: runs it.
        folder: the run file comes to lie there; below it, the working directory of the program.
        job: what to run, its output named within the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / "outcome.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not noted.exists():
            (folder / "work").mkdir()
            output = None if job.output is None else str(folder / job.output)
            [outcome] = server.run(replace(job, folder=str(folder / "work"), output=output))
            noted.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    return Outcome(**json.loads(noted.read_text(encoding="utf-8")))
