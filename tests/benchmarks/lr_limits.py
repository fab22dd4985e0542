"""The learning rates that the digits residual network stands, with and without mean shift rejection and batch norm, by trials.

    python tests/benchmarks/lr_limits.py                      # the table in docs/learning_rate_figures.md
    python tests/benchmarks/lr_limits.py --depths 8 --seeds 1
    python tests/benchmarks/lr_limits.py --jobs-compared      # wall time of one job against two

Each row is ``bnprobe lr-limit`` on a script of sample_runs without warm-up. The files of trials are kept in --folder; a row whose file is
complete costs nothing the second time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bnprobe.analyse.limits import Search, estimates, gains, hull, searches
from bnprobe.report.limits_story import interval_text, rate
from bnprobe.store.limits_file import Limits, read_limits

ROOT = Path(__file__).parents[2]
SCRIPTS = {"none": "deep_residual_plain.py", "batch norm": "deep_residual_batch_norm.py"}
REMEDIES = ("NONE", "msr")
ESTIMATES = ("curvature", "line probe, loss rises", "line probe, diverges")


def trials(script: str, depth: int, steps: int, seeds: int, jobs: int, folder: Path) -> Limits:
    """Search the limits of one script and return the trials."""
    file = folder / f"{Path(script).stem}-{depth}.h5"
    own = ["--depth", str(depth), "--warm-up", "0", "--learning-rate", "0.1", "--steps", str(steps)]
    options = [word for remedy in REMEDIES for word in ("--remedy", remedy)]
    options += ["--steps", str(steps), "--seeds", str(seeds), "--jobs", str(jobs), "-o", str(file)]
    command = [sys.executable, "-m", "bnprobe", "lr-limit", *options, str(Path("sample_runs") / script), *own]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return read_limits(file)


def row(norm: str, depth: int, remedy: str, limits: Limits) -> str:
    """One line of the table."""
    found, own = searches(limits.trials), limits.own_rate
    mine = [one for one in found if one.remedy == remedy]
    over_all = hull([one.interval for one in mine if one.interval is not None])
    factor = gains(found, remedy) if remedy != "NONE" else None
    told = {one.name: one.ratio for one in estimates(limits.predictions, found, own) if one.remedy == remedy}
    cells = [
        str(depth),
        norm,
        remedy,
        "; ".join(_ends(one, own) for one in mine),
        interval_text(over_all.scaled(own) if over_all else None),
        interval_text(factor) if factor else "",
        " + ".join(str(one.trials) for one in mine),
        *(interval_text(told.get(name)).removeprefix("between ") for name in ESTIMATES),
    ]
    return f"| {' | '.join(cells)} |"


def _ends(one: Search, own: float) -> str:
    if one.interval is None:
        return one.failure
    ends = one.interval.scaled(own)
    return f"{rate(ends.trains_at) if ends.trains_at else 'none'}, {rate(ends.fails_at)} ({one.fails_by or '-'})"


def print_table(arguments: argparse.Namespace, folder: Path) -> None:
    heads = ["layers", "normalisation", "remedy", "by seed: trains at, fails at", "limit over all seeds", "times that of NONE", "trials"]
    heads += [f"{name}, times the limit" for name in ESTIMATES]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for depth in arguments.depths:
        for norm, script in SCRIPTS.items():
            limits = trials(script, depth, arguments.steps, arguments.seeds, arguments.jobs, folder)
            for remedy in REMEDIES:
                print(row(norm, depth, remedy, limits), flush=True)


def compare_jobs(arguments: argparse.Namespace) -> None:
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            limits = trials(SCRIPTS["none"], arguments.depths[0], arguments.steps, arguments.seeds, jobs, Path(folder))
            seconds = time.perf_counter() - began
        count = len(limits.trials)
        print(f"jobs {jobs}: {count} trials in {seconds:.0f} s, {seconds / count:.1f} s a trial", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depths", type=int, nargs="+", default=[8, 20, 56])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bnprobe-lr-limits")
    parser.add_argument("--jobs-compared", action="store_true", help="time one job against two at the first depth instead")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    began = time.perf_counter()
    if arguments.jobs_compared:
        compare_jobs(arguments)
    else:
        print_table(arguments, arguments.folder)
    print(f"\n{time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
