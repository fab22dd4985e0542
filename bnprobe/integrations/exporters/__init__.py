"""A run in the format of another tool, one format a file; each is read back by that tool in the tests."""

from __future__ import annotations

import importlib
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.store.reader import Run

#: What ``bnprobe export --to`` can write, by the module that does it and whether that is a folder.
FORMATS = {"csv": True, "parquet": True, "tensorboard": True, "json": False}


def export(run: Run, to: str, output: Path) -> list[Path]:
    """Write a run in another tool's format.

    Args:
        run: the run.
        to: a key of ``FORMATS``.
        output: the folder, or for json the file; it must not be there yet.

    Returns:
        The files that were written.

    Raises:
        UsageError: no such format, or the output exists or cannot be written.
        BnprobeError: a library that the format needs is not installed.
    """
    if to not in FORMATS:
        raise UsageError(f"--to {to} is unknown", f"say one of {', '.join(FORMATS)}")
    if output.exists() or output.is_symlink():
        raise UsageError(f"'{output}' already exists", "choose another name with -o")
    writer = importlib.import_module(f"bnprobe.integrations.exporters.{to}")
    try:
        if FORMATS[to]:
            output.mkdir(parents=True)
        files: list[Path] = writer.write(run, output)
    except OSError as error:
        raise UsageError(f"cannot write '{output}': {error.strerror or error}", "choose another place with -o") from None
    return files
