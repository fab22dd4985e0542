"""``bnprobe watch``: follow a run in the terminal while it is recorded."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bnprobe.diagnose import Diagnosis

_HOME_AND_WIPE = "\x1b[H\x1b[J"
#: The wait for a file that is not there yet, in seconds, before it counts as a mistake.
PATIENCE = 60.0


def watch(
    runs: Annotated[
        list[Path],
        typer.Argument(help="A run file that is being recorded, or those of all ranks.", show_default=False, metavar="RUN..."),
    ],
    every: Annotated[float, typer.Option("--every", min=0.1, metavar="SECONDS", help="How often the file is read.")] = 2.0,
) -> None:
    """Follow a run while it is recorded: loss, rate, sizes along depth, the layers that moved furthest, findings as they come.

    It reads the file and never touches it: the recording does not notice. On a terminal the view is redrawn in place; elsewhere each new
    finding is a line. It ends with the run.

    \b
      bnprobe record -o run.h5 train.py &
      bnprobe watch run.h5
      bnprobe watch run.rank*.h5                   the ranks of one training, merged
    """  # noqa: D301, DOC501 - \b is typer's mark for lines to leave alone
    from bnprobe.diagnose import diagnose
    from bnprobe.errors import RunFileError
    from bnprobe.ranks import read_training
    from bnprobe.report.live_view import finding_line, live_view, told
    from bnprobe.report.wording import ending, is_going_on

    for run in runs:
        wait_for(run)
    patience = time.monotonic() + PATIENCE
    on_terminal = sys.stdout.isatty()
    said: set[str] = set()
    read_at = None
    while True:
        states = [run.stat() for run in runs]
        if (state := [(one.st_size, one.st_mtime_ns) for one in states]) != read_at:
            read_at = state
            try:
                diagnosis = diagnose(read_training(runs, "watch"))
            except RunFileError:
                # One may have been made, with nothing written to it yet.
                if all(one.st_size for one in states) or time.monotonic() > patience:
                    raise
                read_at = None
                time.sleep(every)
                continue
            if on_terminal:
                _draw(live_view(diagnosis, shutil.get_terminal_size().columns - 1))
            else:
                for finding in told(diagnosis):
                    if finding.id not in said:
                        print(finding_line(finding), flush=True)
                        said.add(finding.id)
        recorded = diagnosis.recorded
        if not is_going_on(recorded):
            break
        time.sleep(every)
    _close(diagnosis, on_terminal)
    if not on_terminal:
        print(ending(recorded))


def wait_for(run: Path) -> None:
    """Wait until a file is there: a script records once it has imported torch.

    Raises:
        RunFileError: it does not come.
    """
    from bnprobe.errors import RunFileError

    end = time.monotonic() + PATIENCE
    while not run.exists():
        if time.monotonic() > end or not run.parent.is_dir():
            raise RunFileError(f"there is no {run}", "name the file that `bnprobe record -o` writes")
        time.sleep(0.2)


def _draw(lines: list[str]) -> None:
    print(_HOME_AND_WIPE + "\n".join(lines[: shutil.get_terminal_size().lines - 1]), flush=True)


def _close(diagnosis: Diagnosis, on_terminal: bool) -> None:
    from bnprobe.diagnose.text import verdict_line

    if on_terminal:
        print()
    print(f"verdict: {verdict_line(diagnosis)}")
