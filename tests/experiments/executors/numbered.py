"""A plan of numbered trials of one script, and the command that makes them: `python -m tests.experiments.executors.numbered`.

The results file is one line of JSON for each trial that ended: its number, exit status, seconds, how often it was begun, what it said.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bnprobe.cli.interruption import terminable
from bnprobe.experiments.executors.catalogue import NAMES, Resources
from bnprobe.experiments.executors.executor import Executor
from bnprobe.experiments.executors.remote import RemoteTrial
from bnprobe.experiments.experiment import Experiment
from bnprobe.experiments.order import Change, Script, TrialOrder
from bnprobe.experiments.running_trial import RunningTrial


class Numbered(Experiment[int]):
    """Trials 0 to ``count`` - 1 of a script that is told its number."""

    def __init__(self, path: Path, jobs: int, executor: Executor, script: str, count: int) -> None:
        super().__init__(path, jobs, executor)
        self._script = script
        self._left = list(range(count))

    def next_order(self) -> int | None:
        return self._left.pop(0) if self._left else None

    def trial_of(self, order: int) -> TrialOrder:
        return TrialOrder(Script(self._script, False, (str(order),)), Change(), None, 1, command="lr-limit")

    def ended(self, order: int, trial: RunningTrial) -> None:
        begun = trial.attempts if isinstance(trial, RemoteTrial) else 1
        said = [line for line in trial.output().splitlines() if line.startswith("number ")]
        with self._path.open("a", encoding="utf-8") as file:
            found = {"number": order, "status": trial.exit_status, "seconds": trial.seconds, "begun": begun, "said": said}
            file.write(json.dumps(found) + "\n")

    def waiting(self) -> None:
        pass

    def run(self) -> None:
        with self.owning_the_file():
            self.make_trials()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executor", choices=NAMES, default="local")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("file", type=Path)
    parser.add_argument("script")
    given = parser.parse_args()
    with Resources(given.executor, given.jobs, 1).open() as executor, terminable():
        Numbered(given.file, given.jobs, executor, given.script, given.count).run()


if __name__ == "__main__":
    main()
