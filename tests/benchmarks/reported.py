"""How often `bnprobe diagnose` is right on faults that people reported in public, recorded with the options that everyone has.

    python -m tests.benchmarks.reported                    # records what is missing, and counts
    python -m tests.benchmarks.reported --as-recorded      # counts what is kept, whichever recorder made it
    python -m tests.benchmarks.reported --batch 5          # one batch alone, as it is numbered in the manifest

`places.json` has the layers and operations at which those faults are that have a place. Each program of `tests/reported` is recorded with
its fault and without (`--fixed`). What is recorded is kept in `.recordings/reported`, so that a change of a rule is judged in seconds;
remove the folder to record anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests.faults.recording import KEPT, shrink
from tests.faults.score import Share
from tests.observe.program_server import Job, ProgramServer
from tests.reported.score import WORTHS, is_place_right, worth

HERE = Path(__file__).parents[1] / "reported"
TIMEOUT_SECONDS = 600


def record_missing(entries: Sequence[Mapping[str, Any]], jobs: int, folder: Path) -> None:
    """Record programs with the default options, with their fault and without, unless that is kept; says on stderr how far it is.

    Args:
        entries: of the manifest.
        jobs: programs that run at a time.
        folder: where recordings are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = {(entry["file"], fixed): folder / f"{name_of(entry, fixed)}.h5" for fixed in (False, True) for entry in entries}
    new = [(script, fixed, target) for (script, fixed), target in targets.items() if not target.exists()]

    def one_share(share: Sequence[tuple[str, bool, Path]]) -> None:
        server = ProgramServer()
        try:
            for script, fixed, target in share:
                with tempfile.TemporaryDirectory(prefix="bnprobe-reported-") as scratch:
                    work, fresh = Path(scratch) / "work", Path(scratch) / "run.h5"
                    work.mkdir()
                    server.run(Job(str(HERE / script), str(work), str(fresh), {}, ["--fixed"] * fixed), timeout=TIMEOUT_SECONDS)
                    if fresh.exists():
                        shrink(fresh, target)
                print(f"recorded {target.stem}", file=sys.stderr, flush=True)
        finally:
            server.close()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one_share, [new[first::jobs] for first in range(min(jobs, len(new)))]))


def name_of(entry: Mapping[str, Any], fixed: bool) -> str:
    """Under which name a recording is kept."""
    return f"{Path(entry['file']).stem}{'--fixed' * fixed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-recorded", action="store_true", help="record nothing")
    parser.add_argument("--batch", type=int, action="append", metavar="N", help="this batch alone, or these (may be given again)")
    parser.add_argument("--recordings", type=Path, default=KEPT / "reported", metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="programs that run at a time")
    options = parser.parse_args()
    entries = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    if options.batch:
        entries = [entry for entry in entries if entry["batch"] in options.batch]
    if not options.as_recorded:
        record_missing(entries, options.jobs, options.recordings)
    counts, accused = Counter[str](), Counter[str]()
    wrong_errors = twins = 0
    places = json.loads((HERE / "places.json").read_text(encoding="utf-8"))
    placed = dict[str, list[bool]](numerical=[], named=[], all=[])
    for entry in entries:
        for fixed in (False, True):
            name = name_of(entry, fixed)
            try:
                found = diagnose(read_run(options.recordings / f"{name}.h5"))
            except (OSError, RunFileError) as error:
                print(f"{'no recording':12} {name}: {error}")
                continue
            verdict = found.verdict
            if fixed:
                twins += 1
                accused[verdict.severity] += 1
                if verdict.severity != "info":
                    print(f"{'accused':12} {name}: {verdict.id} ({verdict.severity}, {verdict.confidence:.2f})")
                continue
            value = worth(entry, verdict.id, found.outcome.word)
            counts[value] += 1
            if (place := places.get(entry["file"])) is not None:
                is_right = is_place_right(place, verdict)
                kinds = ["all"] + ["named"] * (value == "right") + ["numerical"] * ("numerical-fault" in entry["named"])
                for kind in kinds:
                    placed[kind].append(is_right)
                if not is_right:
                    print(f"{'other place':12} {name}: {', '.join(verdict.layers[:1]) or 'none'}")
            wrong_errors += value == "wrong" and verdict.severity == "error"
            print(f"{value:12} {name}: {found.outcome.word}, {verdict.id} ({verdict.severity}, {verdict.confidence:.2f})")
    total = sum(counts.values())
    print(f"\n{total} programs, {twins} without their fault; 95 % intervals in brackets")
    for value in WORTHS:
        print(f"{value:24} {Share(counts[value], total)}")
    print(f"{'right or honest':24} {Share(counts['right'] + counts['honest'], total)}")
    print(f"{'wrong, at error level':24} {Share(wrong_errors, total)}")
    for kind, what in {"numerical": "place, numerical faults", "named": "place, causes found", "all": "place, all that have one"}.items():
        print(f"{what:24} {Share(sum(placed[kind]), len(placed[kind]))}")
    print(f"{'twins accused, error':24} {Share(accused['error'], twins)}")
    print(f"{'twins accused, warning':24} {Share(accused['warning'], twins)}")


if __name__ == "__main__":
    main()
