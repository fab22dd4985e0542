"""Where a recording goes, settled before the script is started: an hour of training must not end at a missing folder."""

from __future__ import annotations

import os
from pathlib import Path

from bnprobe.errors import UsageError

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def default_output(label: str, is_one_of_many: bool = False) -> Path:
    """Name a file in the current folder after the script and this process; of several ranks, after the one that started them."""
    return Path(f"bnprobe-{label}.{os.getppid() if is_one_of_many else os.getpid()}.h5")


def check_output(path: Path, force: bool) -> None:
    """Make sure that a run file can be written to ``path``; leaves nothing behind.

    Args:
        path: The run file to be.
        force: Whether an existing run file may be overwritten.

    Raises:
        UsageError: The folder is missing or cannot be written, or there is a file already.
    """
    folder = path.parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"cannot write '{path}': the folder '{folder}' {what}", f"mkdir -p {folder}, or choose another -o")
    if path.is_dir():
        raise UsageError(f"cannot write '{path}': it is a folder", f"name a file in it: -o {path / 'run.h5'}")
    if path.exists():
        _check_existing(path, force)
    else:
        _check_new(path)


def check_resumed(path: Path) -> bool:
    """Make sure that a recording could go on in a run file, as far as that shows before it is read.

    Args:
        path: The run file of an earlier start.

    Returns:
        Whether there is such a file; where there is none, this is the first start.

    Raises:
        UsageError: It is no run file, or cannot be written.
    """
    if not path.exists():
        check_output(path, force=False)
        return False
    if path.is_dir():
        raise UsageError(f"cannot go on in '{path}': it is a folder", "name the run file of the earlier start")
    try:
        with path.open("r+b") as file:
            start = file.read(len(_HDF5_SIGNATURE))
    except OSError as error:
        raise UsageError(f"cannot go on in '{path}': {error.strerror}", "record to another file with -o") from None
    if start != _HDF5_SIGNATURE:
        raise UsageError(f"cannot go on in '{path}': it is not a run file", "name the run file of the earlier start")
    return True


def _check_existing(path: Path, force: bool) -> None:
    if not force:
        raise UsageError(f"'{path}' already exists", "choose another name with -o, or overwrite it with -f")
    try:
        with path.open("r+b") as file:
            start = file.read(len(_HDF5_SIGNATURE))
    except OSError as error:
        raise UsageError(f"cannot overwrite '{path}': {error.strerror}", "choose another name with -o") from None
    if start and start != _HDF5_SIGNATURE:
        raise UsageError(f"'{path}' is not a run file and is not overwritten, even with -f", "choose another name with -o")


def _check_new(path: Path) -> None:
    # Trying is the only test that root, a full quota and a read-only mount all answer truly.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror}", "choose a folder that you can write to with -o") from None
