"""What a training from tapes is worth: is it the real one, does it find the limits that trials find, what does it cost?

    python tests/benchmarks/what_if.py equality [--remedies NAME,...] [--factors F,...] [PROGRAM.py [ARG]...]...
    python tests/benchmarks/what_if.py agreement [--steps N] [COMBINATION]...
    python tests/benchmarks/what_if.py cost [COMBINATION]...

Every program of ``tests/programs`` is recorded with its steps on a tape, trained again from that at three factors on its rates, and really
trained at each in a process of its own: are the losses equal to the last bit? And are the weights of the recorded training those of the
unrecorded one? Without programs, all cases of ``tests/observe/programs.py``.

``agreement`` makes the search of ``lr-limit`` twice for each combination of a network and an optimizer, without and with mean shift
rejection: by real trainings in processes of their own, and from the tape of one recording. ``cost`` measures a taped step against a plain
one, and the whole answer (without and with mean shift rejection) against the bare stretch.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib
import itertools
import json
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
PROGRAMS = ROOT / "tests" / "programs"
FACTORS = (1.0, 0.3, 3.0)


def in_child(work: Callable[[], None], folder: Path, timeout: float = 900.0) -> tuple[int, str]:
    """Run something in a forked process; return its status and what it printed."""
    import signal
    import time

    printed = folder / "stdout"
    child = os.fork()
    if child == 0:
        leave = os._exit
        status = 1
        for number, path in ((1, printed), (2, folder / "stderr")):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
        workplace = folder / "work"
        workplace.mkdir(exist_ok=True)
        os.chdir(workplace)
        try:
            work()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        import atexit
        import threading

        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        leave(status)
    deadline = time.monotonic() + timeout
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), printed.read_text(errors="replace")
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = math.inf
        time.sleep(0.01)


class _Listener:
    def fault(self, error: Exception) -> None:
        print(f"fault: {type(error).__name__}: {error}", file=sys.stderr)

    def ended(self, *anything: Any) -> None:
        pass


def plain(script: Path, arguments: list[str]) -> None:
    """Run a program as it is."""
    from bnprobe.launch.session import run_plainly
    from bnprobe.launch.target import Target

    run_plainly(Target(str(script), False, tuple(arguments)))


def taped(script: Path, arguments: list[str], runs: list[tuple[str, float]], steps: int, file: Path) -> None:
    """Record a program with its steps on a tape, and train them again; write what came of it."""
    from bnprobe.launch.session import run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions
    from bnprobe.what_if import companion, stretch
    from bnprobe.what_if.remedy_edits import RemedyEdits
    from bnprobe.what_if.rerun import Rerun, losses_differ

    stretch.FEWEST_WHAT_IF_STEPS = 1

    def answer(self: Any, ending: Any) -> None:
        found: dict[str, Any] = {"refusal": "", "runs": {}}
        program = self.stretch.take()
        if program is None:
            found["refusal"] = self.stretch.refusal
        else:
            found |= {"steps": program.steps, "first": program.first_step}
            rerun = Rerun(program)
            edits = RemedyEdits(self.stretch.built, program)
            try:
                found["parted"] = losses_differ(program, rerun.run(keep_values=True))
            except Exception as error:
                found["parted"] = f"{type(error).__name__}: {error}"
            if found["parted"] is None:
                for remedy, factor in runs:
                    try:
                        found["runs"][f"{remedy} {factor}"] = rerun.run(factor, edits.of(remedy)).losses
                    except Exception as error:
                        found["runs"][f"{remedy} {factor}"] = f"{type(error).__name__}: {error}"
        file.with_suffix(".json").write_text(json.dumps(found))

    companion.WhatIf.answer = answer  # type: ignore[method-assign]
    options = RecordOptions(what_if=steps, budget=1e9)
    run_recorded(Target(str(script), False, tuple(arguments)), file, options, {}, _Listener(), overwrite=True)


def equality(arguments: list[str]) -> None:
    """Compare trainings from tapes with real ones."""
    parser = argparse.ArgumentParser(prog="what_if.py equality")
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--remedies", default="none")
    parser.add_argument("--factors", default=",".join(map(str, FACTORS)))
    parser.add_argument("--steps", type=int, default=12)
    chosen = parser.parse_args(arguments)
    from tests.observe.programs import CASES

    programs = chosen.programs or list(dict.fromkeys(case.program for case in CASES))
    runs = [(remedy, float(factor)) for remedy in chosen.remedies.split(",") for factor in chosen.factors.split(",")]
    counts: Counter[str] = Counter()
    equal_programs = 0
    for program in programs:
        name, *own = program.split()
        script = Path(name) if name.endswith(".py") else PROGRAMS / f"{name}.py"
        folder = Path(tempfile.mkdtemp())  # a TemporaryDirectory would be removed by the first child that ends
        verdicts = _compare(script.resolve(), own, runs, chosen.steps, folder)
        shutil.rmtree(folder, ignore_errors=True)
        counts.update(verdict.partition(":")[0] for verdict in verdicts)
        equal_programs += "equal" in verdicts and not any(verdict.startswith("DIFFERS") for verdict in verdicts)
        print(f"{program:32} {'; '.join(verdicts)}", flush=True)
    print(f"{equal_programs} of {len(programs)} programs equal; trainings: {dict(counts)}")


def _compare(script: Path, own: list[str], runs: list[tuple[str, float]], steps: int, folder: Path) -> list[str]:
    from tests.what_if.direct import train

    bare_status, bare = in_child(lambda: plain(script, own), _made(folder / "plain"))
    status, recorded = in_child(lambda: taped(script, own, runs, steps, folder / "run.h5"), _made(folder / "taped"))
    verdicts = (
        [] if (bare_status, bare) == (status, recorded) else ["CHANGED: what the recorded program prints is not what the plain one does"]
    )
    told = folder / "run.json"
    if not told.exists():
        return [*verdicts, f"LOST: no answer: {(folder / 'taped' / 'stderr').read_text()[-200:]}"]
    found = json.loads(told.read_text())
    if found["refusal"]:
        return [*verdicts, f"refused: {found['refusal']}"]
    if found["parted"] is not None:
        return [*verdicts, f"unproved: {found['parted']}"]
    for remedy, factor in runs:
        again = found["runs"][f"{remedy} {factor}"]
        if isinstance(again, str):
            verdicts.append(f"refused: {remedy} x{factor:g}: {again}")
            continue
        direct = folder / "direct.h5"
        direct.unlink(missing_ok=True)
        in_child(functools.partial(train, direct, factor, None, remedy, script, own), _made(folder / "direct"))
        verdicts.append(_verdict(again, direct, found["first"], f"{remedy} x{factor:g}"))
    return verdicts


def _verdict(again: list[float], direct: Path, first: int, what: str) -> str:
    from bnprobe.store.reader import read_run

    try:
        run = read_run(direct)
    except Exception as error:
        return f"LOST: {what}: the real training left no file: {error}"
    losses = dict(zip(run["step"].tolist(), run["loss"].tolist(), strict=True))
    for step, loss in enumerate(again, first):
        if step not in losses:
            return f"SHORT: {what}: the real training ended at step {step}"
        if losses[step] != loss and not (math.isnan(losses[step]) and math.isnan(loss)):
            return f"DIFFERS: {what}: step {step}: {loss!r}, really {losses[step]!r}"
    return "equal"


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
TRAINING = ROOT / "tests" / "benchmarks" / "what_if_training.py"


def agreement(arguments: list[str]) -> None:
    """Compare the brackets from a tape with those of real trials."""
    parser = argparse.ArgumentParser(prog="what_if.py agreement")
    parser.add_argument("combinations", nargs="*")
    parser.add_argument("--steps", type=int, default=60)
    chosen = parser.parse_args(arguments)
    same = near = all_of_them = 0
    for name in chosen.combinations or list(COMBINATIONS):
        network, optimizer, rate = COMBINATIONS[name]
        own = [network, optimizer, str(rate), str(chosen.steps)]
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
            print(f"{name:20} {remedy:5} {_shown(told)} from the tape, {_shown(real)} by trials{odd}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"the same bracket in {same} of {all_of_them}; within a factor of 1.5 in {near}")


def _answers(own: list[str], steps: int, folder: Path) -> dict[str, Any]:
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.launch.session import run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions
    from bnprobe.store.reader import read_run

    options = RecordOptions(what_if=steps, what_if_remedies=("none", "msr"))
    target = Target(str(TRAINING), False, tuple(own))
    in_child(functools.partial(run_recorded, target, folder / "run.h5", options, {}, _Listener()), _made(folder / "taped"))
    found = what_if_of(read_run(folder / "run.h5"))
    assert found is not None
    return found.document()


def _real_search(own: list[str], remedy: str, steps: int, folder: Path) -> dict[int, str]:
    """Make the search of ``lr-limit`` by real trainings; return the outcome at each place of its grid."""
    from bnprobe.analyse.limits import verdict_of
    from bnprobe.lrlimit.judge import judge_run
    from bnprobe.lrlimit.plan import next_index
    from bnprobe.lrlimit.trial import Assignment
    from bnprobe.store.limits_file import factor_of
    from bnprobe.store.reader import read_run
    from tests.what_if.direct import train

    trials: dict[int, Any] = {}
    while (place := next_index({index: verdict_of(trial) for index, trial in trials.items()})) is not None:
        file = folder / "direct.h5"
        file.unlink(missing_ok=True)
        in_child(functools.partial(train, file, factor_of(place), steps, remedy, TRAINING, own), _made(folder / "direct"))
        trials[place] = judge_run(read_run(file), Assignment(remedy, 0, place), 0.0, "")
    return {place: trial.outcome for place, trial in sorted(trials.items())}


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


def cost(arguments: list[str]) -> None:
    """Measure what taping and answering cost."""
    steps = 60
    for name in arguments or ["plain-momentum", "residual-norm-adam", "transformer-adamw"]:
        network, optimizer, rate = COMBINATIONS[name]
        own = [network, optimizer, str(rate), str(steps)]
        folder = Path(tempfile.mkdtemp())
        in_child(functools.partial(_measured, own, None, folder / "bare.json"), _made(folder / "bare"))
        in_child(functools.partial(_measured, own, 0, folder / "recorded.json"), _made(folder / "recorded"))
        in_child(functools.partial(_measured, own, steps, folder / "taped.json"), _made(folder / "taped"))
        bare, recorded, taped = (json.loads((folder / f"{kind}.json").read_text()) for kind in ("bare", "recorded", "taped"))
        print(
            f"{name:20} plain step {1e3 * bare['step']:.1f} ms, taped {1e3 * taped['step']:.1f} ms "
            f"({taped['step'] / bare['step']:.2f} times; recorded alone {recorded['step'] / bare['step']:.2f}); "
            f"the answer {taped['answer']:.1f} s of processor time, "
            f"{taped['answer'] / (steps * bare['step']):.1f} times the bare stretch, {taped['again']} steps trained again; "
            f"memory at most {taped['memory'] - bare['memory']:.0f} MiB more",
            flush=True,
        )
        shutil.rmtree(folder, ignore_errors=True)


def _measured(own: list[str], what_if: int | None, file: Path) -> None:
    """Train, and write how long a step took, the median of all, in processor time."""
    import resource
    import statistics
    import time

    import torch

    from bnprobe.launch.session import run_plainly, run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions

    times: list[float] = []
    found: dict[str, Any] = {"answer": 0.0, "again": 0}
    torch.optim.Optimizer.profile_hook_step = staticmethod(_timed(torch.optim.Optimizer.profile_hook_step, times))  # type: ignore[method-assign]
    target = Target(str(TRAINING), False, tuple(own))
    if what_if is None:
        with contextlib.suppress(SystemExit):
            run_plainly(target)
    else:
        from bnprobe.what_if.companion import WhatIf

        store = WhatIf._store

        def keep(self: Any, answers: Any) -> None:
            found.update(answer=time.process_time() - began, again=answers.rerun_steps)
            store(self, answers)

        answer = WhatIf.answer

        def timed(self: Any, ending: Any) -> None:
            nonlocal began
            began = time.process_time()
            answer(self, ending)

        began = 0.0
        WhatIf._store, WhatIf.answer = keep, timed  # type: ignore[method-assign]
        options = RecordOptions(what_if=what_if or None, what_if_remedies=("none", "msr"))
        with contextlib.suppress(SystemExit):
            run_recorded(target, file.with_suffix(".h5"), options, {}, _Listener())
    import atexit

    steps = [later - earlier for earlier, later in itertools.pairwise(times[:60])]
    atexit._run_exitfuncs()
    found |= {"step": statistics.median(steps), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    file.write_text(json.dumps(found))


def _timed(original: Any, times: list[float]) -> Any:
    import time

    @functools.wraps(original)
    def profile_hook_step(function: Any) -> Any:
        hooked = original(function)

        @functools.wraps(hooked)
        def step(*args: Any, **kwargs: Any) -> Any:
            times.append(time.process_time())
            return hooked(*args, **kwargs)

        return step

    return profile_hook_step


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def main() -> None:
    """Run one of the benchmarks."""
    kinds = {"equality": equality, "agreement": agreement, "cost": cost}
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
