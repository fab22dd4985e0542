"""What a training from tapes is worth: is it the real one, does it find the limits that trials find, what does it cost?

    python tests/benchmarks/what_if.py equality [--remedies all|NAME,...] [--results FILE] [--minutes M] ["PROGRAM ARG..."]...
    python tests/benchmarks/what_if.py agreement [--steps N] [--fresh] [TRAINING]...
    python tests/benchmarks/what_if.py cost [--rounds N] [TRAINING]...
    python tests/benchmarks/what_if.py count [--steps N] [TRAINING]...
    python tests/benchmarks/what_if.py memory|kept [TRAINING]...

Every program of ``tests/programs`` is recorded with its steps on a tape, trained again from that at three factors on its rates, and really
trained at each in a process of its own: are the losses equal to the last bit? And are the weights of the recorded training those of the
unrecorded one? Without programs, the trainings of ``what_if_structures.py`` and all cases of ``tests/observe/programs.py``. With
``--results`` a command that was ended goes on where it was.

``agreement`` makes the search of ``lr-limit`` twice for each combination of a network and an optimizer, without and with mean shift
rejection: by real trainings in processes of their own, and from the tape of one recording; with ``--fresh`` for the twelve of
``what_if_fresh.py``. ``cost`` measures a taped step against a plain
one, and the whole answer (without and with mean shift rejection) against the bare stretch; ``count`` counts its steps, for all trainings of
``agreement`` and of ``what_if_structures.py``; ``memory`` measures the peak against what was promised; ``kept`` the file of tapes.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from bnprobe.launch.target import Target
from tests.benchmarks.what_if_cost import STRUCTURES, TRAINING, cost, kept, memory
from tests.benchmarks.what_if_count import count
from tests.benchmarks.what_if_equality import equality
from tests.benchmarks.what_if_processes import Listener, in_child, made

#: Network, optimizer, rate, remedy of the second search.
COMBINATIONS = {
    "plain-sgd": ("plain", "sgd", 0.1),
    "plain-momentum": ("plain", "momentum", 0.05),
    "vgg-nesterov": ("vgg", "nesterov", 0.02),
    "residual-momentum": ("residual", "momentum", 0.01),
    "residual-norm-adam": ("residual-norm", "adam", 0.003),
    "transformer-adamw": ("transformer", "adamw", 0.002),
    "convnext-adamw": ("convnext", "adamw", 0.002),
    "mixer-adam": ("mixer", "adam", 0.003),
    "recurrent-rmsprop": ("recurrent", "rmsprop", 0.003),
    "unet-momentum": ("unet", "momentum", 0.05),
    "mlp-adagrad": ("mlp", "adagrad", 0.02),
    "plain-rmsprop": ("plain", "rmsprop", 0.001),
}


def agreement(arguments: list[str]) -> None:
    """Compare the brackets from a tape with those of real trials."""
    from tests.benchmarks.what_if_fresh import FRESH
    from tests.benchmarks.what_if_structures import STRUCTURES as structures

    parser = argparse.ArgumentParser(prog="what_if.py agreement")
    parser.add_argument("trainings", nargs="*", metavar="TRAINING")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--fresh", action="store_true", help="those of what_if_fresh.py")
    chosen = parser.parse_args(arguments)
    targets = {name: (TRAINING, (*map(str, one), str(chosen.steps))) for name, one in COMBINATIONS.items()}
    targets |= {name: (STRUCTURES, (name, str(chosen.steps))) for name in structures}
    same = near = all_of_them = 0
    for name in chosen.trainings or list(FRESH if chosen.fresh else COMBINATIONS):
        own = Target(str(targets[name][0]), False, targets[name][1])
        folder = Path(tempfile.mkdtemp())
        found = _answers(own, chosen.steps, folder)
        for remedy in ("none", "msr"):
            answer = found["remedies"].get(remedy)
            if answer is None:
                why = next((one["why"] for one in found["refused"] if one["what"] in (remedy, "all", "proof")), "")
                print(f"{name:20} {remedy:5} refused: {why}", flush=True)
                continue
            trials = _real_search(own, remedy, chosen.steps, folder)
            real = _bracket(trials, found["own_rate"])
            told = (answer["trains_at"], answer["fails_at"])
            equal = _near(told, real, 1.0 + 1e-9)
            same, near, all_of_them = same + equal, near + _near(told, real, 1.5), all_of_them + 1
            odd = "" if equal else f"; really {trials}; from the tape {[(one['rate'], one['outcome']) for one in answer['trials']]}"
            if not equal:  # the searches went through other places: is that of the tape right where it went?
                places = [round(4 * math.log(rate / found["own_rate"], 5)) for rate in told if rate is not None]
                odd += (
                    f"; the rates from the tape, really: {[_real_trial(own, remedy, chosen.steps, folder, one).outcome for one in places]}"
                )
            print(f"{name:20} {remedy:5} {_shown(told)} from the tape, {_shown(real)} by trials{odd}", flush=True)
        print(f"{name:20} {found['rerun_steps'] / chosen.steps:.1f} bare stretches", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"the same bracket in {same} of {all_of_them}; within a factor of 1.5 in {near}")


def _answers(own: Target, steps: int, folder: Path) -> dict[str, Any]:
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.launch.session import run_recorded
    from bnprobe.observe.options import RecordOptions
    from bnprobe.store.reader import read_run

    options = RecordOptions(what_if=steps, what_if_remedies=("none", "msr"))
    in_child(functools.partial(run_recorded, own, folder / "run.h5", options, {}, Listener()), made(folder / "taped"))
    found = what_if_of(read_run(folder / "run.h5"))
    assert found is not None
    return found.document() | {"rerun_steps": found.rerun_steps}


def _real_search(own: Target, remedy: str, steps: int, folder: Path) -> dict[int, str]:
    """Make the search of ``lr-limit`` by real trainings; return the outcome at each place of its grid."""
    from bnprobe.analyse.limits import verdict_of
    from bnprobe.experiments.limits.plan import next_index

    trials: dict[int, Any] = {}
    while (place := next_index({index: verdict_of(trial) for index, trial in trials.items()})) is not None:
        trials[place] = _real_trial(own, remedy, steps, folder, place)
    return {place: trial.outcome for place, trial in sorted(trials.items())}


def _real_trial(own: Target, remedy: str, steps: int, folder: Path, place: int) -> Any:
    """Really train at a place of the grid, and judge it as ``lr-limit`` does."""
    from bnprobe.experiments.limits.judge import Assignment, judge_run
    from bnprobe.store.limits_file import factor_of
    from bnprobe.store.reader import read_run
    from tests.what_if.direct import train

    file = folder / "direct.h5"
    file.unlink(missing_ok=True)
    in_child(functools.partial(train, file, factor_of(place), steps, remedy, Path(own.name), list(own.arguments)), made(folder / "direct"))
    return judge_run(read_run(file), Assignment(remedy, 0, place), 0.0, "")


def _bracket(trials: dict[int, str], own_rate: float) -> tuple[float | None, float | None]:
    from bnprobe.store.limits_file import factor_of

    low = max((place for place, outcome in trials.items() if outcome == "trains"), default=None)
    if low is None:
        high = min((place for place, outcome in trials.items() if outcome == "diverges"), default=None)
    else:
        high = min((place for place in trials if place > low), default=None)
    return tuple(None if place is None else own_rate * factor_of(place) for place in (low, high))  # type: ignore[return-value]


def _near(told: tuple[float | None, float | None], real: tuple[float | None, float | None], ratio: float) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or max(a / b, b / a) <= ratio) for a, b in zip(told, real, strict=True)
    )


def _shown(bracket: tuple[float | None, float | None]) -> str:
    return "[" + ", ".join("-" if end is None else f"{end:.4g}" for end in bracket) + "]"


def main() -> None:
    """Run one of the benchmarks."""
    kinds = {
        "equality": equality,
        "agreement": agreement,
        "cost": cost,
        "count": functools.partial(count, combinations=COMBINATIONS),
        "memory": memory,
        "kept": kept,
    }
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind not in kinds:
        sys.exit(f"say one of {', '.join(kinds)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Imported once, before any process is forked.
    for module in ("torch", "torch._dynamo", "torch.func", "torch.nn.utils.parametrizations", "torch.utils.checkpoint"):
        importlib.import_module(module)
    for module in ("observe.recorder", "observe.trial", "what_if.companion", "launch.session", "store.reader"):
        importlib.import_module(f"bnprobe.{module}")
    gc.freeze()
    kinds[kind](sys.argv[2:])


if __name__ == "__main__":
    main()
