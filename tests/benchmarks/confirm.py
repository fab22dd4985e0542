"""How often trials bear out what the diagnosis says: `bnprobe confirm` over programs of the fault library.

    python -m tests.benchmarks.confirm                          # two tuned programs of each cause, ten healthy ones
    python -m tests.benchmarks.confirm --per-cause 4 --healthy 30
    python -m tests.benchmarks.confirm --only unscaled-input dead-units

Recordings and trials are kept in a folder (--folder), so that the command goes on where it was interrupted; a change of the rules is
judged on the trials that are there. --within SECONDS begins no program after that time. It prints, with 95 % intervals (Wilson), of
verdicts that name the right cause, the share that is confirmed; of the wrong ones, the share that is refuted or corrected, which is that
the right cause is confirmed instead; of all candidates tested that are not the cause, the shares confirmed and refuted; and healthy
programs for which a cause was confirmed.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY, Program
from tests.faults.score import Share

TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class Result:
    """What was said of one program.

    Attributes:
        program: name.
        expected: its cause.
        verdict: of the diagnosis.
        words: by cause that was tested: confirmed, refuted or undecided.
        reasons: the same with what was seen.
        trials: how many were made.
    """

    program: str
    expected: str
    verdict: str
    words: dict[str, str]
    reasons: dict[str, str]
    trials: int

    @property
    def is_right(self) -> bool:
        return self.verdict == self.expected

    @property
    def word(self) -> str:
        """What the trials said of the verdict."""
        return self.words.get(self.verdict, "undecided")

    @property
    def is_corrected(self) -> bool:
        return self.word == "refuted" or self.words.get(self.expected) == "confirmed"


def sample(per_cause: int, healthy: int, only: list[str]) -> Iterator[Program]:
    """The first tuned programs of each cause."""
    taken: Counter[str] = Counter()
    for program in PROGRAMS:
        most = healthy if program.cause == HEALTHY else per_cause
        if program.part == "tuned" and taken[program.cause] < most and (not only or program.cause in only):
            taken[program.cause] += 1
            yield program


def confirm(program: Program, folder: Path) -> Result:
    """Record a program and confirm its verdict.

    Raises:
        RuntimeError: the command failed.
    """
    run = (folder / f"{program.name}.h5").absolute()
    command = [sys.executable, "-m", "bnprobe"]
    if not run.exists():
        subprocess.run(
            [*command, "record", "-q", "-o", str(run), str(program.path)], capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    result = subprocess.run(
        [*command, "confirm", "--json", "--jobs", "1", str(run)], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    if result.returncode not in (0, 3, 4):
        raise RuntimeError(f"{program.name}: status {result.returncode}: {result.stderr[-500:]}")
    found = json.loads(result.stdout)
    words = {one["id"]: one["word"] for one in found["causes"]}
    reasons = {one["id"]: one["reason"] for one in found["causes"]}
    return Result(program.name, program.cause, found["verdict"], words, reasons, len(found["trials"]))


def report(results: list[Result]) -> str:
    """The figures as lines."""
    faulty = [one for one in results if one.expected != HEALTHY]
    right, wrong = [one for one in faulty if one.is_right], [one for one in faulty if not one.is_right]
    healthy = [one for one in results if one.expected == HEALTHY]
    others = [word for one in faulty for cause, word in one.words.items() if cause != one.expected]
    untested = sum("no trial" in one.reasons.get(one.verdict, "") for one in right)
    words = Counter(one.word for one in right)
    rows = [("cause", "programs", "right", "confirmed", "refuted", "undecided")]
    for cause in sorted({one.expected for one in faulty}):
        own = [one for one in faulty if one.expected == cause]
        told = Counter(one.word for one in own if one.is_right)
        counts = (len(own), told.total(), told["confirmed"], told["refuted"], told["undecided"])
        rows.append((cause, *map(str, counts)))
    table = [f"{row[0]:30}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
    wrongly = sum("confirmed" in one.words.values() for one in healthy)
    figures = [
        f"of right verdicts confirmed: {Share(words['confirmed'], len(right))}",
        f"    refuted: {words['refuted']}; undecided: {words['undecided']}, of which {untested} without a trial",
        f"of wrong verdicts refuted or corrected: {Share(sum(one.is_corrected for one in wrong), len(wrong))}",
        f"of other candidates refuted: {Share(others.count('refuted'), len(others))}; confirmed: {others.count('confirmed')}",
        f"of healthy programs those with a cause confirmed: {Share(wrongly, len(healthy))}",
        f"trials: {sum(one.trials for one in results)}",
    ]
    return "\n".join([*table, "", *figures])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-cause", type=int, default=2, metavar="N")
    parser.add_argument("--healthy", type=int, default=10, metavar="N")
    parser.add_argument("--only", nargs="*", default=[], metavar="CAUSE")
    parser.add_argument("--folder", type=Path, default=Path(".confirmed"), help="where recordings and trials are kept")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time")
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS", help="begin no program after that time")
    options = parser.parse_args()
    latest = time.monotonic() + options.within
    options.folder.mkdir(parents=True, exist_ok=True)
    programs = list(sample(options.per_cause, options.healthy, options.only))
    results: list[Result] = []

    def one(program: Program) -> Result | str:
        if time.monotonic() > latest:
            return f"{program.name}: not begun"
        try:
            return confirm(program, options.folder)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
            return f"{program.name}: {error}"

    with ThreadPoolExecutor(options.jobs) as pool:
        for found in pool.map(one, programs):
            if isinstance(found, str):
                print(found, flush=True)
                continue
            results.append(found)
            mark = "" if found.is_right else f" (verdict {found.verdict})"
            print(f"{found.program}{mark}", flush=True)
            for cause, word in found.words.items():
                print(f"    {word:9} {cause}: {found.reasons[cause]}", flush=True)
    print(report(results))


if __name__ == "__main__":
    main()
