"""Of the remedies that a verdict advises by a command, how many let the program train better when that command is carried out.

    python -m tests.benchmarks.advised_fixes            # the programs that tests.benchmarks.confirm has put to the test
    python -m tests.benchmarks.advised_fixes --only loss-spike mean-shift      # programs of these causes, recorded where they were not
    python -m tests.benchmarks.advised_fixes --within 60

Each is a trial of the unedited script with that remedy, beside a trial of the script as it is; the words are those of `bnprobe confirm`.
Recordings and trials are kept in the folder of ``tests.benchmarks.confirm`` (--recordings). ``tests.benchmarks.advised_remedies`` counts
the remedies that refuse.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import tempfile
import time
from collections import Counter
from itertools import chain
from pathlib import Path

from bnprobe.cli.confirm import _plan
from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError, UsageError
from bnprobe.experiments.confirm import Plan
from bnprobe.experiments.counterfactuals import AS_IS
from bnprobe.experiments.evidence import is_better
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.judging import judge_trial
from bnprobe.experiments.order import Change, TrialOrder
from bnprobe.store.confirm_file import Confirmation, Trial, read_confirmation, write_confirmation
from bnprobe.store.reader import Run, read_run
from tests.benchmarks.confirm import NotMade, _record
from tests.benchmarks.confirm_cases import Case, of_library, of_reported
from tests.faults.score import Share

_COMMAND = re.compile(r"bnprobe record --remedy (\S+) ")


def outcomes(case: Case, folder: Path, executor: Executor | None) -> dict[str, str]:
    """Carry out what the verdict on a program advises.

    Args:
        case: the program.
        folder: where its recording and its trials are.
        executor: makes what is missing; None where nothing is to be made.

    Returns:
        By remedy "better", "no better", "refused" or "no outcome".
    """
    path = (folder / f"{case.name}.h5").absolute()
    try:
        run = read_run(path)
        diagnosis = diagnose(run)
        plan = _plan(run, diagnosis, [], None, Resources(jobs=1))
    except (RunFileError, UsageError):
        return {}
    remedies = list(dict.fromkeys(_COMMAND.findall(diagnosis.verdict.fix)))
    as_is = _made(run, folder / f"{case.name}.as-is.json", AS_IS, _order(plan, ()), executor) if remedies else None
    if as_is is None:
        return {}
    found: dict[str, str] = {}
    for name in remedies:
        trial = _made(run, folder / f"{case.name}.{name}.json", name, _order(plan, (name,)), executor)
        if trial is not None:
            is_ahead = trial.status == "ran" and as_is.status == "ran" and is_better(trial, as_is, 0.0, changes_loss=False)
            words = {"refused": "refused", "failed": "no outcome"}
            found[name] = words.get(trial.status, "better" if is_ahead else "no better")
    return found


def _order(plan: Plan, remedies: tuple[str, ...]) -> TrialOrder:
    return TrialOrder(
        plan.script,
        Change(remedies=remedies),
        plan.steps + plan.is_whole,
        plan.threads,
        command="confirm",
        until_diverged=plan.until_diverged,
        cwd=plan.cwd,
    )


def _made(run: Run, kept: Path, name: str, order: TrialOrder, executor: Executor | None) -> Trial | None:
    """The trial that is kept, or made now."""
    if kept.exists():
        return read_confirmation(kept).trials[0]
    if executor is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        process = executor.start(order, Path(scratch, "trial"))
        while not process.is_over():
            time.sleep(0.05)
        trial = judge_trial(name, process)
        process.end()
        process.clear()
    write_confirmation(kept, Confirmation({"recording": str(run.attributes.get("created", ""))}, (trial,)))
    return trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-cause", type=int, default=4, metavar="N")
    parser.add_argument("--only", nargs="*", default=[], metavar="CAUSE", help="programs of these causes, recorded where they were not")
    parser.add_argument(
        "--recordings", type=Path, default=Path(".confirmed"), metavar="FOLDER", help="where recordings and trials are kept"
    )
    parser.add_argument("--within", type=float, default=math.inf, metavar="SECONDS", help="begin no trial after that time")
    options = parser.parse_args()
    latest = time.monotonic() + options.within
    executor = LocalExecutor()
    executor.share_start(True)
    told: Counter[str] = Counter()
    programs = helped = 0
    for case in chain(of_library(options.per_cause, 0, options.only), () if options.only else of_reported()):
        path = options.recordings / f"{case.name}.h5"
        if options.only and not path.exists() and time.monotonic() < latest:
            with contextlib.suppress(NotMade):
                _record(case, path, 300.0)
        found = outcomes(case, options.recordings, executor if time.monotonic() < latest else None)
        for name, word in found.items():
            print(f"{word:10} {case.name}: {name}", flush=True)
        told.update(found.values())
        programs, helped = programs + bool(found), helped + ("better" in found.values())
    executor.close()
    print(f"verdicts that advise a remedy by a command: {programs}; trained clearly better with one of them: {Share(helped, programs)}")
    print(f"remedies: {told.total()}; " + "; ".join(f"{word}: {count}" for word, count in told.items()))


if __name__ == "__main__":
    main()
