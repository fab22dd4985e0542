"""A process that has imported torch and forks a child for every trial: that saves the seconds which the import takes.

It reads, line by line, what a child is to do, and answers with the child's number. Each child is handed to the process that asked for it,
which waits for it as for one that it has started itself. Nothing of torch runs before a fork, so that a child begins with torch as just
imported; where a device or a thread would be inherited half, it refuses.

What cannot be shared is left to be found: a script that sets variables for torch before it imports it comes too late here. The trial of
the script as it is shows whether the script repeats its recording all the same.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any

from bnprobe.launch import trial

#: What every training imports sooner or later.
_IMPORTED = (
    "torch",
    "torch._dynamo",
    "torch.func",
    "torch.nn.utils.parametrizations",
    "torch.utils.data",
    "bnprobe.observe.recorder",
    "bnprobe.observe.trial",
    "bnprobe.observe.remedies.injector",
    "bnprobe.interventions.at_work",
    "bnprobe.launch.session",
)
_PATIENCE_SECONDS = 10.0


def main() -> None:
    """Serve the process whose number is the only argument; ends with it. A child leaves as its script does."""
    parent = int(sys.argv[1])
    trial.die_with(parent)
    answers = os.dup(1)
    refusal = _prepare()
    _say(answers, {"refusal": refusal})
    work = None if refusal else _serve(answers)
    if work is not None:
        _become(work, parent)
        trial.main()


def _prepare() -> str:
    """Import what is shared; return why nothing can be forked, "" where it can."""
    for name in _IMPORTED:
        importlib.import_module(name)
    torch = sys.modules["torch"]
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return "a device cannot be shared with a fork"
    # Libraries that can be forked end their threads before it.
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if len(os.listdir("/proc/self/task")) > 1:
        return "threads cannot be shared with a fork"
    gc.freeze()  # a collection in a child would copy every page that it looks at
    return ""


def _serve(answers: int) -> dict[str, Any] | None:
    """Answer until stdin closes; returns in a child, with what it has to do."""
    for line in iter(sys.stdin.readline, ""):
        reading, writing = os.pipe()
        try:
            between = os.fork()
        except OSError:
            between = -1
        if between == 0:  # its own child is left to whoever waits for it
            child = -1
            try:
                child = os.fork()
                if child > 0:
                    os.write(writing, str(child).encode())
            finally:
                if child:  # never back into the server's own code
                    os._exit(0)
            for end in (reading, writing, answers):
                os.close(end)
            work: dict[str, Any] = json.loads(line)
            return work
        os.close(writing)
        if between > 0:
            os.waitpid(between, 0)
        number = os.read(reading, 32)
        _say(answers, {"pid": int(number)} if number else {"refusal": "the system forks no further process"})
        os.close(reading)
    return None


def _say(answers: int, message: dict[str, Any]) -> None:
    os.write(answers, (json.dumps(message) + "\n").encode())


def _become(work: dict[str, Any], parent: int) -> None:
    """Be the process that would have been started: of its own session, with its own files, folder, variables and random numbers."""
    os.setsid()
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, work["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        opened = os.open(path, flags, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    if work["cwd"] is not None:
        os.chdir(work["cwd"])
    os.environ.clear()
    os.environ.update(work["environment"])
    sys.argv[1:] = [work["order"]]
    sys.modules["numpy"].random.seed()  # that of Python begins anew by itself
    latest = time.monotonic() + _PATIENCE_SECONDS
    while os.getppid() != parent and time.monotonic() < latest:
        time.sleep(0.001)
