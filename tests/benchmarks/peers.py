"""What other tools say of the programs that the diagnosis is counted on: torchmortem, NeuralDBG, trainscope, beside bnprobe.

    python -m tests.benchmarks.peers --python FOLDER/bin/python     # the python that the tools are installed in
    python -m tests.benchmarks.peers --as-run                       # counts what is kept, of what all were run on

A fixed random sample of the held-out programs and of the reported faults that a cause of the list names, each with its fault and without.
A tool is attached to the unedited script as its own page tells to, with its defaults (`tests/benchmarks/peer_runner.py`); bnprobe records
with its defaults. What they say is kept in `.recordings/peers`. A tool that is not installed there is left out, and said to be.

- **right**: something the tool says, at any place, is a word for the cause (`WORDS`; read in the tool's favour); of bnprobe, its id.
  **wrong**: it says other things alone. **silent**: nothing. **crashed**: it ended by an error or after the time that a script has, or the
  script ended by an error that it does not end by when bnprobe records it.
- Of a program without its fault: whether anything was said. What torchmortem calls information, and bnprobe's candidates, count as nothing.

Of the held-out programs only sums are printed, as elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError
from bnprobe.report.live_view import told
from bnprobe.store.reader import read_run
from tests.benchmarks.reported import HERE as REPORTED
from tests.benchmarks.reported import TIMEOUT_SECONDS
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY
from tests.faults.recording import KEPT
from tests.faults.score import Share

Drawn = TypeVar("Drawn")
RUNNER = Path(__file__).with_name("peer_runner.py")
TOOLS = ("torchmortem", "neuraldbg", "trainscope")
SECONDS = 300
#: By cause, parts of what a tool says that name it, or what it is usually called. A cause that is not here is named by its id alone: no
#: tool but bnprobe has a word for it.
WORDS = {
    "vanishing-gradients": ("vanish", "gradient stalling", "gradient_saturated"),
    "exploding-gradients": ("explod", "signal grad_norm", "training divergence"),
    "exploding-activations": ("explod", "signal kurtosis", "training divergence"),
    "dead-units": ("dead",),
    "saturated-units": ("saturation", "activation_saturated"),
    "learning-rate-too-high": ("ratio too high", "edge of stability", "weight norm explosion", "catapult", "training divergence", "explod"),
    "learning-rate-too-low": ("ratio too low", "stagnant weight"),
    "weight-decay-too-strong": ("stagnant weight", "inter-layer weight norm"),
    "loss-spike": ("spike", "catapult", "signal loss"),
    "numerical-fault": ("nan_detected", "inf_detected", "anomalous"),
    "half-precision-overflow": ("nan_detected", "inf_detected", "anomalous"),
    "frozen-parameters": ("stagnant weight", "gradient stalling"),
    "symmetric-initialisation": ("rank collapse",),
    "mean-shift": ("rank collapse", "distribution_shift"),
    "unscaled-input": ("distribution_shift",),
    "unshuffled-data": ("distribution_shift",),
}


@dataclass(frozen=True)
class Task:
    """A script with or without its fault.

    Attributes:
        script: its file.
        fixed: whether without its fault.
        causes: the ids that name the fault.
        is_held_out: whether no more than sums may be shown.
    """

    script: Path
    fixed: bool
    causes: tuple[str, ...]
    is_held_out: bool

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return f"{self.script.stem}{'--fixed' * self.fixed}"


def tasks(held_out: int, reported: int) -> list[Task]:
    """A fixed sample, each program with its fault and without."""
    library = [program for program in PROGRAMS if program.part == "held_out" and program.cause != HEALTHY]
    entries = [entry for entry in json.loads((REPORTED / "manifest.json").read_text(encoding="utf-8")) if entry["named"]]
    chosen = [(program.path, (program.cause,), True) for program in shuffled(library)[:held_out]]
    chosen += [(REPORTED / entry["file"], tuple(entry["named"]), False) for entry in shuffled(entries)[:reported]]
    return [Task(script, fixed, causes, hidden) for script, causes, hidden in chosen for fixed in (False, True)]


def shuffled(population: Sequence[Drawn]) -> list[Drawn]:
    """All of a population in an order that is always the same, so that a smaller sample is the beginning of a larger one."""
    return random.Random(0).sample(population, len(population))


def version_of(python: Path, tool: str) -> str | None:
    """The version of a tool that is installed there, or None."""
    code = f"import importlib.metadata as m; print(m.version({tool!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def answer(task: Task, tool: str, folder: Path) -> Path:
    """The file with what a tool said, or with what bnprobe recorded."""
    return folder / tool / f"{task.name}.{'h5' if tool == 'bnprobe' else 'json'}"


def record(task: Task, folder: Path) -> None:
    """Record a script with bnprobe's defaults, unless that is kept."""
    target = answer(task, "bnprobe", folder)
    if not target.exists():
        command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(target), str(task.script), *["--fixed"] * task.fixed]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=REPORTED, env=alone, timeout=TIMEOUT_SECONDS, capture_output=True, check=False)


