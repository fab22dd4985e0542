"""What a training from tapes is worth: is it the real one, does it find the limits that trials find, what does it cost?

    python tests/benchmarks/what_if.py equality [--remedies NAME,...] [--factors F,...] [PROGRAM.py [ARG]...]...

Every program of ``tests/programs`` is recorded with its steps on a tape, trained again from that at three factors on its rates, and really
trained at each in a process of its own: are the losses equal to the last bit? And are the weights of the recorded training those of the
unrecorded one? Without programs, all cases of ``tests/observe/programs.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib
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


def in_child(work: Callable[[], None], folder: Path, timeout: float = 300.0) -> tuple[int, str]:
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

    stretch.FEWEST_STEPS = 1

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


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def main() -> None:
    """Run one of the benchmarks."""
    kinds = {"equality": equality}
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
