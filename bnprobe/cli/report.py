"""``bnprobe report``: write one page that says what happened to one or several runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bnprobe.store.reader import Run

#: Exit status where the page is written and a run has no step, or was read in part; 1 to 3 are taken.
INCOMPLETE = 4


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run files; several are compared side by side. Or one file of learning-rate trials.", metavar="RUNS...", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The page (default: the first run's name with .html in place of .h5)."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    live: Annotated[
        bool, typer.Option("--follow", help="While a run goes on, serve the page to this machine and renew it; write it when the run ends.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port of --follow (default: a free one).")] = 0,
) -> None:
    """Write a self-contained page on one or several runs. It works offline and sends nothing anywhere.

    Ends with status 4 where a run holds no training step or is damaged: the page says what there is.

    \b
      bnprobe report run.h5                       write run.html
      bnprobe report plain.h5 batch_norm.h5 -o both.html --open
      bnprobe report run.h5 --follow --open       a run that is being recorded, live
    """  # noqa: D301, DOC501 - \b is typer's mark for lines to leave alone
    from bnprobe.cli.browser import open_address
    from bnprobe.cli.follow import follow
    from bnprobe.errors import UsageError
    from bnprobe.report.limits_page import write_limits_page
    from bnprobe.report.page import write_page
    from bnprobe.store.limits_file import holds_limits

    page = output or runs[0].parent / f"{runs[0].name.removesuffix('.h5')}.html"
    check_page(page, runs)
    if port and not live:
        raise UsageError("--port is where --follow serves the page", "add --follow")
    is_served = live and follow(runs, port, show=show)
    if live and not is_served:
        print("not live: the run has ended")
    lacking: list[str] = []
    if len(runs) == 1 and holds_limits(runs[0]):
        write_limits_page(runs[0], page)
    else:
        lacking = [sentence for run in write_page(runs, page) for sentence in what_is_lacking(run)]
    print(f"wrote {page}")
    for sentence in lacking:
        print(f"bnprobe: {sentence}", file=sys.stderr)
    if show and not is_served:
        open_address(page.resolve().as_uri())
    if lacking:
        raise typer.Exit(INCOMPLETE)


def what_is_lacking(run: Run) -> list[str]:
    """Say what a page on a run cannot show, a sentence each."""
    found = [] if run.steps else [f"{run.path} holds no training step; `bnprobe inspect` says what was seen"]
    if run.problems:
        rest = f", and {len(run.problems) - 1} more" if len(run.problems) > 1 else ""
        found.append(f"{run.path} is damaged: {run.problems[0]}{rest}")
    return found


def check_page(page: Path, runs: list[Path]) -> None:
    """Make sure that the page can be written and is none of the runs.

    Raises:
        UsageError: The folder is missing, or the page would overwrite a run or a folder.
    """
    from bnprobe.errors import UsageError

    if not page.parent.is_dir():
        raise UsageError(f"cannot write '{page}': there is no folder '{page.parent}'", f"mkdir -p {page.parent}, or choose another -o")
    if page.is_dir():
        raise UsageError(f"cannot write '{page}': it is a folder", f"name a file in it: -o {page / 'report.html'}")
    if page.resolve() in {run.resolve() for run in runs} or page.suffix == ".h5":
        raise UsageError(f"cannot write the page to '{page}': that is a run file", "choose a name that ends in .html")
