"""One command at a time in a folder: a lock that the kernel holds, and drops with the process, however that ends.

The number of the owner stands in the locked file, but only to be shown: a number that was left by a process which is gone, and belongs to
another one by now, holds nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bnprobe.errors import UsageError

#: The locked file of a folder.
NAME = "owner"


@contextlib.contextmanager
def owned_folder(folder: Path, busy: str) -> Iterator[None]:
    """Own a folder, empty at first, which is removed at the end; what a killed owner left in it is removed, too.

    Args:
        folder: the folder; those above it are made where they are missing.
        busy: what another owner is at work on, for the message.

    Yields:
        While the folder is owned.

    Raises:
        UsageError: another process owns it, the file system has no locks, or this is no Linux.
    """
    if sys.platform != "linux":
        raise UsageError(
            f"trials run the script again, and on this system ({sys.platform}) nothing keeps them from writing to your files",
            "use Linux, or record the script at each rate yourself: bnprobe record, then bnprobe report on all files",
        )
    descriptor = _lock(folder, busy)
    try:
        _empty(folder)
        yield
    finally:
        with contextlib.suppress(OSError):
            _empty(folder)
            (folder / NAME).unlink()  # last: the next owner may be here from now on
            folder.rmdir()
        os.close(descriptor)
        with contextlib.suppress(OSError):
            folder.rmdir()  # NFS keeps an open file that was removed, under another name, until it is closed


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != NAME:
            entry.unlink()


def _lock(folder: Path, busy: str) -> int:
    """Return a locked descriptor of the folder's file."""
    import fcntl  # which Windows lacks

    path = folder / NAME
    while True:
        if os.path.lexists(folder) and not folder.is_dir() and os.path.lexists(folder):
            raise UsageError(f"{folder} is no folder", "remove it, or choose another file with -o")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileExistsError, FileNotFoundError):  # the last owner has just removed the folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            which = f"process {owner}" if owner.isdigit() else "another process"
            raise UsageError(f"{which} is using {busy}", "wait for it, or choose another file with -o") from None
        except OSError as error:
            os.close(descriptor)
            raise UsageError(f"{path} cannot be locked ({error.strerror})", "choose a file on a local disk with -o") from error
        os.close(descriptor)  # locked, but removed by its last owner in the meantime: another process may own the new one


def _is_still_there(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False
