"""``bnprobe what-if``: say at which rates, and with which remedies, a recorded training would have trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def what_if(
    runs: Annotated[list[Path], typer.Argument(help="A run file.", show_default=False, metavar="RUN")],
    rate: Annotated[
        list[float] | None,
        typer.Option("--rate", metavar="R", help="Train the kept tapes again at this rate; repeatable (the largest rate of any group)."),
    ] = None,
    remedy: Annotated[
        list[str] | None,
        typer.Option(
            "--remedy",
            metavar="NONE|NAME[:SETTINGS]",
            help="With this remedy; repeatable; join remedies that act together with + (default: NONE). Without --rate: find its limit.",
        ),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option("--from", metavar="STEP", min=0, help="Rates and remedies from this step on; the steps before it as recorded."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON, every trial with its losses.")] = False,
) -> None:
    """Say at which learning rates a recorded training would have trained, without and with remedies.

    The recording must have been made with --what-if: its first steps were kept on a tape and trained again. Where the tapes were kept, too
    (--keep-tapes), a new question trains them again now.

    \b
      bnprobe record --what-if auto --keep-tapes -o run.h5 train.py
      bnprobe what-if run.h5                               the answers of the recording
      bnprobe what-if run.h5 --rate 0.3 --rate 0.5         a rate of one's own
      bnprobe what-if run.h5 --remedy clip-norm:max=0.5    the limit with a remedy of one's own
      bnprobe what-if run.h5 --rate 0.01 --from 40         from a step on
      bnprobe what-if run.h5 --json
    """  # noqa: D301, DOC501 - the help of the command: \b is typer's mark for lines to leave alone
    import json

    from bnprobe.analyse.what_if import NONE, what_if_of
    from bnprobe.cli.voice import say
    from bnprobe.diagnose import diagnose
    from bnprobe.errors import UsageError
    from bnprobe.remedies.specification import as_tried
    from bnprobe.report.what_if_text import asked_lines, lines
    from bnprobe.store.reader import read_run

    if len(runs) > 1:
        names = ", ".join(one.name for one in runs[:4])
        raise UsageError(f"what-if tells of one process, and {len(runs)} files were named ({names})", f"bnprobe what-if {runs[0]}")
    run = runs[0]
    recorded = read_run(run)
    found = what_if_of(recorded)
    if found is None:
        raise UsageError(f"{run} was recorded without --what-if", "bnprobe record --what-if auto -o run.h5 train.py")
    for wrong in (one for one in rate or [] if not 0.0 < one < float("inf")):
        raise UsageError(f"--rate {wrong:g}: expected a learning rate, larger than 0")
    said = []
    if rate or remedy or start is not None:
        from bnprobe.what_if.later import ask

        remedies = list(dict.fromkeys(as_tried(one) for one in remedy or [NONE]))
        found = ask(recorded, run, rate or [], remedies, start, say)
        said = asked_lines(found) if rate else lines(found)
    if as_json:
        print(json.dumps(found.document(), indent=2, allow_nan=False))
    else:
        print("\n".join(said or lines(found, diagnose(recorded).outcome.word)))
