"""Run every script of a folder plainly and recorded, and print what differs.

    python -m tests.benchmarks.neutrality FOLDER [--only NAME] [--repeat 20] [-- --budget 1e9]

A script is run as a user runs it, in an empty folder of its own: twice plainly, then recorded, ``--repeat`` times; what follows ``--`` are
options of ``bnprobe record``. Compared are the exit status and every line of stdout and stderr, but for lines of stderr that begin with
``bnprobe``. Numbers that are not the same in the two plain runs, as memory addresses, are left out where they stand in a line; of a line
that the two do not print equally often, all are. A number before a unit of time or memory is left out, too: it may be the same twice by
chance. The table shows peak memory and processor time of the whole process, imports included; its first row is a training of a single
step, which is what starting costs. Where a script that is recorded differs, the exit status is 1, and what differed is printed below the
table.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run

MOST_SECONDS = 300.0
ONE_STEP = """
import torch
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(2, 4)).mean().backward()
optimizer.step()
"""
_NUMBER = re.compile(r"0x[0-9a-f]+|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_MEASURED = re.compile(rf"(?:{_NUMBER.pattern})(?=\s?(?:seconds?|secs?|m?s|[GM]i?B)\b)")


@dataclass(frozen=True)
class Ran:
    """How a process ended: exit status (minus the signal's number), lines of both streams, peak memory in MiB, processor time in s."""

    status: int
    stdout: list[str]
    stderr: list[str]
    mebibytes: float
    seconds: float


@dataclass
class Outcome:
    """One script, plainly and recorded.

    Attributes:
        name: of the script.
        plain: the first plain run.
        recorded: the last recorded run.
        runs: how often it was recorded.
        differences: lines to print, one list for each run that differed.
        steps: steps in the last run file; None where there is no file.
        faults: what the run files call a fault of the recorder.
    """

    name: str
    plain: Ran
    recorded: Ran
    runs: int
    differences: list[list[str]] = field(default_factory=list)
    steps: int | None = None
    faults: list[str] = field(default_factory=list)


def run(command: list[str], folder: Path) -> Ran:
    """Run a command in a folder.

    Args:
        command: the program and its arguments.
        folder: the working directory; what the process writes to its streams goes to files beside it.
    """
    texts = [folder.with_name(f"{folder.name}.{name}") for name in ("stdout", "stderr")]
    with texts[0].open("wb") as stdout, texts[1].open("wb") as stderr:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True)
        alarm = threading.Timer(MOST_SECONDS, process.kill)
        alarm.start()
        _, status, used = os.wait4(process.pid, 0)
        alarm.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    lines = [path.read_text(errors="replace").splitlines() for path in texts]
    return Ran(process.returncode, lines[0], lines[1], used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)


def examine(script: Path, options: list[str], repeat: int) -> Outcome:
    """Run a script in both ways.

    Args:
        script: its path.
        options: of ``bnprobe record``.
        repeat: how often it is recorded.
    """
    with tempfile.TemporaryDirectory() as base:

        def fresh(name: str) -> Path:
            folder = Path(base) / name
            folder.mkdir()
            return folder

        plain = [run([sys.executable, str(script)], fresh(f"plain{number}")) for number in range(2)]
        outcome = Outcome(script.stem, plain[0], plain[0], repeat)
        for number in range(repeat):
            file = Path(base) / f"run{number}.h5"
            recording = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(file), *options, str(script)]
            outcome.recorded = run(recording, fresh(f"recorded{number}"))
            if found := differences(plain, outcome.recorded):
                outcome.differences.append(found)
            _read(file, outcome)
        return outcome


