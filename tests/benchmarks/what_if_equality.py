"""Is a training from a tape the real one? Each program recorded, trained again from its tape, and really trained in a process of its own.

Called by ``what_if.py equality``. Each real training costs a second or two; results can be kept in a file, and a run that was ended goes on
where it was.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks.what_if_processes import ROOT, Listener, in_child, made, plain

PROGRAMS = ROOT / "tests" / "programs"
STRUCTURES = ROOT / "tests" / "benchmarks" / "what_if_structures.py"
FACTORS = (1.0, 0.3, 3.0)
#: Bytes that a rerun may keep of what is the same in every one.
ROOM = 2**28
Record = dict[str, Any]


def equality(arguments: list[str]) -> None:
    """Compare trainings from tapes with real ones, and print a table and a count."""
    chosen = _chosen(arguments)
    remedies = _remedies(chosen.remedies)
    factors = [float(factor) for factor in chosen.factors.split(",")]
    programs = chosen.programs or _all_programs()
    known = {} if chosen.results is None else _known(chosen.results)
    setting = f"{chosen.steps} steps, x{chosen.factors}, {','.join(remedies)}"
    records: dict[str, Record] = {}
    began = time.monotonic()
    for number, program in enumerate(programs, 1):
        record = known.get((program, setting))
        if record is None:
            if chosen.minutes is not None and time.monotonic() - began > 60 * chosen.minutes:
                continue
            record = {"program": program, "setting": setting, **_compare(program, remedies, factors, chosen.steps)}
            if chosen.results is not None:
                with chosen.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
            seconds = time.monotonic() - began
            print(f"[{number} of {len(programs)}, {seconds:.0f} s] {program}: {_summary(record)}", flush=True)
        records[program] = record
    _print(records, remedies, len(programs))


def _chosen(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="what_if.py equality")
    parser.add_argument("programs", nargs="*", help="scripts, or names of tests/programs and of structures, with arguments")
    parser.add_argument("--remedies", default="none", help="names, or all")
    parser.add_argument("--factors", default=",".join(f"{factor:g}" for factor in FACTORS))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--results", type=Path, help="where to keep results, and to go on from")
    parser.add_argument("--minutes", type=float, help="begin no program after so many")
    return parser.parse_args(arguments)


def _remedies(chosen: str) -> list[str]:
    from bnprobe.what_if.companion import REMEDIES

    return [*REMEDIES, "dropout:after=convolutions"] if chosen == "all" else chosen.split(",")


def _all_programs() -> list[str]:
    from tests.benchmarks.what_if_structures import STRUCTURES as structures
    from tests.observe.programs import CASES

    return list(dict.fromkeys([*structures, *(case.program for case in CASES)]))


def _known(file: Path) -> dict[tuple[str, str], Record]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {(record["program"], record["setting"]): record for record in map(json.loads, lines)}


# -- one program ------------------------------------------------------------------------------------------------------


def _compare(program: str, remedies: list[str], factors: list[float], steps: int) -> Record:
    name, *own = program.split()
    script = Path(name) if name.endswith(".py") else PROGRAMS / f"{name}.py"
    if not script.exists():
        script, own = STRUCTURES, [name, *own]
    folder = Path(tempfile.mkdtemp())  # a TemporaryDirectory would be removed by the first child that ends
    try:
        return _compared(script.resolve(), own, remedies, factors, steps, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compared(script: Path, own: list[str], remedies: list[str], factors: list[float], steps: int, folder: Path) -> Record:
    from tests.what_if.direct import train

    bare = in_child(lambda: plain(script, own), made(folder / "plain"))
    recorded = in_child(lambda: taped(script, own, remedies, factors, steps, folder / "run.h5"), made(folder / "taped"))
    record: Record = {"is_unchanged": bare == recorded, "refused": "", "runs": {}}
    told = folder / "run.json"
    if not told.exists():
        return record | {"refused": f"no answer: {(folder / 'taped' / 'stderr').read_text()[-200:]}"}
    found = json.loads(told.read_text())
    if found["refusal"] or found["parted"] is not None:
        return record | {"refused": found["refusal"] or f"not proved: {found['parted']}"}
    for remedy in remedies:
        for factor in factors:
            again = found["runs"][f"{remedy} x{factor:g}"]
            if isinstance(again, str):
                record["runs"][f"{remedy} x{factor:g}"] = f"refused: {again}"
                continue
            direct = folder / "direct.h5"
            direct.unlink(missing_ok=True)
            in_child(functools.partial(train, direct, factor, None, remedy, script, own), made(folder / "direct"))
            record["runs"][f"{remedy} x{factor:g}"] = _verdict(again, direct, found["first"])
    return record


def taped(script: Path, arguments: list[str], remedies: list[str], factors: list[float], steps: int, file: Path) -> None:
    """Record a program with its steps on a tape, and train them again; write what came of it beside the run file."""
    from bnprobe.launch.session import run_recorded
    from bnprobe.launch.target import Target
    from bnprobe.observe.options import RecordOptions
    from bnprobe.what_if import companion, stretch
    from bnprobe.what_if.course import losses_differ
    from bnprobe.what_if.remedy_edits import RemedyEdits
    from bnprobe.what_if.rerun import Rerun

    stretch.FEWEST_WHAT_IF_STEPS = 1

    def answer(self: Any, ending: Any) -> None:
        found: dict[str, Any] = {"refusal": "", "runs": {}}
        program = self.stretch.take()
        if program is None:
            found["refusal"] = self.stretch.refusal
        else:
            found |= {"steps": program.steps, "first": program.first_step}
            rerun = Rerun(program, ROOM)
            edits = RemedyEdits(self.stretch.built, program)
            try:
                found["parted"] = losses_differ(program, rerun.run(keep_values=True))
            except Exception as error:
                found["parted"] = f"{type(error).__name__}: {error}"
            for remedy in remedies if found["parted"] is None else ():
                for factor, again in zip(factors, _in_turn(rerun, edits, remedy, factors), strict=True):
                    found["runs"][f"{remedy} x{factor:g}"] = again
        file.with_suffix(".json").write_text(json.dumps(found))

    companion.WhatIf.answer = answer  # type: ignore[method-assign]
    options = RecordOptions(what_if=steps, budget=1e9)
    run_recorded(Target(str(script), False, tuple(arguments)), file, options, {}, Listener(), overwrite=True)


def _in_turn(rerun: Any, edits: Any, remedy: str, factors: list[float]) -> list[list[float] | str]:
    """Train at all factors, as a search does: each is left standing half-way while others train, and taken up there.

    Returns:
        The losses at each factor, or why there are none.
    """
    half = rerun.stop_after(rerun.program.steps // 2) or None
    trainings: dict[int, Any] = {}
    found: dict[int, list[float] | str] = {}
    for stop in (half, None):
        for number in set(range(len(factors))) - found.keys():
            try:
                if number not in trainings:
                    trainings[number] = rerun.begin(factors[number], edits.of(remedy))
                if trainings[number].go_on(stop):
                    found[number] = trainings[number].course.losses
            except Exception as error:
                found[number] = f"{type(error).__name__}: {error}"
    return [found[number] for number in range(len(factors))]


def _verdict(again: list[float], direct: Path, first: int) -> str:
    from bnprobe.store.reader import read_run

    try:
        run = read_run(direct)
    except Exception as error:
        return f"LOST: the real training left no file: {error}"
    if not again:
        return "LOST: the training from the tape has no loss"
    losses = dict(zip(run["step"].tolist(), run["loss"].tolist(), strict=True))
    for step, loss in enumerate(again, first):
        if step not in losses:
            return f"SHORT: the real training ended at step {step}"
        if losses[step] != loss and not (math.isnan(losses[step]) and math.isnan(loss)):
            return f"DIFFERS: step {step}: {loss!r}, really {losses[step]!r}"
    return "equal"


# -- what is told -----------------------------------------------------------------------------------------------------


def _summary(record: Record) -> str:
    changed = "" if record["is_unchanged"] else "CHANGED: what the recorded program prints is not what the plain one does; "
    if record["refused"]:
        return f"{changed}refused: {record['refused']}"
    counts = Counter(verdict.partition(":")[0] for verdict in record["runs"].values())
    odd = [f"{run} {verdict}" for run, verdict in record["runs"].items() if verdict != "equal" and not verdict.startswith("refused")]
    return changed + ", ".join(f"{count} {word}" for word, count in counts.items()) + "".join(f"; {one}" for one in odd)


def _print(records: dict[str, Record], remedies: list[str], asked: int) -> None:
    """Print how many trainings of each program and remedy were equal: their number, - where refused, the first letter of what is odd."""
    answered = {program: record for program, record in records.items() if not record["refused"]}
    print(f"\n| program | {' | '.join(remedies)} |\n|---|{'---|' * len(remedies)}")
    for program, record in answered.items():
        print(f"| {program} | {' | '.join(_cell(record, remedy) for remedy in remedies)} |")
    verdicts = Counter(verdict.partition(":")[0] for record in answered.values() for verdict in record["runs"].values())
    equal = [record for record in answered.values() if not any(map(_is_odd, record["runs"].values()))]
    unchanged = sum(record["is_unchanged"] for record in records.values())
    print(
        f"\n{len(records)} of {asked} programs compared: {len(equal)} equal in every training that was not refused, "
        f"{len(answered) - len(equal)} not in all, {len(records) - len(answered)} refused as a whole; "
        f"trainings: {dict(verdicts)}; {unchanged} programs print recorded what they print plainly"
    )


def _cell(record: Record, remedy: str) -> str:
    verdicts = [verdict for run, verdict in record["runs"].items() if run.rpartition(" ")[0] == remedy]
    odd = "".join(verdict[0] for verdict in verdicts if _is_odd(verdict))
    equal = verdicts.count("equal")
    return f"{equal or ''}{odd}" or "-"


def _is_odd(verdict: str) -> bool:
    return verdict != "equal" and not verdict.startswith("refused")
