"""One recording at a time to a run file: a lock that the kernel holds, and drops with the process, however that ends.

The script must find as many open files as without us, and may close all of them: so on Linux no descriptor stays. A mapping of the locked
file holds the lock as well, and a forked child, which has no part in the recording, is given none. Elsewhere one descriptor stays open; on
Windows, which has no such lock, it is of a file that goes with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.originals import Original

_PAGE = 4096
_NO_ACCESS, _SHARED = 0, 1
#: Keeps a mapping out of forked children; Linux.
_NOT_IN_CHILDREN = 10
_NOWHERE = ctypes.c_void_p(-1).value
#: How the file is opened: not for the programs that the script starts; on Windows, to be removed as the last descriptor is closed.
_PRIVATE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_GOES_WITH_IT = getattr(os, "O_TEMPORARY", 0)


class Claim:
    """A run file that this process alone records to.

    Args:
        path: the run file to be; a hidden file beside it, or beside what it is a link to, is locked until ``release``.

    Raises:
        UsageError: another process records to it.
    """

    def __init__(self, path: Path) -> None:
        place = Path(os.path.realpath(path))  # a link is the file that it leads to
        self._lock = place.with_name(f".{place.name}.lock")
        self._owner = Original.getpid()
        self._place: int | None = None
        self._descriptor: int | None = None
        try:
            import fcntl
        except ImportError:
            self._take_name(path)
            return
        while True:
            try:
                descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | _PRIVATE, 0o600)
            except OSError:
                return  # a folder that cannot be written to is complained of elsewhere
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(self._owner).encode(), 0)
                    if sys.platform == "linux":
                        self._place = _map(descriptor)
                        if self._place is None:
                            self._leave_nothing()
                    else:
                        self._descriptor = descriptor
                    return
            except BlockingIOError:
                owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise _busy(owner, path) from None
            except OSError:
                self._leave_nothing()  # a file system without locks
                return
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def _take_name(self, path: Path) -> None:
        """Where there is no lock: make the file, which nobody else can then, until this process is gone."""
        try:
            self._descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PRIVATE | _GOES_WITH_IT, 0o600)
            os.write(self._descriptor, str(self._owner).encode())
        except FileExistsError:
            owner = ""
            with contextlib.suppress(OSError):
                owner = self._lock.read_text(encoding="ascii", errors="replace").strip()
            raise _busy(owner, path) from None
        except OSError:
            return  # a folder that cannot be written to is complained of elsewhere

    def release(self) -> None:
        """Let others record to it. May be called again, and in a forked child, where it does nothing."""
        if (self._place is None and self._descriptor is None) or Original.getpid() != self._owner:
            return
        self._leave_nothing()
        if self._place is not None:
            _library().munmap(self._place, _PAGE)
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # the script may have closed it
                os.close(self._descriptor)
            self._leave_nothing()  # some systems remove no file that is open
        self._place = self._descriptor = None

    def _leave_nothing(self) -> None:
        with contextlib.suppress(OSError):
            self._lock.unlink()

    def _is_there(self, descriptor: int) -> bool:
        """Whether the locked file is still the one of that name: its last owner may just have removed it."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), os.stat(self._lock))
        return False


def _busy(owner: str, path: Path) -> UsageError:
    which = f"process {owner}" if owner.isdigit() else "another process"
    return UsageError(f"{which} is recording to '{path}'", "wait for it, or choose another name with -o")


def _map(descriptor: int) -> int | None:
    """Map a file, which holds its lock; return where, None where that cannot be."""
    library = _library()
    place = library.mmap(None, _PAGE, _NO_ACCESS, _SHARED, descriptor, 0)
    if place == _NOWHERE:
        return None
    library.madvise(place, _PAGE, _NOT_IN_CHILDREN)
    return int(place)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library
