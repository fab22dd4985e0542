"""How often trials bear out what the diagnosis says: what `bnprobe confirm` finds on programs whose fault is known.

    python -m tests.benchmarks.confirm                          # four programs of each cause, thirty healthy ones
    python -m tests.benchmarks.confirm --reported               # and the faults that people reported
    python -m tests.benchmarks.confirm --only unscaled-input dead-units
    python -m tests.benchmarks.confirm --only healthy --healthy 30
    python -m tests.benchmarks.confirm --recordings FOLDER --count      # judge and count the trials that are there, make none

Recordings and trials are kept in a folder (--recordings), so that the command goes on where it was interrupted; a change of the rules is
judged on the trials that are there, in seconds. --within SECONDS begins no program after that time; those not begun are counted as such
and enter no figure. A right verdict is tested alone, a wrong one with the candidates that the command takes beside it; --beside tests
those beside right ones, too. --longest SECONDS leaves programs out whose recording takes longer.

It prints a line for each program, and at the end, with 95 % intervals (Wilson), by cause and in all: of verdicts that name the right cause,
the share that is confirmed; of those that name a wrong one, the share that is refuted or corrected, which is that a right one is confirmed
instead. Wrong verdicts are few: the same is counted of the first candidate beside a right verdict that is no cause, as if the diagnosis had
named it (--beside). Then the shares of all other candidates that are confirmed and refuted; and healthy programs for which a cause was
confirmed.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bnprobe.cli.confirm import _key, _plan
from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError, UsageError
from bnprobe.experiments.confirm import Confirming, causes_to_test
from bnprobe.experiments.counterfactuals import TESTS
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.store.confirm_file import Confirmation, confirm_file_of, read_confirmation
from bnprobe.store.reader import read_run
from tests.benchmarks.confirm_cases import Case, of_folder, of_library, of_reported
from tests.faults.score import Share


@dataclass(frozen=True)
class Result:
    """What was said of one program.

    Attributes:
        case: the program.
        verdict: of the diagnosis.
        words: by cause that was tested: confirmed, refuted or undecided.
        reasons: the same with what was seen.
        trials: how many were made.
    """

    case: Case
    verdict: str
    words: dict[str, str]
    reasons: dict[str, str]
    trials: int

    @property
    def is_right(self) -> bool:
        """Whether the verdict names the cause; to say rightly that there is none to name is nothing that trials could confirm."""
        return self.verdict in self.case.right and self.verdict in TESTS

    @property
    def is_wrong(self) -> bool:
        """Whether the verdict accuses a cause that is none."""
        return self.verdict in TESTS and self.verdict not in (*self.case.right, *self.case.partly)

    @property
    def word(self) -> str:
        """What the trials said of the verdict."""
        return self.words.get(self.verdict, "undecided")

    @property
    def is_corrected(self) -> bool:
        return self.is_undone(self.verdict)

    @property
    def other(self) -> str:
        """The first candidate that is not the cause, and would be the verdict if the right one had been missed; "" where there is none."""
        return next((one for one in self.words if one not in (*self.case.right, *self.case.partly)), "")

    def is_undone(self, cause: str) -> bool:
        """Whether the trials refute a wrong cause, or confirm a right one instead."""
        return self.words[cause] == "refuted" or any(self.words.get(one) == "confirmed" for one in self.case.right)


class NotMade(Exception):
    """A program cannot be judged, for the reason that the message gives."""


def result_of(case: Case, folder: Path, tests_beside: bool, longest: float, executor: Executor | None) -> Result:
    """Record a program and put its verdict to the test, as far as that was not done before.

    Args:
        case: the program.
        folder: where recordings and trials are kept.
        tests_beside: whether candidates beside a right verdict are tested, too.
        longest: seconds that its recording may take.
        executor: makes trials that are missing; None where none are to be made.

    Returns:
        What was said.

    Raises:
        NotMade: nothing was recorded, or trials are missing and are not to be made.
    """
    path = (folder / f"{case.name}.h5").absolute()
    if not path.exists() and executor is not None:
        _record(case, path, longest)
    if not path.exists():
        raise NotMade("nothing is recorded")
    try:
        run = read_run(path)
        diagnosis = diagnose(run)
        named = diagnosis.verdict.id
        causes = [one for one in causes_to_test(diagnosis) if tests_beside or named not in case.right or one == named]
        if not causes:
            return Result(case, named, {}, {}, 0)
        plan = _plan(run, diagnosis, causes, None, Resources(jobs=1))
        key = _key(run, plan)
        file = confirm_file_of(path)
        before = read_confirmation(file) if file.exists() else None
    except (RunFileError, UsageError) as error:
        raise NotMade(str(error)) from None
    if before is not None and before.key != key:
        raise NotMade("the trials that are kept are of another recording")
    confirming = Confirming(plan, executor or LocalExecutor(), run, file, before, key, lambda trial: None, lambda running: None)
    # The command makes a trial that has failed again; the benchmark goes on with the next program.
    confirming.trials.update({one.name: one for one in (before.trials if before else ())})
    if confirming.next_order() is None:
        found = Confirmation(key, tuple(confirming.trials.values()), confirming.judgements())
    elif executor is not None:
        found = confirming.run()
    else:
        raise NotMade("trials are missing")
    words = {one.cause: one.word for one in found.judgements}
    reasons = {one.cause: one.reason for one in found.judgements}
    return Result(case, named, dict(words), reasons, len(found.trials))


def _record(case: Case, path: Path, longest: float) -> None:
    command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(path), str(case.path)]
    beside = path.with_suffix(".too-long")
    if beside.exists():
        raise NotMade("its recording takes too long")
    try:
        subprocess.run(command, capture_output=True, timeout=longest, check=False)
    except subprocess.TimeoutExpired:
        path.unlink(missing_ok=True)
        beside.touch()
        raise NotMade(f"its recording takes over {longest:.0f} s") from None


def report(results: Sequence[Result]) -> str:
    """The figures as lines."""
    faulty, healthy = [one for one in results if not one.case.is_healthy], [one for one in results if one.case.is_healthy]
    right, wrong = [one for one in faulty if one.is_right], [one for one in faulty if one.is_wrong]
    neither = [one for one in faulty if not one.is_right and not one.is_wrong]
    beside = [one for one in right if one.other]
    words, told = Counter(one.word for one in right), Counter(one.words[one.other] for one in beside)
    untested = sum(not TESTS[one.verdict] for one in right)
    others = [word for one in faulty for cause, word in one.words.items() if cause != one.verdict and cause not in one.case.right]
    wrongly = sum("confirmed" in one.words.values() for one in healthy)
    unnamed = sum(any(one.words.get(cause) == "confirmed" for cause in one.words if cause not in one.case.right) for one in neither)
    return "\n".join(
        [
            *_table(right),
            "",
            f"of right verdicts confirmed: {Share(words['confirmed'], len(right))}",
            f"    refuted: {words['refuted']}; undecided: {words['undecided']}, of which {untested} without a trial",
            f"of wrong verdicts refuted or corrected: {Share(sum(one.is_corrected for one in wrong), len(wrong))}",
            f"    refuted: {sum(one.word == 'refuted' for one in wrong)}; confirmed: {sum(one.word == 'confirmed' for one in wrong)}",
            f"of verdicts that name no cause, or half of it, those with a cause confirmed that is not the right one: "
            f"{Share(unnamed, len(neither))}",
            "of the first candidates beside a right verdict that are no cause, refuted or corrected: "
            f"{Share(sum(one.is_undone(one.other) for one in beside), len(beside))}",
            f"    refuted: {told['refuted']}; confirmed: {told['confirmed']}",
            f"of other candidates refuted: {Share(others.count('refuted'), len(others))}; confirmed: {others.count('confirmed')}",
            f"of healthy programs those with a cause confirmed: {Share(wrongly, len(healthy))}; "
            f"with one tested: {sum(bool(one.words) for one in healthy)}",
            f"programs: {len(results)}; trials: {sum(one.trials for one in results)}",
        ]
    )


def line_of(result: Result) -> str:
    """A program in one line: what is said of its verdict and why, and of what else was tested."""
    mark = "" if result.is_right else "half right, " if result.verdict in result.case.partly else "wrong, " if result.is_wrong else ""
    word = result.words.get(result.verdict, "not tested")
    others = ", ".join(f"{cause} {said}" for cause, said in result.words.items() if cause != result.verdict)
    why = result.reasons.get(result.verdict, "")
    return f"{word:10} {result.case.name} ({mark}{result.verdict}){f': {why}' if why else ''}{f'; beside it {others}' if others else ''}"


def _table(right: Sequence[Result]) -> Iterator[str]:
    """By cause how many right verdicts were confirmed, refuted, or neither."""
    words = ("confirmed", "refuted", "undecided")
    yield f"{'right verdict':30}" + "".join(f"{word:>11}" for word in ("programs", *words)) + "   confirmed of all"
    for cause in sorted({one.verdict for one in right}):
        told = Counter(one.word for one in right if one.verdict == cause)
        counts = "".join(f"{count:11d}" for count in (told.total(), *(told[word] for word in words)))
        yield f"{cause:30}{counts}   {Share(told['confirmed'], told.total())}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-cause", type=int, default=4, metavar="N")
    parser.add_argument("--healthy", type=int, default=30, metavar="N")
    parser.add_argument("--only", nargs="*", default=[], metavar="CAUSE")
    parser.add_argument("--reported", action="store_true", help="the faults of tests/reported, too")
    parser.add_argument("--others", type=Path, metavar="FOLDER", help="programs of a folder with a manifest.json, too")
    parser.add_argument("--beside", action="store_true", help="test the candidates beside a right verdict, too")
    parser.add_argument(
        "--recordings", type=Path, default=Path(".confirmed"), metavar="FOLDER", help="where recordings and trials are kept"
    )
    parser.add_argument("--longest", type=float, default=3600.0, metavar="SECONDS", help="that the recording of a program may take")
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS", help="begin no program after that time")
    parser.add_argument("--count", action="store_true", help="make nothing; count what is there")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th program alone, from the I-th on")
    options = parser.parse_args()
    latest = time.monotonic() + options.within
    options.recordings.mkdir(parents=True, exist_ok=True)
    chosen = chain(
        of_library(options.per_cause, options.healthy, options.only),
        of_reported() if options.reported else (),
        of_folder(options.others) if options.others else (),
    )
    cases = list({case.name: case for case in chosen}.values())
    first, of = map(int, options.part.split("/"))
    results: list[Result] = []
    left_out: Counter[str] = Counter()
    executor = LocalExecutor()  # one for all: its trials begin with torch imported
    for case in cases[first - 1 :: of]:
        makes_trials = not options.count and time.monotonic() < latest
        try:
            found = result_of(case, options.recordings, options.beside, options.longest, executor if makes_trials else None)
        except NotMade as error:
            left_out[str(error)] += 1
            continue
        results.append(found)
        print(line_of(found), flush=True)
    executor.close()
    print(report(results))
    print(f"left out: {left_out.total()}", *(f"{count}: {why}" for why, count in left_out.most_common()), sep="\n    ")


if __name__ == "__main__":
    main()