def differences(plain: list[Ran], recorded: Ran) -> list[str]:
    """Return what a recorded run did otherwise than two plain ones, in lines for a person; nothing where it did the same."""
    found = []
    if recorded.status not in {one.status for one in plain}:
        found.append(f"status {plain[0].status}, recorded {recorded.status}")
    for stream in ("stdout", "stderr"):
        ones, others, ours = (_said(getattr(one, stream)) for one in (*plain, recorded))
        varying = _varying(ones, others)
        expected, got = ([_without(line, varying.get(_bare(line), set())) for line in lines] for lines in (ones, ours))
        if expected != got:
            lines = difflib.unified_diff(expected, got, lineterm="", n=0)
            found += [f"{stream}: {line}" for line in lines if line[:3] not in ("---", "+++")]
    return found


def _said(lines: list[str]) -> list[str]:
    return [_MEASURED.sub("#", line) for line in lines if not line.startswith("bnprobe")]


def _bare(line: str) -> str:
    return _NUMBER.sub("#", line)


def _varying(ones: list[str], others: list[str]) -> dict[str, set[int]]:
    """By line without its numbers, the places of the numbers that two plain runs do not print alike."""
    alike: dict[str, tuple[list[list[str]], list[list[str]]]] = {}
    for run_number, lines in enumerate((ones, others)):
        for line in lines:
            alike.setdefault(_bare(line), ([], []))[run_number].append(_NUMBER.findall(line))
    found = {}
    for bare, (first, second) in alike.items():
        if len(first) != len(second):
            found[bare] = set(range(len(first[0] if first else second[0])))
        else:
            pairs = zip(first, second, strict=True)
            found[bare] = {place for one, other in pairs for place, number in enumerate(one) if number != other[place]}
    return found


def _without(line: str, places: set[int]) -> str:
    """A line without the numbers at some places, counted from 0."""
    place = itertools.count()
    return _NUMBER.sub(lambda number: "#" if next(place) in places else number[0], line)


def _read(file: Path, outcome: Outcome) -> None:
    try:
        recorded = read_run(file)
    except (RunFileError, OSError):
        return
    outcome.steps = recorded.steps
    outcome.faults += [f"{gap.subject}: {gap.reason}" for gap in recorded.gaps if gap.reason.startswith("a fault of bnprobe")]
    outcome.faults += recorded.problems


def row(outcome: Outcome) -> str:
    """One line of the table."""
    plain, recorded = outcome.plain, outcome.recorded
    wrong = len(outcome.differences)
    same = "the same" if not wrong else f"{wrong} of {outcome.runs} DIFFER" if outcome.runs > 1 else "DIFFERS"
    steps = "-" if outcome.steps is None else str(outcome.steps)
    more = f"{recorded.mebibytes - plain.mebibytes:+7.0f} {plain.seconds:8.2f} {recorded.seconds - plain.seconds:+7.2f}"
    return f"{outcome.name:36} {same:>15} {plain.status:4d} {recorded.status:4d} {steps:>6} {plain.mebibytes:8.0f} {more}"


def main() -> int:
    """Run and print; return 1 if a script did anything else recorded than plainly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", metavar="NAME", help="run this script alone; may be given again")
    parser.add_argument("--repeat", type=int, default=1, help="how often each is recorded")
    parser.add_argument("options", nargs="*", help="of `bnprobe record`, behind --")
    arguments = parser.parse_args()
    scripts = sorted(path.resolve() for path in arguments.folder.glob("*.py"))
    if arguments.only:
        scripts = [path for path in scripts if path.stem in arguments.only]
    print(f"{'script':36} {'stdout, stderr':>15} {'status':>9} {'steps':>6} {'peak MiB':>8} {'more':>7} {'CPU s':>8} {'more':>7}")
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "a_single_step.py"
        start.write_text(ONE_STEP)
        outcomes = []
        for script in [start, *scripts]:
            outcomes.append(examine(script, arguments.options, arguments.repeat))
            print(row(outcomes[-1]), flush=True)
    for outcome in outcomes:
        for text in [*(line for found in outcome.differences for line in found), *outcome.faults]:
            print(f"{outcome.name}: {text}")
    wrong = [outcome for outcome in outcomes if outcome.differences or outcome.faults]
    print(f"{len(outcomes) - 1} scripts, {len([one for one in wrong if one.name != start.stem])} with a difference or a fault")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
