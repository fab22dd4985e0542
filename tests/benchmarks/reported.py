"""How often `bnprobe diagnose` is right on faults that people reported in public, recorded with the options that everyone has.

    python -m tests.benchmarks.reported                    # records what is missing, and counts
    python -m tests.benchmarks.reported --as-recorded      # counts what is kept, whichever recorder made it
    python -m tests.benchmarks.reported --batch 5          # one batch alone, as it is numbered in the manifest

Each program of `tests/reported` is recorded with its fault and without (`--fixed`). What is recorded is kept in `.recordings/reported`, so
that a change of a rule is judged in seconds; remove the folder to record anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bnprobe.diagnose import diagnose
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests.faults.recording import KEPT
from tests.faults.score import Share
from tests.reported.score import WORTHS, worth

HERE = Path(__file__).parents[1] / "reported"
TIMEOUT_SECONDS = 600


def record(script: str, fixed: bool, folder: Path) -> Path:
    """Record a program with default options, unless that is kept.

    Args:
        script: name of the file.
        fixed: whether without its fault.
        folder: where recordings are kept.
    """
    target = folder / f"{Path(script).stem}{'--fixed' * fixed}.h5"
    if not target.exists():
        command = [sys.executable, "-m", "bnprobe", "record", "-q", "-o", str(target), script, *(["--fixed"] * fixed)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=HERE, env=alone, timeout=TIMEOUT_SECONDS, capture_output=True, check=False)
    return target


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
    options.recordings.mkdir(parents=True, exist_ok=True)
    if not options.as_recorded:
        with ThreadPoolExecutor(options.jobs) as pool:
            for entry in entries:
                for fixed in (False, True):
                    pool.submit(record, entry["file"], fixed, options.recordings)
    counts, accused = Counter[str](), Counter[str]()
    wrong_errors = twins = 0
    for entry in entries:
        for fixed in (False, True):
            name = f"{Path(entry['file']).stem}{'--fixed' * fixed}"
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
            wrong_errors += value == "wrong" and verdict.severity == "error"
            print(f"{value:12} {name}: {found.outcome.word}, {verdict.id} ({verdict.severity}, {verdict.confidence:.2f})")
    total = sum(counts.values())
    print(f"\n{total} programs, {twins} without their fault; 95 % intervals in brackets")
    for value in WORTHS:
        print(f"{value:24} {Share(counts[value], total)}")
    print(f"{'right or honest':24} {Share(counts['right'] + counts['honest'], total)}")
    print(f"{'wrong, at error level':24} {Share(wrong_errors, total)}")
    print(f"{'twins accused, error':24} {Share(accused['error'], twins)}")
    print(f"{'twins accused, warning':24} {Share(accused['warning'], twins)}")


if __name__ == "__main__":
    main()
