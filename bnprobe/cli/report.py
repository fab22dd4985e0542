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
            help="Run files; several are compared side by side, ranks of one training merged. Files of trials stand beside them, or alone.",
            metavar="RUNS...",
            show_default=False,
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
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Also write each figure to a folder, as SVG and PNG, for papers.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port of --follow (default: a free one).")] = 0,
) -> None:
    """Write a self-contained page on one or several runs. It works offline and sends nothing anywhere.

    Ends with status 4 where a run holds no training step or is damaged: the page says what there is.

    \b
      bnprobe report run.h5                       write run.html
      bnprobe report plain.h5 batch_norm.h5 -o both.html --open
      bnprobe report run.h5 limits.h5             with the learning rates that were tried
      bnprobe report run.h5 --images figures      its figures as SVG and PNG, too
      bnprobe report run.h5 --follow --open       a run that is being recorded, live
      bnprobe report run.rank*.h5                 the ranks of one training, merged: write run.html
    """  # noqa: D301, DOC501 - \b is typer's mark for lines to leave alone
    from bnprobe.cli.browser import open_address
    from bnprobe.cli.follow import follow
    from bnprobe.diagnose.ranks import standing
    from bnprobe.errors import UsageError
    from bnprobe.report.comparison_page import write_comparison_page
    from bnprobe.report.limits_page import write_limits_page
    from bnprobe.report.page import write_page
    from bnprobe.store.comparison_file import holds_comparison
    from bnprobe.store.limits_file import holds_limits

    page = output or default_page(runs)
    check_page(page, runs)
    if images is not None:
        from bnprobe.integrations.images import check_images

        check_images(images)
    if port and not live:
        raise UsageError("--port is where --follow serves the page", "add --follow")
    trials = [run for run in runs if holds_limits(run)] if live else []
    followed = [run for run in runs if run not in trials] if live else []
    is_served = bool(followed) and follow(followed, trials, port, show=show)
    if live and not is_served:
        print("not live: the run has ended")
    lacking: list[str] = []
    if len(runs) == 1 and holds_limits(runs[0]):
        write_limits_page(runs[0], page)
    elif len(runs) == 1 and holds_comparison(runs[0]):
        write_comparison_page(runs[0], page)
    else:
        shown = write_page(runs, page)
        for run in shown:
            if sentence := standing(run):
                print(f"{run.name}: {sentence}")
        lacking = [sentence for run in shown for sentence in what_is_lacking(run)]
    print(f"wrote {page}")
    for sentence in lacking:
        print(f"bnprobe: {sentence}", file=sys.stderr)
    if images is not None:
        draw_images(runs, images, INCOMPLETE if lacking else None)
    if show and not is_served:
        open_address(page.resolve().as_uri())
    if lacking:
        raise typer.Exit(INCOMPLETE)


def draw_images(runs: list[Path], folder: Path, status: int | None) -> None:
    """Write the figures of a page as images.

    Args:
        runs: the files that the page is about.
        folder: where the images go.
        status: exit status where they cannot be drawn; that of the fault by default.

    Raises:
        BnprobeError: They cannot be drawn.
    """
    from bnprobe.errors import BnprobeError
    from bnprobe.integrations.images import write_images
    from bnprobe.report.wording import plural

    try:
        written = write_images(runs, folder)
    except BnprobeError as error:
        error.exit_status = status or error.exit_status
        raise
    print(f"wrote {plural(len(written), 'image')} to {folder}")


def default_page(runs: list[Path]) -> Path:
    """Name the page after the first run; after all ranks where their files are given together."""
    from bnprobe.ranks import stem_of

    return runs[0].parent / f"{stem_of(runs)}.html"


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
