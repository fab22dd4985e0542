"""A page that is served while its runs go on: what ``report --follow`` does in this process and ``record --follow`` in one beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnprobe.report.live_page import LivePage
    from bnprobe.report.live_server import LiveServer

#: How long the last page stays for a browser that asks for it, in seconds.
LAST_LOOK = 2.0


def follow(runs: list[Path], trials: list[Path], port: int, *, show: bool) -> bool:
    """Serve a page on runs until they have ended.

    Args:
        runs: run files.
        trials: files of learning-rate trials that stand beside them.
        port: where on this machine; 0 takes a free port.
        show: open it in the browser.

    Returns:
        Whether any of them still went on, so that there was something to follow.

    Raises:
        RunFileError: a file does not come, or cannot be read.
        UsageError: the port is taken.
    """
    from bnprobe.cli.browser import open_address
    from bnprobe.cli.watch import wait_for
    from bnprobe.report.live_page import LivePage

    for run in runs:
        wait_for(run)
    page = LivePage(runs, trials)
    _look_first(page)
    if page.is_ended:
        return False
    server = _opened(page, port)
    print(f"live page: {server.address}\nIt ends with the run, or with Ctrl-C.", flush=True)
    if show:
        open_address(server.address)
    _serve(server)
    return True


def follow_beside(run: Path) -> str:
    """Serve a page on a run that is about to be recorded, from a process that is no child of this one: the script waits for its own alone.

    Args:
        run: the run file.

    Returns:
        The address of the page.

    Raises:
        UsageError: no process could be started.
    """
    from bnprobe import start
    from bnprobe.errors import UsageError

    if not hasattr(os, "fork"):
        raise UsageError(
            f"--follow leaves a process beside the script, which {sys.platform} cannot",
            f"in another terminal: bnprobe report --follow {run}",
        )
    command = [*start.command("bnprobe.cli.follow"), str(run.resolve()), str(os.getpid())]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.startswith("http"):
        raise UsageError(f"no page could be served: {done.stderr.strip().splitlines()[-1:] or done.returncode}", "leave --follow out")
    return done.stdout.strip()


def main() -> None:
    """Serve a page beside a recording; arguments are its run file and its process."""
    serve_beside(Path(sys.argv[1]), int(sys.argv[2]))


def serve_beside(run: Path, recorder: int) -> None:
    """Print the address of a page, leave, and serve it from a process of its own until the run has ended or its recorder is gone.

    Args:
        run: a run file that may come later, in the place of an earlier one.
        recorder: the process that writes it.
    """
    from bnprobe.report.live_page import LivePage
    from bnprobe.report.wording import is_alive

    earlier = _identity(run)
    server = _opened(LivePage([run]), 0)
    print(server.address, flush=True)
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # whoever reads what the script says is not kept waiting by this process
        os.dup2(nothing, stream)
    while _identity(run) in (None, earlier) and is_alive(recorder):
        time.sleep(0.2)
    if _identity(run) not in (None, earlier):
        _serve(server)


def _identity(run: Path) -> tuple[int, int] | None:
    """What tells a file from another one of that name, which is opened for writing before it is replaced; None where there is none."""
    with suppress(OSError):
        state = run.stat()
        return state.st_ino, state.st_ctime_ns
    return None


def _look_first(page: LivePage) -> None:
    """Make the first page; a file that has been made and has nothing written to it yet is waited for."""
    from bnprobe.cli.watch import PATIENCE
    from bnprobe.errors import RunFileError

    patience = time.monotonic() + PATIENCE
    while not page.version:
        try:
            page.look()
        except RunFileError:
            if all(run.stat().st_size for run in page.runs) or time.monotonic() > patience:
                raise
            time.sleep(0.2)


def _opened(page: LivePage, port: int) -> LiveServer:
    from bnprobe.errors import UsageError
    from bnprobe.report.live_server import LiveServer

    try:
        return LiveServer(page, port)
    except OSError as error:
        raise UsageError(
            f"cannot serve a page on port {port}: {error.strerror or error}", "leave --port out: a free one is taken"
        ) from None


def _serve(server: LiveServer) -> None:
    """Answer until the runs have ended and the last page has been asked for. The training goes first: this process yields to it."""
    if hasattr(os, "nice"):
        os.nice(10)
    server.start()
    with suppress(KeyboardInterrupt):
        server.page.follow(threading.Event())
        if server.asked.is_set():
            time.sleep(LAST_LOOK)
    server.close()
