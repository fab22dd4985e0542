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
      bnprobe inspect run.h5 --json | jq .steps
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.report.contents import to_json
    from bnprobe.report.terminal import summary
    from bnprobe.store.reader import read_run

    if as_json:
        print(to_json([read_run(path) for path in runs]))
        return
    for number, path in enumerate(runs):
        if number:
            print()
        print(summary(read_run(path)))
