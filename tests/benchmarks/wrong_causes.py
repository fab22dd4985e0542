"""What `bnprobe confirm --cause` says of a cause that is not the program's: a wrong suspicion, handed to it on purpose.

    python -m tests.benchmarks.wrong_causes                     # a program of each cause of the fault library
    python -m tests.benchmarks.wrong_causes --reported 20       # and twenty of the faults that people reported
    python -m tests.benchmarks.wrong_causes --count             # judge and count the trials that are there, make none

Suspected of each program, whose cause is known, is what might be taken for it: other causes that its own diagnosis names or holds for
possible, those that the page of its cause lists under "What else it could be", and the two that stand nearest in the list of causes,
which goes from the loop to the size of the steps. Each is judged twice from the same trials: alone, and as a wrong verdict would be, with
the right cause behind it. It is undone where it is refuted, or the right cause is confirmed and it is not; wrongly confirmed is what must
not happen.

What the fault can bring about (``CONSEQUENCES``) is there, if not by itself: it is counted apart. Recordings and trials are kept in the
folder of ``tests.benchmarks.confirm`` (--folder), so that the command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from bnprobe.cli.confirm import _key, _plan
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.diagnosis import Diagnosis
from bnprobe.diagnose.verdict import CAUSES, CONSEQUENCES
from bnprobe.errors import RunFileError, UsageError
from bnprobe.experiments.confirm import Confirming
from bnprobe.experiments.counterfactuals import AGAIN, AS_IS, TESTS
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.judging import judge
from bnprobe.store.confirm_file import Judgement, confirm_file_of, read_confirmation
from bnprobe.store.reader import read_run
from tests.benchmarks.confirm import NotMade, _record
from tests.benchmarks.confirm_cases import Case, of_library, of_reported
from tests.faults.score import Share

PAGES = Path(__file__).parents[2] / "docs" / "causes"
#: Of each program so many other candidates are suspected, so many neighbours, and so many causes in all.
CANDIDATES, NEIGHBOURS, MOST = 3, 2, 6


@dataclass(frozen=True)
class Suspicion:
    """A cause that is not the program's, and what the trials said of it.

    Attributes:
        case: the program.
        cause: the one suspected.
        alone: the judgement of it alone.
        beside: the same with the right cause behind it.
        is_corrected: whether the right cause was confirmed then, and this one was not.
    """

    case: Case
    cause: str
    alone: Judgement
    beside: Judgement
    is_corrected: bool

    @property
    def is_consequence(self) -> bool:
        return any(self.cause in CONSEQUENCES.get(right, ()) for right in self.case.right)


def suspected(case: Case, diagnosis: Diagnosis) -> list[str]:
    """Return the causes that a program might be suspected of, none of which names its fault or half of it."""
    order = list(CAUSES)
    place = order.index(case.right[0])
    near = sorted(order, key=lambda one: abs(order.index(one) - place))
    candidates, neighbours = (
        _wrong(case, found, most) for found, most in (([one.id for one in diagnosis], CANDIDATES), (near, NEIGHBOURS))
    )
    return list(dict.fromkeys([*candidates, *neighbours, *_wrong(case, looks_like(case.right[0]))]))[:MOST]


def looks_like(cause: str) -> list[str]:
    """The causes that the page of one lists under "What else it could be"."""
    text = (PAGES / f"{cause}.md").read_text(encoding="utf-8").partition("## What else it could be")[2]
    return re.findall(r"\(([a-z-]+)\.md\)", text)


def _wrong(case: Case, causes: Iterable[str], most: int | None = None) -> list[str]:
    found = (one for one in causes if TESTS.get(one) and one not in (*case.right, *case.partly))
    return list(islice(dict.fromkeys(found), most))


def suspicions(case: Case, folder: Path, longest: float, executor: Executor | None) -> tuple[Judgement, list[Suspicion]]:
    """Put what a program might be suspected of to the test, as far as that was not done before.

    Args:
        case: the program.
        folder: where recordings and trials are kept.
        longest: seconds that its recording may take.
        executor: makes trials that are missing; None where none are to be made.

    Returns:
        What was said of the right cause, asked alone, and of each suspicion.

    Raises:
        NotMade: nothing was recorded, or trials are missing and are not to be made.
    """
    path = (folder / f"{case.name}.h5").absolute()
    if not path.exists() and executor is not None:
        _record(case, path, longest)
    try:
        run = read_run(path)
        diagnosis = diagnose(run)
        wrong, right = suspected(case, diagnosis), case.right[0]
        plan = _plan(run, diagnosis, [right, *wrong], None, Resources(jobs=1))
        key, file = _key(run, plan), confirm_file_of(path)
        before = read_confirmation(file) if file.exists() else None
    except (RunFileError, UsageError) as error:
        raise NotMade(str(error)) from None
    if before is not None and before.key != key:
        raise NotMade("the trials that are kept are of another recording")
    made = {one.name: one for one in (before.trials if before else ())}
    for cause in plan.causes:  # one by one, so that each has the trials that it would have alone
        one_cause = replace(plan, causes=(cause,))
        confirming = Confirming(one_cause, executor or LocalExecutor(), run, file, before, key, lambda trial: None, lambda running: None)
        confirming.trials.update(made)
        if confirming.next_order() is not None:
            if executor is None:
                raise NotMade("trials are missing")
            confirming.run()
        made = confirming.trials
    as_is = [made[name] for name in (AS_IS, AGAIN) if name in made]
    if as_is[0].status != "ran":
        raise NotMade(f"the script as it is gave no outcome: {as_is[0].why}")
    found = []
    for cause in wrong:
        (alone,), both = judge([cause], made, as_is), judge([cause, right], made, as_is)
        found.append(Suspicion(case, cause, alone, both[0], both[1].word == "confirmed" and both[0].word != "confirmed"))
    return judge([right], made, as_is)[0], found


def report(rights: Sequence[Judgement], found: Sequence[Suspicion]) -> str:
    """The figures as lines."""
    parts = {
        "causes that are not there": [one for one in found if not one.is_consequence],
        "what the fault can bring about": [one for one in found if one.is_consequence],
    }
    confirmed = Share(sum(one.word == "confirmed" for one in rights), len(rights))
    lines = [f"programs: {len(rights)}; suspicions: {len(found)}; right causes confirmed, asked alone: {confirmed}"]
    for title, some in parts.items():
        lines.append(f"{title}: {len(some)}")
        judged = {"alone": [one.alone.word for one in some], "with the right cause": [one.beside.word for one in some]}
        for how, words in judged.items():
            told = Counter(words)
            wrongly = Share(told["confirmed"], len(some))
            lines.append(f"    {how:20} refuted {told['refuted']}, undecided {told['undecided']}, confirmed {wrongly}")
        undone = sum(one.beside.word == "refuted" or one.is_corrected for one in some)
        lines.append(f"    refuted or corrected: {Share(undone, len(some))}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-cause", type=int, default=1, metavar="N")
    parser.add_argument("--only", nargs="*", default=[], metavar="CAUSE")
    parser.add_argument("--reported", type=int, default=0, metavar="N", help="so many of the faults that people reported, too")
    parser.add_argument("--folder", type=Path, default=Path(".confirmed"), help="where recordings and trials are kept")
    parser.add_argument("--longest", type=float, default=60.0, metavar="SECONDS", help="that the recording of a program may take")
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS", help="begin no program after that time")
    parser.add_argument("--count", action="store_true", help="make nothing; count what is there")
    options = parser.parse_args()
    latest = time.monotonic() + options.within
    options.folder.mkdir(parents=True, exist_ok=True)
    reported = (one for one in of_reported() if one.right and one.right[0] in TESTS)
    rights: list[Judgement] = []
    found: list[Suspicion] = []
    left_out: list[str] = []
    executor = LocalExecutor()
    for case in chain(of_library(options.per_cause, 0, options.only), islice(reported, options.reported)):
        makes_trials = not options.count and time.monotonic() < latest
        try:
            right, told = suspicions(case, options.folder, options.longest, executor if makes_trials else None)
        except NotMade as error:
            left_out.append(f"{case.name}: {error}")
            continue
        rights.append(right)
        found += told
        print(f"{case.name}: {right.cause} ({right.word})", flush=True)
        for one in told:
            mark = "follows" if one.is_consequence else "WRONG" if one.alone.word == "confirmed" else ""
            print(f"    {one.alone.word:9} {one.beside.word:9} {mark:7} {one.cause}: {one.alone.reason}", flush=True)
    executor.close()
    print(report(rights, found))
    print(f"left out: {len(left_out)}", *left_out, sep="\n    ")


if __name__ == "__main__":
    main()
