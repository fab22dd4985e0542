"""``bnprobe track``: findings and a few scalars of a run in an experiment tracker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bnprobe.analyse.views import RunView
    from bnprobe.integrations.trackers.feed import Feed

#: The wait between two looks at a file, in seconds; and at least so many times what the last look took.
EVERY, PATIENCE = 2.0, 20.0


def track(
    run: Annotated[Path, typer.Argument(help="A run file, recorded or being recorded.", show_default=False, metavar="RUN")],
    to: Annotated[
        str,
        typer.Option("--to", metavar="TRACKER[:WHERE]", help="tensorboard:FOLDER, wandb:PROJECT or mlflow:URI.", show_default=False),
    ],
    recorder: Annotated[int, typer.Option("--recorder", hidden=True, metavar="PID")] = 0,
) -> None:
    """Write findings and a few scalars of a run to an experiment tracker, until the run ends.

    Loss, rates, and the largest of all layers: rms of activations and of their gradients, update ratio, common-mode fraction. It reads the
    file and never touches it. `bnprobe record --track` starts it beside the training.

    \b
      bnprobe track run.h5 --to tensorboard:runs
      WANDB_MODE=offline bnprobe track run.h5 --to wandb:my-project
      bnprobe track run.h5 --to mlflow:http://localhost:5000
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.cli.watch import wait_for
    from bnprobe.diagnose.ranks.standing import number_of, world_size
    from bnprobe.integrations.trackers import check, open_tracker
    from bnprobe.integrations.trackers.feed import Feed

    check(to)
    if recorder:
        _wait_beside(run, recorder)
    else:
        wait_for(run)
    feed = Feed(open_tracker(to, run.stem))
    last = None
    try:
        last = _follow(run, feed)
    finally:
        feed.close(last)
    print(f"wrote {run.name} to {to}")
    if last is not None and (size := world_size(last)) > 1:
        print(f"it is rank {number_of(last)} of {size}: the others' files are tracked each by itself")


def track_beside(run: Path, to: str) -> None:
    """Track a run that is about to be recorded, from a process that is no child of this one: the script waits for its own alone.

    Args:
        run: the run file.
        to: the tracker.

    Raises:
        UsageError: there is no such tracker, or the system cannot.
        BnprobeError: its library is not installed.
    """
    from bnprobe import start
    from bnprobe.errors import UsageError
    from bnprobe.integrations.trackers import check

    check(to)
    if not hasattr(os, "fork"):
        raise UsageError(
            f"--track leaves a process beside the script, which {sys.platform} cannot",
            f"in another terminal: bnprobe track {run} --to {to}",
        )
    command = [*start.command("bnprobe.cli"), "track", str(run.resolve()), "--to", to, "--recorder", str(os.getpid())]
    # Isolated: what lies in the current folder must not pass for a module of python's.
    subprocess.run([sys.executable, "-I", "-c", _LEAVE, *command], stdin=subprocess.DEVNULL, check=True)


_LEAVE = (
    "import os, subprocess, sys\n"
    "nothing = subprocess.DEVNULL\n"
    "subprocess.Popen(sys.argv[1:], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, preexec_fn=lambda: os.nice(10))"
)


def _wait_beside(run: Path, recorder: int) -> None:
    """Wait for the file of a process for as long as that lives; one of that name may be there, and be about to be replaced."""
    from bnprobe.errors import RunFileError
    from bnprobe.report.wording import is_alive
    from bnprobe.store.reader import read_run

    seen = None
    while True:
        was_alive = is_alive(recorder)
        with suppress(OSError, RunFileError):
            state = run.stat()
            if state.st_size and (state.st_ino, state.st_mtime_ns) != seen:
                seen = (state.st_ino, state.st_mtime_ns)
                if read_run(run).attributes.get("pid") == recorder:
                    return
        if not was_alive:
            raise typer.Exit
        time.sleep(0.2)


def _follow(run: Path, feed: Feed) -> RunView | None:
    """Tell what is new until the run has ended, and return it."""
    from bnprobe.analyse.views import RunView
    from bnprobe.errors import RunFileError
    from bnprobe.report.wording import is_going_on
    from bnprobe.store.reader import read_run

    read_at, seen = None, None
    while True:
        began = time.monotonic()
        state = run.stat()
        if (state.st_size, state.st_mtime_ns) != read_at:
            read_at = (state.st_size, state.st_mtime_ns)
            try:
                seen = RunView.of(read_run(run))
            except RunFileError:
                if state.st_size:  # else it has been made, and nothing has been written to it
                    raise
            else:
                feed.take(seen)
        if seen is not None and not is_going_on(seen):
            return seen
        time.sleep(max(EVERY, PATIENCE * (time.monotonic() - began)))
