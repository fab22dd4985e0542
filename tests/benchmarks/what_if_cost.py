"""What a what-if costs: a taped step, the answer, memory against what was promised, and tapes in a file.

Called by ``what_if.py cost``, ``memory`` and ``kept``. Times are of the processor, so that a busy machine does not count; each is measured
in a process of its own.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import itertools
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.what_if_processes import ROOT, Listener, in_child, made

TRAINING = ROOT / "tests" / "benchmarks" / "what_if_training.py"
STRUCTURES = ROOT / "tests" / "benchmarks" / "what_if_structures.py"
STEPS = 60
#: Network, optimizer, rate, batch.
TRAININGS = {
    "plain": ("plain", "momentum", 0.05, 64),
    "plain-128": ("plain", "momentum", 0.05, 128),
    "residual-norm": ("residual-norm", "adam", 0.003, 64),
    "transformer": ("transformer", "adamw", 0.002, 64),
    "wide-transformer": ("wide-transformer", "adamw", 0.001, 64),
}
#: The same of ``what_if_structures.py``, whose operations are small: python at each of them shows.
SMALL = ("gpt-with-dropout", "llama-bfloat16", "lstm-clipped", "distilled")
#: Memory that is promised, MiB.
PROMISES = (16, 64, 2048)
Found = dict[str, Any]


def cost(arguments: list[str]) -> None:
    """Measure a taped step against a plain and a recorded one, and the answer without and with msr against the bare stretch.

    Each is measured in several rounds, the plain training before and after the taped one; what is told is the median of the rounds, and of
    the answer the range, too.
    """
    parser = argparse.ArgumentParser(prog="what_if.py cost")
    parser.add_argument("trainings", nargs="*", metavar="TRAINING")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    print(
        "| training | plain step | operations | recorded | taped | taped to recorded | an operation | answer, without and with msr | "
        "steps again | more memory |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in chosen.trainings or [*TRAININGS, *SMALL]:
        with _runs(name) as run:
            rounds = [_round(run) for _ in range(chosen.rounds)]
        middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        answers = sorted(one["answer"] / (STEPS * one["step"]) for one in rounds)
        print(
            f"| {name} | {1e3 * middle['step']:.1f} ms | {middle['operations']:.0f} | {middle['recorded']:.2f} | {middle['taped']:.2f} | "
            f"{middle['to recorded']:.2f} | {1e6 * middle['each']:.0f} us | "
            f"{middle['answer']:.1f} s, {statistics.median(answers):.1f} bare stretches ({answers[0]:.1f} to {answers[-1]:.1f}) | "
            f"{middle['again']:.0f} | {middle['memory']:.0f} MiB |",
            flush=True,
        )


def _round(run: Any) -> dict[str, float]:
    before, recorded, taped, after = run(None), run({}), run({"what_if": STEPS, "what_if_remedies": ("none", "msr")}), run(None)
    step = (before["step"] + after["step"]) / 2
    return {
        "step": step,
        "recorded": recorded["step"] / step,
        "taped": taped["step"] / step,
        "to recorded": taped["step"] / recorded["step"],
        "operations": taped["operations"],
        "each": (taped["step"] - recorded["step"]) / taped["operations"],
        "answer": taped["answer"],
        "again": taped["again"],
        "memory": taped["memory"] - before["memory"],
    }


def memory(arguments: list[str]) -> None:
    """Measure the peak of memory, over that of a recording without a what-if, against what ``--what-if-memory`` promises."""
    print("| training | promised | steps | more than recorded |")
    print("|---|---|---|---|")
    for name in arguments or ["plain", "wide-transformer"]:
        with _runs(name) as run:
            recorded = run({})
            for promise in PROMISES:
                taped = run({"what_if": STEPS, "what_if_remedies": ("none", "msr"), "what_if_memory": promise * 2**20})
                print(f"| {name} | {promise} MiB | {taped['steps']} | {taped['memory'] - recorded['memory']:.0f} MiB |", flush=True)


def kept(arguments: list[str]) -> None:
    """Measure tapes in a file: its size, the time to write it, and the time of one new question from it."""
    print("| training | tapes | time to write | one more rate, in bare stretches (reading and proof included) | of it reading |")
    print("|---|---|---|---|---|")
    for name in arguments or list(TRAININGS):
        with _runs(name) as run:
            bare = run(None)
            taped = run({"what_if": STEPS, "what_if_remedies": ("none",), "keep_tapes": True})
            asked = run({}, asks=True)
        stretch = STEPS * bare["step"]
        print(
            f"| {name} | {taped['size'] / 2**20:.1f} MiB | {taped['write']:.2f} s | "
            f"{asked['question']:.2f} s, {asked['question'] / stretch:.1f} | {asked['read']:.2f} s |",
            flush=True,
        )


@contextmanager
def _runs(name: str) -> Iterator[Any]:
    """Give a function that trains, or asks of what was trained last with its tapes kept, in a process of its own; None is unrecorded."""
    script, own = STRUCTURES, [name, str(STEPS)]
    if name in TRAININGS:
        script, own = TRAINING, [*map(str, TRAININGS[name][:3]), str(STEPS), str(TRAININGS[name][3])]
    folder = Path(tempfile.mkdtemp())
    count = itertools.count()

    def run(options: Found | None, asks: bool = False) -> Found:
        file = folder / f"{next(count)}.json"
        train = functools.partial(_measured, script, own, options, folder / "run.h5", file)
        work = functools.partial(_asked, folder / "run.h5", file) if asks else train
        status, _ = in_child(work, made(folder / "child"))
        if not file.exists():
            raise RuntimeError(f"{name} ended with {status}: {(folder / 'child' / 'stderr').read_text()[-500:]}")
        found: Found = json.loads(file.read_text())
        return found

    try:
        yield run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(script: Path, own: list[str], options: Found | None, run_file: Path, file: Path) -> None:
    """Train, and write how long a step took, the median of all, and what the what-if did."""
    import torch

    from bnprobe.launch.session import run_plainly, run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions

    times: list[float] = []
    found: Found = {}
    torch.optim.Optimizer.profile_hook_step = staticmethod(_timed(torch.optim.Optimizer.profile_hook_step, times))  # type: ignore[method-assign]
    target = Target(str(script), False, tuple(own))
    with contextlib.suppress(SystemExit):
        if options is None:
            run_plainly(target)
        else:
            _watch(found)
            run_recorded(target, run_file, RecordOptions(**options), {}, Listener(), overwrite=True)
    steps = [later - earlier for earlier, later in itertools.pairwise(times[:STEPS])]
    atexit._run_exitfuncs()
    found |= {"step": statistics.median(steps), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    file.write_text(json.dumps(found))


def _watch(found: Found) -> None:
    """Write down what the what-if of a recording does."""
    from bnprobe.observe.probes.tape import Operation
    from bnprobe.what_if import companion

    began = 0.0
    answer, answers_of, store = companion.WhatIf.answer, companion.WhatIf._answers, companion.WhatIf._store
    write = companion.write_tapes

    def timed_answer(self: Any, ending: Any) -> None:
        nonlocal began
        began = time.process_time()
        answer(self, ending)

    def counted_answers(self: Any, program: Any, *others: Any) -> Any:
        found["operations"] = sum(isinstance(item, Operation) for item in program.items) / program.steps
        return answers_of(self, program, *others)

    def timed_store(self: Any, answers: Any) -> None:
        found.update(answer=time.process_time() - began, again=answers.rerun_steps, steps=answers.steps)
        store(self, answers)

    def timed_write(*args: Any) -> int:
        start = time.process_time()
        size = write(*args)
        found.update(size=size, write=time.process_time() - start)
        return size

    companion.WhatIf.answer, companion.WhatIf._store = timed_answer, timed_store  # type: ignore[method-assign]
    companion.WhatIf._answers = counted_answers  # type: ignore[method-assign]
    companion.write_tapes = timed_write  # type: ignore[assignment]


def _asked(run_file: Path, file: Path) -> None:
    """Ask kept tapes for one more rate, and write how long that took."""
    from bnprobe.store.reader import read_run
    from bnprobe.what_if import later

    read, reading = later.read_tapes, 0.0

    def timed_read(*args: Any) -> Any:
        nonlocal reading
        start = time.process_time()
        tapes = read(*args)
        reading = time.process_time() - start
        return tapes

    later.read_tapes = timed_read  # type: ignore[assignment]
    run = read_run(run_file)
    start = time.process_time()
    found = later.ask(run, run_file, [0.7 * float(run.attributes["what_if_own_rate"])], ["none"], None)
    if not found.proved:
        raise RuntimeError(f"not proved: {found.refused}")
    file.write_text(json.dumps({"question": time.process_time() - start, "read": reading}))


def _timed(original: Any, times: list[float]) -> Any:
    @functools.wraps(original)
    def profile_hook_step(function: Any) -> Any:
        hooked = original(function)

        @functools.wraps(hooked)
        def step(*args: Any, **kwargs: Any) -> Any:
            times.append(time.process_time())
            return hooked(*args, **kwargs)

        return step

    return profile_hook_step