def run_tool(python: Path, tool: str, wanted: Sequence[Task], folder: Path) -> None:
    """Run what is not kept yet, in one process."""
    (folder / tool).mkdir(parents=True, exist_ok=True)
    new = [task for task in wanted if not answer(task, tool, folder).exists()]
    lines = [
        json.dumps({"answer": str(answer(task, tool, folder)), "script": str(task.script), "arguments": ["--fixed"] * task.fixed})
        for task in new
    ]
    if lines:
        command = [str(python), "-W", "ignore", str(RUNNER), tool, str(SECONDS)]
        subprocess.run(command, input="\n".join(lines), text=True, capture_output=True, check=False)


def said_by_tool(file: Path, recording: Path) -> list[str] | None:
    """What a tool said; None where it crashed, or the script with it alone.

    Args:
        file: the tool's answer.
        recording: what bnprobe recorded of the script.

    Raises:
        OSError: it was not run.
    """
    found = json.loads(file.read_text(encoding="utf-8"))
    return None if "crashed" in found or (found["failed"] and not failed(recording)) else found["said"]


def failed(recording: Path) -> bool:
    """Whether a script ended by an error while bnprobe recorded it, which changes nothing in it; so it did where no run file came to be."""
    try:
        return read_run(recording).status == "crashed"
    except (OSError, RunFileError):
        return True


def said_by_us(file: Path) -> list[str] | None:
    """What bnprobe said, the first finding first; None where it crashed.

    Raises:
        OSError: it was not recorded.
    """
    file.stat()
    try:
        return [finding.id for finding in told(diagnose(read_run(file)))]
    except RunFileError:
        return None


def worth(said: Sequence[str] | None, causes: Sequence[str], *, by_id: bool = False) -> str:
    """Judge what was said of a program with a fault.

    Args:
        said: each thing that was said; None for a crash.
        causes: the ids that name the fault.
        by_id: whether nothing but one of these ids is right, and no word for it.

    >>> worth(["Vanishing gradients detected"], ["vanishing-gradients"]), worth(["Rank collapse in 2"], ["dead-units"])
    ('right', 'wrong')
    >>> worth(["exploding-activations"], ["exploding-gradients"]), worth(["exploding-activations"], ["exploding-gradients"], by_id=True)
    ('right', 'wrong')
    """
    if said is None:
        return "crashed"
    if by_id:
        return "silent" if not said else "right" if set(said) & set(causes) else "wrong"
    words = [word for cause in causes for word in (cause, *WORDS.get(cause, ()))]
    return "silent" if not said else "right" if any(word in one.lower() for one in said for word in words) else "wrong"


def line(name: str, counts: Counter[str]) -> str:
    """A tool's row."""
    faults, twins = sum(counts[worth] for worth in ("right", "wrong", "silent", "crashed")), counts["twin"]
    shares = "; ".join(f"{worth} {Share(counts[worth], faults)}" for worth in ("right", "first is right", "wrong", "silent", "crashed"))
    return f"{name:<20} {shares}; without the fault: said something of {Share(counts['accused'], twins)}, crashed {counts['twin crashed']}"


def count(wanted: Sequence[Task], tool: str, folder: Path) -> Counter[str]:
    """Judge all tasks that a tool was run on."""
    counts = Counter[str]()
    is_ours = tool == "bnprobe"
    for task in wanted:
        recording = answer(task, "bnprobe", folder)
        try:
            said = said_by_us(recording) if is_ours else said_by_tool(answer(task, tool, folder), recording)
        except OSError:
            continue
        if task.fixed:
            counts["twin"] += 1
            counts["accused"] += bool(said)
            counts["twin crashed"] += said is None
            continue
        counts[found := worth(said, task.causes, by_id=is_ours)] += 1
        counts["first is right"] += said is not None and worth(said[:1], task.causes, by_id=is_ours) == "right"
        if not task.is_held_out:
            print(f"  {tool:<12} {found:<8} {task.name}: {', '.join(said or ()) or 'nothing'}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="the python of an environment with the tools; without one they are not installed")
    parser.add_argument("--as-run", action="store_true", help="run nothing, count what is kept")
    parser.add_argument("--held-out", type=int, default=12, metavar="N", help="so many of the held-out programs (default: %(default)s)")
    parser.add_argument("--reported", type=int, default=12, metavar="N", help="so many of the reported faults (default: %(default)s)")
    parser.add_argument("--recordings", type=Path, default=KEPT / "peers", metavar="FOLDER", help="default: %(default)s")
    options = parser.parse_args()
    wanted = tasks(options.held_out, options.reported)
    rows = []
    if options.as_run:  # what all were run on
        wanted = [task for task in wanted if all(answer(task, tool, options.recordings).exists() for tool in ("bnprobe", *TOOLS))]
    for tool in ("bnprobe", *TOOLS):
        name = tool
        if tool != "bnprobe" and not options.as_run:
            version = None if options.python is None else version_of(options.python, tool)
            if version is None:
                rows.append(f"{tool:<20} not installed")
                continue
            name = f"{tool} {version}"
            run_tool(options.python, tool, wanted, options.recordings)
        elif not options.as_run:
            (options.recordings / tool).mkdir(parents=True, exist_ok=True)
            for task in wanted:
                record(task, options.recordings)
        rows.append(line(name, count(wanted, tool, options.recordings)))
    faults = sum(not task.fixed for task in wanted)
    print("\n".join([f"{faults} programs with their fault, {len(wanted) - faults} without; 95 % intervals in brackets", *rows]))


if __name__ == "__main__":
    main()
