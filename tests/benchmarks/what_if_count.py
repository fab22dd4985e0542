"""How many steps an answer takes: counted, so that a busy machine does not matter, for every training of the what-if's benchmarks.

Called by ``what_if.py count``. The aim: without and with mean shift rejection, ten bare stretches at most.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.what_if_cost import STEPS, TRAINING
from tests.benchmarks.what_if_equality import STRUCTURES
from tests.benchmarks.what_if_processes import Listener, in_child, made

#: Bare stretches that an answer may take.
AIM = 10


def count(arguments: list[str], combinations: dict[str, tuple[str, str, float]]) -> None:
    """Count the steps trained again for each of the combinations of a network and an optimizer, and each of the structures."""
    from tests.benchmarks.what_if_structures import STRUCTURES as structures

    parser = argparse.ArgumentParser(prog="what_if.py count")
    parser.add_argument("trainings", nargs="*", metavar="TRAINING")
    parser.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args(arguments)
    programs = {name: (TRAINING, [*map(str, one), str(chosen.steps)]) for name, one in combinations.items()}
    programs |= {name: (STRUCTURES, [name, str(chosen.steps)]) for name in structures}
    print("| training | steps again | bare stretches | no remedy | msr |\n|---|---|---|---|---|")
    stretches = []
    for name in chosen.trainings or list(programs):
        found = _answer(*programs[name], chosen.steps)
        if not found.proved or found.steps != chosen.steps:
            print(f"| {name} | - | - | {'; '.join(one.why for one in found.refused)} | |", flush=True)
            continue
        stretches.append(found.rerun_steps / chosen.steps)
        told = [_told(found, remedy) for remedy in ("none", "msr")]
        print(f"| {name} | {found.rerun_steps} | {stretches[-1]:.1f} | {' | '.join(told)} |", flush=True)
    within = sum(one <= AIM for one in stretches)
    print(f"{within} of {len(stretches)} within the aim of {AIM} bare stretches; the most {max(stretches, default=0):.1f}")


def _answer(script: Path, own: list[str], steps: int) -> Any:
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.launch.session import run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions
    from bnprobe.store.reader import read_run

    folder = Path(tempfile.mkdtemp())  # a TemporaryDirectory would be removed by the child
    try:
        options = RecordOptions(what_if=steps, what_if_remedies=("none", "msr"))
        target = Target(str(script), False, tuple(own))
        in_child(functools.partial(run_recorded, target, folder / "run.h5", options, {}, Listener()), made(folder / "taped"))
        return what_if_of(read_run(folder / "run.h5"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(found: Any, remedy: str) -> str:
    """Return the bracket, and at how many rates a training was made; where there is none, why."""
    answer = found.remedies.get(remedy)
    if answer is None:
        return next((one.why for one in found.refused if one.what == remedy), "")
    ends = ", ".join("-" if end is None else f"{end:.3g}" for end in (answer.trains_at, answer.fails_at))
    return f"[{ends}] from {len(answer.trials)}"
