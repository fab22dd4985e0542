"""How far a verdict of the first steps of a training reaches: does it still hold at 500?

    python tests/benchmarks/what_if_horizon.py [COMBINATION]...

For each combination of ``what_if.py`` and each remedy, really trains 500 steps, each rate in a process of its own, and judges the first
20, 30, 60, 120, 200 and all steps of each. The search for the limit is made with the verdicts of each horizon, so that trainings lie close
around the limits. Printed are: of all trainings, how often the verdict (trains, or not) of the first N steps is that of all 500; and for
each search how far its bracket lies from the one of 500 steps. A training that has diverged within N steps has diverged at 500: those are
counted apart, for they hold by definition.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.benchmarks.what_if import COMBINATIONS, TRAINING
from tests.benchmarks.what_if_processes import in_child

STEPS = 500
#: A verdict needs 20 losses.
HORIZONS = (20, 30, 60, 120, 200)
REMEDIES = ("none", "msr")


@dataclass
class Search:
    """All trainings of one network, optimizer and remedy.

    Attributes:
        own: arguments of the training.
        remedy: its name, or none.
        folder: for files.
        verdicts: by place on the grid: outcome and how it is stuck, by horizon.
    """

    own: list[str]
    remedy: str
    folder: Path
    verdicts: dict[int, dict[int, tuple[str, str]]] = field(default_factory=dict)

    def bracket(self, horizon: int) -> tuple[int | None, int | None]:
        """Make the search with the verdicts of one horizon; return the places between which the limit lies."""
        from bnprobe.experiments.limits.plan import next_index

        tried: dict[int, Any] = {}
        while (place := next_index(tried)) is not None:
            outcome, stuck_by = self._verdicts_at(place)[horizon]
            is_slow = outcome == "stuck" and stuck_by == "slow"
            tried[place] = "trains" if outcome == "trains" else "slow" if is_slow else "stuck" if stuck_by == "level" else "fails"
        low = max((place for place, verdict in tried.items() if verdict == "trains"), default=None)
        return low, None if low is None else min((place for place in tried if place > low), default=None)

    def _verdicts_at(self, place: int) -> dict[int, tuple[str, str]]:
        if place not in self.verdicts:
            self.verdicts[place] = self._train(place)
        return self.verdicts[place]

    def _train(self, place: int) -> dict[int, tuple[str, str]]:
        from bnprobe.experiments.limits.judge import Assignment, judge_run
        from bnprobe.store.limits_file import factor_of
        from bnprobe.store.reader import read_run
        from bnprobe.what_if.judging import Judge
        from tests.what_if.direct import train

        file = self.folder / "trial.h5"
        file.unlink(missing_ok=True)
        in_child(functools.partial(train, file, factor_of(place), STEPS, self.remedy, TRAINING, self.own), self.folder)
        run = read_run(file)
        losses = run["loss"].tolist()
        whole = judge_run(run, Assignment(self.remedy, 0, place), 0.0, "")
        if whole.outcome == "failed":
            raise RuntimeError(whole.reason)
        found: dict[int, tuple[str, str]] = {STEPS: (whole.outcome, whole.stuck_by)}
        for horizon in HORIZONS:
            judge = Judge(run, 0, horizon)
            outcome, stuck_by, _ = judge.judge(losses[:horizon], [False] * len(losses[:horizon]), 1.0, None)
            found[horizon] = outcome, stuck_by
        return found


def main() -> None:
    """Train, judge and count."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in ("torch", "torch._dynamo", "bnprobe.observe.recorder", "bnprobe.observe.trial", "bnprobe.store.reader"):
        importlib.import_module(module)
    gc.freeze()
    counts = {horizon: [0, 0, 0, 0] for horizon in HORIZONS}
    distances: dict[int, list[float]] = {horizon: [] for horizon in HORIZONS}
    for name in sys.argv[1:] or list(COMBINATIONS):
        network, optimizer, rate = COMBINATIONS[name]
        for remedy in REMEDIES:
            folder = Path(tempfile.mkdtemp())
            search = Search([network, optimizer, str(rate), str(STEPS)], remedy, folder)
            try:
                brackets = {horizon: search.bracket(horizon) for horizon in (*HORIZONS, STEPS)}
            except Exception as error:
                print(f"{name:20} {remedy:5} {type(error).__name__}: {error}", flush=True)
                continue
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            _count(search, brackets, counts, distances)
            print(f"{name:20} {remedy:5} {_shown(brackets, rate)}; {_moved(search)}", flush=True)
    _summary(counts, distances)


def _count(
    search: Search, brackets: dict[int, tuple[int | None, int | None]], counts: dict[int, list[int]], distances: dict[int, list[float]]
) -> None:
    for verdicts in search.verdicts.values():
        last = verdicts[STEPS][0]
        for horizon in HORIZONS:
            own = verdicts[horizon][0]
            if own == "diverges":
                counts[horizon][3] += 1
            elif own == "failed":
                counts[horizon][2] += 1
            else:
                counts[horizon][0] += (own == "trains") == (last == "trains")
                counts[horizon][1] += 1
    last_low = brackets[STEPS][0]
    for horizon in HORIZONS:
        low = brackets[horizon][0]
        known = low is not None and last_low is not None
        distances[horizon].append(abs(low - last_low) if known else 0.0 if low is last_low else float("inf"))  # type: ignore[operator]


def _summary(counts: dict[int, list[int]], distances: dict[int, list[float]]) -> None:
    for horizon, (held, judged, unclear, diverged) in counts.items():
        far = distances[horizon]
        print(
            f"first {horizon} steps: {held} of {judged} verdicts held at {STEPS} ({unclear} more had none, {diverged} had diverged); "
            f"bracket the same in {sum(one == 0 for one in far)}, within one step of the grid in {sum(one <= 1 for one in far)}, "
            f"within a factor of 2.3 in {sum(one <= 2 for one in far)} of {len(far)}"
        )


def _shown(brackets: dict[int, tuple[int | None, int | None]], rate: float) -> str:
    from bnprobe.store.limits_file import factor_of

    told = []
    for horizon, ends in brackets.items():
        told.append(f"{horizon}: [" + ", ".join("-" if end is None else f"{rate * factor_of(end):.3g}" for end in ends) + "]")
    return ", ".join(told)


def _moved(search: Search) -> str:
    """Say which verdicts of 60 steps did not hold."""
    from bnprobe.store.limits_file import factor_of

    moved = [
        f"x{factor_of(place):.3g} {verdicts[60][0]} then {verdicts[STEPS][0]}"
        for place, verdicts in sorted(search.verdicts.items())
        if (verdicts[60][0] == "trains") != (verdicts[STEPS][0] == "trains")
    ]
    return "after 60 steps: " + "; ".join(moved) if moved else "all of 60 steps held"


if __name__ == "__main__":
    main()
