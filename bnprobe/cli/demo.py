"""``bnprobe demo``: record a network that diverges and its twin that trains, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Script, what it is, and options of the recording.
_RUNS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "plain": (
        "deep_residual_plain.py",
        "a deep residual network without normalisation, then its first steps again at other learning rates, without and with msr",
        ("--what-if", "auto", "--what-if-remedy", "none", "--what-if-remedy", "msr"),
    ),
    "batch_norm": ("deep_residual_batch_norm.py", "the same network with batch norm, at the same learning rate", ()),
}


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", metavar="FOLDER", help="Where the two run files and the page go.")] = Path(
        "bnprobe-demo"
    ),
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Train two small networks on real digits, record both, and write a page that compares them. One to two minutes.

    The page says at which learning rates the first network would have trained, without and with mean shift rejection.

    \b
      bnprobe demo --open
    """  # noqa: D301 - \b is typer's mark for lines to leave alone
    from bnprobe.analyse.what_if import what_if_of
    from bnprobe.cli.browser import open_address
    from bnprobe.diagnose import diagnose
    from bnprobe.diagnose.verdict import verdict_line
    from bnprobe.report.page import write_page
    from bnprobe.report.what_if_text import lines
    from bnprobe.store.reader import read_run

    scripts = sample_runs_folder()
    _make_folder(output_dir)
    files = []
    for number, (name, (script, description, options)) in enumerate(_RUNS.items(), start=1):
        print(f"{number} of {len(_RUNS)}: {description}", flush=True)
        files.append(_record(scripts / script, output_dir / f"{name}.h5", options))
    page = output_dir / "demo.html"
    write_page(files, page)
    for file in files:
        run = read_run(file)
        diagnosis, answers = diagnose(run), what_if_of(run)
        print(f"{file}: {verdict_line(diagnosis)}")
        for line in lines(answers, diagnosis.outcome.word) if answers is not None else ():
            print(f"{file}: what if: {line}")
    print(f"wrote {page}")
    if show:
        open_address(page.resolve().as_uri())
    else:
        print(f"open it in a browser: {page.resolve().as_uri()}")


def sample_runs_folder() -> Path:
    """Find the scripts: inside an installed package, or beside it in a checkout.

    Returns:
        The folder that holds them.

    Raises:
        UsageError: They are in neither place.
    """
    import bnprobe
    from bnprobe.errors import UsageError

    package = Path(bnprobe.__file__).parent
    for folder in (package / "sample_runs", package.parent / "sample_runs"):
        if all((folder / script).is_file() for script, _, _ in _RUNS.values()):
            return folder
    raise UsageError("the demo's scripts are not installed with bnprobe", "install bnprobe again, or run from a checkout")


def _make_folder(folder: Path) -> None:
    from bnprobe.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder '{folder}': {error.strerror}", "choose another --output-dir") from None


def _record(script: Path, output: Path, options: tuple[str, ...] = ()) -> Path:
    """Record one script in a process of its own, just as a user would.

    Returns:
        The run file.

    Raises:
        BnprobeError: The script failed.
    """
    import subprocess
    import sys

    from bnprobe import start
    from bnprobe.errors import BnprobeError

    command = [*start.command("bnprobe.cli"), "record", "-q", "-f", "-o", str(output), *options, str(script)]
    status = subprocess.run(command, check=False).returncode
    if status != 0 or not output.exists():
        raise BnprobeError(f"{script.name} ended with status {status}", f"run it alone to see why: {sys.executable} {script}")
    return output
