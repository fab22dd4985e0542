"""How often findings are right, by the confidence that they state and by their cause: over recordings that are kept, none is made.

    python -m tests.benchmarks.calibration             # the two tables
    python -m tests.benchmarks.calibration --write     # and the counts that the diagnosis takes its confidence from

Of each recording of the tuned fault library and of the reported faults the first finding counts: an accusation is right if it names the
fault, and wrong on a run without one; "healthy" is right where there is no fault, or none that shows. Most of these programs were tuned on,
which makes the figures better than those of a fault that nobody has seen.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.calibration import TABLE, posterior
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests.benchmarks.reported import HERE
from tests.faults.judging import judge_all
from tests.faults.manifest import PROGRAMS
from tests.faults.program import HEALTHY
from tests.faults.recording import KEPT, kept, library
from tests.faults.score import Share
from tests.reported.score import OPEN, worth

#: Upper ends of the classes of stated confidence.
BINS = (0.5, 0.65, 0.75, 0.85, 0.92, 1.0)


class Said(NamedTuple):
    """One first finding.

    Attributes:
        kind: its id.
        stated: the confidence that it stated.
        is_right: whether that was so.
    """

    kind: str
    stated: float
    is_right: bool


def of_library(folder: Path) -> Iterator[Said]:
    """What is said of the tuned library's recordings that are kept."""
    programs = [program for program in PROGRAMS if program.part == "tuned"]
    recordings = [recording for take in library(programs) if (recording := kept(take, folder, stale=True)) is not None]
    for one in judge_all(recordings, 1):
        if one.findings:
            first = one.findings[0]
            yield Said(first.id, first.confidence, first.id == one.take.expected)


def of_reports(folder: Path) -> Iterator[Said]:
    """What is said of the reported faults' recordings that are kept; half of a cause is not right."""
    for entry in json.loads((HERE / "manifest.json").read_text(encoding="utf-8")):
        for fixed in (False, True):
            try:
                found = diagnose(read_run(folder / "reported" / f"{Path(entry['file']).stem}{'--fixed' * fixed}.h5"))
            except (OSError, RunFileError):
                continue
            first = found.verdict
            is_right = first.id == HEALTHY if fixed else worth(entry, first.id, found.outcome.word) in ("right", "honest")
            yield Said(first.id, first.confidence, is_right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    said = [*of_library(options.recordings), *of_reports(options.recordings)]
    print(f"{len(said)} first findings; 95 % intervals in brackets\n\nstated        right")
    low = 0.0
    for high in BINS:
        inside = [one for one in said if low < one.stated <= high and one.kind not in OPEN]
        print(f"{low:.2f} to {high:.2f}  {Share(sum(one.is_right for one in inside), len(inside))}")
        low = high
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in (one for one in said if one.kind not in OPEN):
        counts[one.kind][0] += one.is_right
        counts[one.kind][1] += 1
    print(f"\n{'finding':32} right")
    for kind, (right, of) in sorted(counts.items()):
        print(f"{kind:32} {Share(right, of)}  at a stated 0.8: {posterior(right, of, 0.8):.2f}")
    if options.write:
        TABLE.write_text(json.dumps(dict(sorted(counts.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
