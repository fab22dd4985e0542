"""Of the remedies that a verdict advises by a command, how many let the program train better when that command is carried out.

    python -m tests.benchmarks.advised_fixes       # the programs that tests.benchmarks.confirm has put to the test, --recordings as there
    python -m tests.benchmarks.advised_fixes --within 60

Each is a trial of the unedited script with that remedy, beside the trial of the script as it is that is kept there; the words are those of
`bnprobe confirm`. What was found is kept in the same folder. ``tests.benchmarks.advised_remedies`` counts those that refuse.
"""

from __future__ import annotations

import argparse
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
from bnprobe.experiments.counterfactuals import AS_IS
from bnprobe.experiments.evidence import is_better
from bnprobe.experiments.executors.catalogue import Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.local import LocalExecutor
from bnprobe.experiments.judging import judge_trial
from bnprobe.experiments.order import Change, TrialOrder
from bnprobe.store.confirm_file import Confirmation, Trial, confirm_file_of, read_confirmation, write_confirmation
from bnprobe.store.reader import Run, read_run
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
        as_is = next(one for one in read_confirmation(confirm_file_of(path)).trials if one.name == AS_IS)
        plan = _plan(run, diagnose(run), [], None, Resources(jobs=1))
    except (RunFileError, UsageError, StopIteration):
        return {}
    found: dict[str, str] = {}
    for name in dict.fromkeys(_COMMAND.findall(diagnose(run).verdict.fix)):
        order = TrialOrder(
            plan.script,
            Change(remedies=(name,)),
            plan.steps + plan.is_whole,
            plan.threads,
            command="confirm",
            until_diverged=plan.until_diverged,
            cwd=plan.cwd,
        )
        trial = _made(run, folder / f"{case.name}.{name}.json", name, order, executor)
        if trial is not None:
            is_ahead = trial.status == "ran" and as_is.status == "ran" and is_better(trial, as_is, 0.0, changes_loss=False)
            words = {"refused": "refused", "failed": "no outcome"}
            found[name] = words.get(trial.status, "better" if is_ahead else "no better")
    return found


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
    for case in chain(of_library(options.per_cause, 0), of_reported()):
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
