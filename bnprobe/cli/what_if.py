"""``bnprobe what-if``: say at which rates, and with which remedies, a recorded training would have trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def what_if(
    run: Annotated[Path, typer.Argument(help="A run file.", show_default=False, metavar="RUN")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON, every trial with its losses.")] = False,
) -> None:
    """Say at which learning rates a recorded training would have trained, without and with remedies.

    The recording must have been made with --what-if: its first steps were kept on a tape and trained again.

    \b
      bnprobe record --what-if auto -o run.h5 train.py
      bnprobe what-if run.h5
      bnprobe what-if run.h5 --json
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    import json

    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.diagnose import diagnose
    from bnprobe.errors import UsageError
    from bnprobe.report.what_if_text import lines
    from bnprobe.store.reader import read_run

    recorded = read_run(run)
    found = what_if_of(recorded)
    if found is None:
        raise UsageError(f"{run} was recorded without --what-if", "bnprobe record --what-if auto -o run.h5 train.py")
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))
    else:
        print("\n".join(lines(found, diagnose(recorded).outcome.word)))
