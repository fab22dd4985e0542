"""``bnprobe audit``: say what normalisation costs a recorded training."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Annotated

import typer


def ranks_beside(path: Path) -> list[Path]:
    """Return the files of the other ranks, by their names: run.rank1.h5 beside run.rank0.h5."""
    stem, rank, number = path.stem.rpartition(".rank")
    if not (rank and number.isdecimal()):
        return []
    return sorted(other for other in path.parent.glob(f"{glob.escape(stem)}.rank*{path.suffix}") if other.name != path.name)


def audit(
    runs: Annotated[
        list[Path], typer.Argument(help="A run file, or those of all ranks of a training.", show_default=False, metavar="RUN...")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a document for programs (schema bnprobe-audit-1).")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="List the value of every layer.")] = False,
) -> None:
    """Say what normalisation costs a training: every known drawback as a number, a verdict, and what to do.

    \b
      bnprobe audit run.h5
      bnprobe audit run.h5 --layers
      bnprobe audit run.rank*.h5                   the ranks of one training, merged
      bnprobe audit run.rank0.h5                   one rank, with the files of the others, which lie beside it
      bnprobe audit run.h5 --json | jq '.rows[] | select(.verdict == "costs")'
    """  # noqa: D301 - the help of the command: \b is typer's mark for lines to leave alone
    from bnprobe.analyse.views import RunView
    from bnprobe.diagnose.audit import audit as audit_run
    from bnprobe.diagnose.run_analysis import RunAnalysis
    from bnprobe.ranks import read_training
    from bnprobe.report.audit_text import to_json, to_text
    from bnprobe.store.reader import read_run

    analysis = RunAnalysis(read_training(runs, "audit"))
    beside = [read_run(path) for path in ranks_beside(runs[0])] if len(runs) == 1 else []
    rows, recorded = audit_run(analysis, beside), RunView.of(analysis.recorded)
    print(to_json(recorded, rows) if as_json else to_text(recorded, rows, every_layer=layers))
