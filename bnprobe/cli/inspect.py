"""``bnprobe inspect``: say in the terminal what a run file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    runs: Annotated[list[Path], typer.Argument(help="Run files.", show_default=False, metavar="RUNS...")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a document for programs (schema bnprobe-contents-1).")] = False,
) -> None:
    """Say what a run file holds, how the run ended, and what could not be observed.

    \b
      bnprobe inspect run.h5
      bnprobe inspect run.rank*.h5                 the ranks of one training, merged
      bnprobe inspect run.h5 --json | jq .steps
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.ranks import read_trainings
    from bnprobe.report.contents import to_json
    from bnprobe.report.terminal import summary

    found = read_trainings(runs)
    if as_json:
        print(to_json(found))
        return
    for number, run in enumerate(found):
        if number:
            print()
        print(summary(run))
