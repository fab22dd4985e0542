"""The figures of a page as files, for papers and slides: SVG and PNG of each, drawn by kaleido with a Chromium on this machine.

kaleido is given the plotly.js that pages hold and no formula library, so that it asks no network for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnprobe.errors import BnprobeError, UsageError
from bnprobe.integrations.libraries import required
from bnprobe.report.paper import figures_by_name
from bnprobe.report.plotly_bundle import FILE

EXTRA = "bnprobe[images]"
NO_BROWSER = ("images are drawn by a Chromium, and there is none that starts", "apt install chromium")
FORMATS = ("svg", "png")
#: A PNG has so many times the pixels of the figure.
PNG_SCALE = 3


def check_images(folder: Path) -> None:
    """See that images can be drawn, before a page is made that they would only come after.

    Args:
        folder: where they are to be; it is not made yet.

    Raises:
        UsageError: the folder is a file, or there is no browser to draw with.
        BnprobeError: kaleido is not installed.
    """
    required("kaleido", EXTRA)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"cannot write images to '{folder}': it is a file", "name a folder, or what can become one")
    browser = required("choreographer.browsers", EXTRA).Chromium.find_browser(skip_local=False)
    if not browser or not Path(browser).is_file():  # what BROWSER_PATH names is taken at its word
        raise UsageError(*NO_BROWSER)


def write_images(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Write every figure of the page about some files.

    Args:
        paths: run files, or one file of trials.
        folder: made where there is none; images of the same names are replaced.

    Returns:
        The images, in the order of the page.

    Raises:
        UsageError: the folder cannot be made, or there is no browser to draw with.
        BnprobeError: kaleido is not installed, or could not draw.
    """
    kaleido = required("kaleido", EXTRA)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write images to '{folder}': {error.strerror}", "name a folder that can be made") from None
    tasks: list[dict[str, Any]] = [
        {"fig": figure, "path": folder / f"{name}.{kind}", "opts": {"format": kind, "scale": PNG_SCALE if kind == "png" else 1, **size}}
        for name, figure in figures_by_name(paths).items()
        for kind in FORMATS
        for size in [{"width": figure["layout"]["width"], "height": figure["layout"]["height"]}]
    ]
    if tasks:
        try:
            kaleido.write_fig_from_object_sync(tasks, cancel_on_error=True, kopts={"plotlyjs": FILE, "mathjax": False})
        except Exception as error:  # kaleido's own and those of the library beneath it, which share no class
            if type(error).__name__ in ("ChromeNotFoundError", "BrowserDepsError"):
                raise UsageError(*NO_BROWSER) from None
            raise BnprobeError(f"kaleido could not draw: {str(error) or type(error).__name__}", "pip install -U kaleido") from error
    return [task["path"] for task in tasks]
