"""How often `bnprobe diagnose` is right: every program of the fault library, with its fault and without, recorded and diagnosed.

    python -m tests.benchmarks.diagnosis                        # all programs, seed 0
    python -m tests.benchmarks.diagnosis --seeds 3              # three seeds each
    python -m tests.benchmarks.diagnosis --every 5              # every fifth step measured
    python -m tests.benchmarks.diagnosis --default --sample 150 # default options beside everything measured, of a fixed random sample
    python -m tests.benchmarks.diagnosis --kill                 # runs that diverge are killed (SIGKILL) one step after
    python -m tests.benchmarks.diagnosis --only tuned --cause dead-units
    python -m tests.benchmarks.diagnosis --as-recorded          # judges what is kept, whichever recorder made it

Shares are followed by their 95 % intervals (Wilson). What is recorded is kept in `.recordings`, so that a change of a rule is judged in
seconds: only what another recorder made, or another version of a program, is recorded anew.

The programs that were held out are summed up only: whoever reads which of them failed may tune on them. `--details` shows them,
for a final report.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bnprobe.observe.options import RecordOptions
from tests.faults.judging import Diagnosed, judge_all
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY, Program
from tests.faults.recording import KEPT, NO_LIMIT, Recording, Take, kept, record_missing
from tests.faults.score import Figures, figures, gravest, is_expected, is_layer_right, is_step_right

PARTS = ("tuned", "held_out")


def takes(programs: Sequence[Program], options: argparse.Namespace, budget: float) -> list[Take]:
    """Every program at every seed, with its fault and without, or a sample; where runs are to be killed, those that may diverge."""
    faults_only = options.faults_only or options.kill
    every = [
        Take(program, fixed, seed, options.every, options.kill, budget)
        for program in programs
        for fixed in ((False,) if program.cause == HEALTHY or faults_only else (False, True))
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        if not (faults_only and program.cause == HEALTHY)
    ]
    return random.Random(0).sample(every, min(options.sample, len(every))) if options.sample is not None else every


def gather(wanted: Sequence[Take], options: argparse.Namespace) -> list[Recording]:
    """The recordings that are kept; unless they are to be taken as they are, what is missing is recorded first."""
    if options.as_recorded:
        found = [recording for take in wanted if (recording := kept(take, options.recordings, stale=True)) is not None]
        print(f"{len(found)} of {len(wanted)} recordings are kept in {options.recordings}", file=sys.stderr)
        return found
    record_missing(wanted, options.jobs, options.recordings)
    return [recording for take in wanted if (recording := kept(take, options.recordings)) is not None]


def line(one: Diagnosed) -> str:
    """One recording in a line: what it was, what was said, and whether place and step are right."""
    take = one.take
    name = take.program.name + (" --fixed" if take.fixed else "") + (f" seed {take.seed}" if take.seed else "")
    mark = "   " if is_expected(one) else "!! " if take.expected != HEALTHY or gravest(one.findings) == "error" else "!  "
    said = []
    for finding in one.findings:
        where = f" {finding.layers[0]}" if finding.layers else ""
        when = f" @{finding.step}" if finding.step is not None else ""
        right = ""
        if finding.id == take.expected != HEALTHY:
            right += " (wrong layer)" if take.program.layers and not is_layer_right(one) else ""
            right += " (wrong step)" if take.program.steps is not None and not is_step_right(one) else ""
        arrow = "<- " if finding.follows_from else ""
        said.append(f"{arrow}{finding.severity[0]}:{finding.id}{where}{when}{right}")
    cut = f" [killed after step {one.killed_at}]" if one.killed_at is not None else ""
    fate = f"loss {one.loss[0]:.3g} to {one.loss[1]:.3g}"
    return f"{mark}{name:<50}{fate:<26}{cut}{'; '.join(said)}{f'  {one.error}' if one.error else ''}"


def confusion(counted: Figures) -> str:
    """The confusion matrix: a row a cause, a column a verdict, numbered as the rows where there is one."""
    rows = sorted({cause for cause, _ in counted.confusion}, key=lambda name: (name == HEALTHY, name))
    columns = rows + sorted({said for _, said in counted.confusion} - set(rows))
    width = max(map(len, columns), default=0)
    head = " " * (width + 4) + "".join(f"{number:>4}" for number in range(1, len(columns) + 1))
    lines = [head]
    for number, cause in enumerate(columns, 1):
        cells = "".join(f"{counted.confusion[cause, said] or '.':>4}" for said in columns) if cause in rows else ""
        lines.append(f"{number:>3} {cause:<{width}}{cells}".rstrip())
    return "\n".join(lines)


def summary(title: str, counted: Figures) -> str:
    """The figures of one part."""
    alarms = ", ".join(f"{severity} {share}" for severity, share in counted.alarms.items())
    return "\n".join(
        [
            f"{title}",
            f"  top-1         {counted.top1}",
            f"  top-3         {counted.top3}",
            f"  layer         {counted.layer}   of those whose cause was found: {counted.layer_of_found}",
            f"  step          {counted.step}   of those whose cause was found: {counted.step_of_found}",
            f"  healthy runs  healthy {counted.healthy}; false alarms: {alarms}",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="one part of the library")
    parser.add_argument("--cause", action="append", help="programs of this cause alone, or healthy; repeatable")
    parser.add_argument("--program", action="append", help="this program alone; repeatable")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="so many seeds each (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="the first of them (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="measure every N-th step")
    parser.add_argument("--budget", type=float, default=NO_LIMIT, help="share of time for measuring (default: no limit; record has 0.05)")
    parser.add_argument(
        "--default", action="store_true", help="with the default options of record, and the same runs with everything measured"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="a random sample of so many runs, always the same")
    parser.add_argument("--kill", action="store_true", help="SIGKILL one step after the divergence")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="programs side by side (default: %(default)s)")
    parser.add_argument("--faults-only", action="store_true", help="leave out programs without their fault, and healthy ones")
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    parser.add_argument("--as-recorded", action="store_true", help="record nothing anew: judge what is kept, from whichever recorder")
    parser.add_argument("--details", action="store_true", help="show the programs that were held out, too")
    options = parser.parse_args()

    chosen = [
        program
        for program in PROGRAMS
        if (options.only is None or program.part == options.only)
        and (options.cause is None or program.cause in options.cause)
        and (options.program is None or program.name in options.program)
    ]
    started = time.monotonic()
    done: list[Diagnosed] = []
    budgets = (RecordOptions().budget, NO_LIMIT) if options.default else (options.budget,)
    wanted = {budget: takes(chosen, options, budget) for budget in budgets}
    recordings = {budget: gather(wanted[budget], options) for budget in budgets}
    if options.default:  # the same runs in both, where some are missing
        both = set.intersection(*({replace(one.take, budget=0.0) for one in recordings[budget]} for budget in budgets))
        recordings = {budget: [one for one in recordings[budget] if replace(one.take, budget=0.0) in both] for budget in budgets}
    gathered = time.monotonic()
    for budget in budgets:
        how = {NO_LIMIT: "everything measured", RecordOptions().budget: "default options"}.get(budget, f"budget {budget:g}")
        judged = []
        for one in judge_all(recordings[budget], options.jobs):
            judged.append(one)
            if one.take.program.part == "tuned" or options.details:
                print(line(one), flush=True)
        for part in PARTS:
            mine = [one for one in judged if one.take.program.part == part]
            if mine:
                counted = figures(mine)
                if part == "tuned" or options.details:
                    print(f"\n{confusion(counted)}")
                print(f"\n{summary(f'{part}, {how}: {len(mine)} runs', counted)}")
        done += judged
    if options.kill:
        print(f"\nkilled one step after the divergence: {sum(one.killed_at is not None for one in done)} of {len(done)} runs")
    broken = [one for one in done if one.error or not one.findings]
    times = f"judged in {time.monotonic() - gathered:.0f} s, recorded in {gathered - started:.0f} s"
    print(f"\n{len(done)} runs, {times}; {len(broken)} ended badly")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
