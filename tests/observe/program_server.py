"""A process that imports torch once and forks a child for every program: a program then costs a fraction of a second.

It runs no operation before it forks, so that a child starts with torch as freshly imported. A child runs its program through
``bnprobe.launch``, recorded or plainly, and ends as python does: threads are joined, exit functions run. Only the teardown of all of
torch's modules, which would take longer than the program, is left out.

Protocol: one JSON line in, ``{"jobs": [...], "timeout": seconds}``; one JSON line out, a list of ``{"status", "stdout", "stderr"}``.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Job:
    """A program to run.

    Attributes:
        script: its path.
        folder: the working directory, empty; stdout and stderr go to files beside it.
        output: the run file; None runs it plainly.
        options: keyword arguments of ``RecordOptions``.
        arguments: what the program finds in ``sys.argv[1:]``.
        environment: variables set before the recorder is made.
        kill_at: the step after which the process kills itself with SIGKILL, as a machine that goes down would.
    """

    script: str
    folder: str
    output: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    kill_at: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit status (minus the signal's number if one killed it), and what it wrote."""

    status: int
    stdout: str
    stderr: str


class ProgramServer:
    """The client's side: start it once, run many jobs, close it."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[2])
        single = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        inherited = {name: value for name, value in os.environ.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**inherited, **single, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *jobs: Job, timeout: float = 120.0) -> list[Outcome]:
        """Run jobs side by side; a child that takes longer than ``timeout`` seconds is killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"jobs": [asdict(job) for job in jobs], "timeout": timeout}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the program server has died"
        return [Outcome(**outcome) for outcome in json.loads(answer)]

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=60)  # one that is closed at once still has torch to import


# -- the server's side ------------------------------------------------------------------------------------------------


def serve() -> Job | None:
    """Answer requests until stdin closes; returns in a child, with the job that it has to do."""
    answers = os.dup(1)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        children = []
        for description in request["jobs"]:
            job = Job(**description)
            child = os.fork()
            if child == 0:
                os.close(answers)
                return job
            children.append((child, job))
        outcomes = [_wait(child, job, time.monotonic() + request["timeout"]) for child, job in children]
        os.write(answers, (json.dumps(outcomes) + "\n").encode())
    return None


def _wait(child: int, job: Job, deadline: float) -> dict[str, Any]:
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.002)
    texts = {name: Path(f"{job.folder}.{name}").read_text(errors="replace") for name in ("stdout", "stderr")}
    return {"status": os.waitstatus_to_exitcode(status), **texts}


def work(job: Job) -> int:
    """Run a program in this process, which has just been forked for it; return its exit status."""
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{job.folder}.stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, f"{job.folder}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(job.folder)
    os.environ.update(job.environment)
    from bnprobe.launch.session import run_plainly, run_recorded
    from bnprobe.launch.target import resolve
    from bnprobe.observe.options import RecordOptions

    target = resolve(job.script, False, job.arguments)
    try:
        if job.output is None:
            run_plainly(target)
        else:
            die = None if job.kill_at is None else functools.partial(_die, job.kill_at)
            run_recorded(target, Path(job.output), RecordOptions(**job.options), {}, _Listener(), on_progress=die)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return 0


def _die(step: int, progress: Any) -> None:
    if progress.step >= step:
        os.kill(os.getpid(), signal.SIGKILL)


class _Listener:
    """Says on stderr what a user would be told of faults, and nothing else: stderr then equals the unrecorded program's."""

    def fault(self, error: Exception) -> None:
        print(f"fault: {type(error).__name__}: {error}", file=sys.stderr)

    def ended(self, ending: Any, recorded: bool, hurried: bool) -> None:
        if not recorded:
            print("nothing was recorded", file=sys.stderr)

    def replaced(self, call: str, recorded: bool) -> None:
        pass

    def not_replaced(self) -> None:
        pass


def main() -> None:
    import torch  # noqa: F401
    import torch._dynamo  # noqa: F401 - every optimizer imports it
    import torch.func  # noqa: F401
    import torch.nn.utils.parametrizations  # noqa: F401
    import torch.utils.checkpoint  # noqa: F401

    import bnprobe.launch.session  # noqa: F401
    import bnprobe.observe.recorder  # noqa: F401

    gc.freeze()  # a collection in a child would copy every page it looks at
    leave = os._exit  # the recorder replaces it
    job = serve()
    if job is not None:
        status = work(job)
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        leave(status)


if __name__ == "__main__":
    main()
