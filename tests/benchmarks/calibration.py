"""How often findings are right, by the confidence that they state and by their cause: over recordings that are kept, none is made.

    python -m tests.benchmarks.calibration             # the tables
    python -m tests.benchmarks.calibration --write     # and the counts that the diagnosis takes its confidence from

Of each recording of the tuned fault library and of the reported faults the first finding counts: an accusation is right if it names the
fault, and wrong on a run without one; "healthy" is right where there is no fault, or none that shows. Most of these programs were tuned on,
which makes the figures better than those of a fault that nobody has seen: so all programs of the library together count no more than a
rule's own statement does, and the second table judges each batch of reported faults by what was counted on the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from bnprobe.diagnose import diagnose
from bnprobe.diagnose.calibration import STATED_COUNTS, TABLE, UNSURE, calibrated, posterior
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
        stated: the confidence that its rule states.
        shown: the confidence that is shown.
        is_right: whether that was so.
        batch: of the reported faults; None of the library.
    """

    kind: str
    stated: float
    shown: float
    is_right: bool
    batch: int | None = None


def of_library(folder: Path) -> Iterator[Said]:
    """What is said of the tuned library's recordings that are kept."""
    programs = [program for program in PROGRAMS if program.part == "tuned"]
    recordings = [recording for take in library(programs) if (recording := kept(take, folder, stale=True)) is not None]
    for one in judge_all(recordings, 1):
        if one.findings:
            first = one.findings[0]
            yield Said(first.id, first.confidence, first.confidence, first.id == one.take.expected)


def of_reports(folder: Path) -> Iterator[Said]:
    """What is said of the reported faults' recordings that are kept; half of a cause is not right."""
    for entry in json.loads((HERE / "manifest.json").read_text(encoding="utf-8")):
        for fixed in (False, True):
            try:
                with patch("bnprobe.diagnose.verdict.calibrated", lambda finding: finding):
                    found = diagnose(read_run(folder / "reported" / f"{Path(entry['file']).stem}{'--fixed' * fixed}.h5"))
            except (OSError, RunFileError):
                continue
            first = found.verdict
            is_right = first.id == HEALTHY if fixed else worth(entry, first.id, found.outcome.word) in ("right", "honest")
            yield Said(first.id, first.confidence, calibrated(first).confidence, is_right, entry["batch"])


def counted(said: Iterable[Said], without: int | None = None) -> dict[str, tuple[float, float]]:
    """Return how many findings of each kind were right, and how many there were, the library's together for no more than a statement.

    Args:
        said: first findings.
        without: a batch that is left out.
    """
    found: dict[str, tuple[float, float]] = {}
    for kind in sorted({one.kind for one in said if one.kind not in OPEN}):
        mine = [one for one in said if one.kind == kind]
        tuned = [one.is_right for one in mine if one.batch is None]
        others = [one.is_right for one in mine if one.batch not in (None, without)]
        weight = min(1.0, STATED_COUNTS / len(tuned)) if tuned else 0.0
        found[kind] = (round(weight * sum(tuned) + sum(others), 2), round(weight * len(tuned) + len(others), 2))
    return found


def left_out(said: Sequence[Said]) -> Iterator[tuple[float, bool]]:
    """Yield, of accusations in reported faults, the confidence that the other batches give them, and whether they were right."""
    for batch in sorted({one.batch for one in said if one.batch is not None}):
        counts = counted(said, batch)
        for one in said:
            if one.batch == batch and one.kind not in (*OPEN, HEALTHY):
                yield posterior(*counts[one.kind], one.stated) if one.stated > UNSURE else one.stated, one.is_right


def table(of: Sequence[tuple[float, bool]]) -> str:
    """Show how many were right, by classes of confidence."""
    lines = []
    for low, high in pairwise((0.0, *BINS)):
        inside = [is_right for stated, is_right in of if low < stated <= high]
        lines.append(f"{low:.2f} to {high:.2f}  {Share(sum(inside), len(inside))}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=KEPT, metavar="FOLDER", help="where they are kept (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    options = parser.parse_args()
    said = [*of_library(options.recordings), *of_reports(options.recordings)]
    print(f"{len(said)} first findings; 95 % intervals in brackets\n\nshown         right")
    print(table([(one.shown, one.is_right) for one in said if one.kind not in OPEN]))
    print("\naccusations in reported faults, by the counts of the other batches")
    print(table(list(left_out(said))))
    print(f"\n{'finding':32} right")
    for kind, counts in counted(said).items():
        mine = [one.is_right for one in said if one.kind == kind]
        print(f"{kind:32} {Share(sum(mine), len(mine))}  at a stated 0.8: {posterior(*counts, 0.8):.2f}")
    if options.write:
        TABLE.write_text(json.dumps(counted(said), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
