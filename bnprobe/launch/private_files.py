"""Let a process read all files and write none: what it writes goes into a copy that vanishes with it.

A trial runs the user's script, which saves checkpoints, appends to logs, clears folders. None of that may reach the user's disk, whoever
does it: python, a C++ library, a process that the script starts. So the process moves into a mount namespace of its own, where every file
system is covered by an overlay that keeps changes in memory (overlayfs on tmpfs): the script finds its files where they were, finds its
own changes, and leaves nothing behind. What lies under /dev, /proc, /sys and /run is as ever. One folder is handed through for results.

An ordinary user may do that since Linux 5.11, unless the machine or a container forbids it. Then the kernel refuses every write elsewhere
(``landlock``, ``seccomp``): a script that needs to write fails, and no file is touched. Where there is neither, no trial is made.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from pathlib import Path

from bnprobe.errors import UsageError
from bnprobe.launch.landlock import refuse_writes_outside
from bnprobe.launch.seccomp import ignore_changes_of_modes

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
#: Flags of a mount as statvfs tells them, and as mount takes them: an ordinary user must keep them.
KEPT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
#: Parts of the tree that are no files of the user: devices, processes, sockets of services.
AS_THEY_ARE = frozenset({"dev", "proc", "sys", "run"})


#: What the file of trials says of how files are kept from being written.
COVERED, REFUSED = "copy-on-write view of the file system", "writes refused by the kernel"


def protect_files(folder: Path) -> str:
    """Make this process, and those that it starts, unable to change any file outside ``folder``.

    To be called before the process has a second thread.

    Args:
        folder: an existing folder that stays writable; what is written there is kept.

    Returns:
        How files are kept from being written: ``COVERED`` or ``REFUSED``.

    Raises:
        UsageError: it cannot be done on this machine.
    """
    folder = folder.resolve()
    if sys.platform == "linux" and _can_be_covered(folder):
        _cover(folder)
        return COVERED
    return refuse_writes(folder)


def refuse_writes(folder: Path) -> str:
    """Do the same the second best way: the kernel refuses to write elsewhere, and temporary files go into ``folder``.

    Returns:
        ``REFUSED``.

    Raises:
        UsageError: the kernel does not.
    """
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    if sys.platform != "linux" or not refuse_writes_outside([folder, Path("/dev/shm")]) or not ignore_changes_of_modes():
        raise UsageError(
            "trials could overwrite your files: this machine gives a process neither a view of the file system of its own nor, from "
            "Linux 6.2 on, Landlock and seccomp",
            "use a machine or a container that allows user namespaces, or Landlock on Linux 6.2 or later",
        )
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    return REFUSED


def _can_be_covered(folder: Path) -> bool:
    """Try it in a child: half a move into another namespace cannot be taken back."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with contextlib.suppress(OSError):
                _cover(folder)
                status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def _cover(folder: Path) -> None:
    """Build a covered copy of the tree, and make it the root of this process."""
    here = os.getcwd()
    mounts = _mount_points()
    _enter_namespace()
    view = folder / "view"
    view.mkdir(exist_ok=True)
    _mount("tmpfs", view, "tmpfs", 0, "mode=755")
    root = view / "root"
    root.mkdir()
    _Cover(view, mounts).cover(Path("/"), root)
    # Resolved from the new root on: the covered folder shows what was there, and is itself covered by the real one.
    _mount(folder, Path(f"{root}{folder}"), None, BIND)
    os.chroot(root)
    os.chdir(here)


def _enter_namespace() -> None:
    """Take a private copy of the table of mounts. Who is not root needs a user namespace for that, and stays the same user there."""
    user, group = os.getuid(), os.getgid()
    try:
        _unshare(NEW_MOUNTS)
    except OSError:
        _unshare(NEW_MOUNTS | NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount("none", Path("/"), None, RECURSIVE | PRIVATE)


class _Cover:
    """Lays overlays over a tree.

    A folder with mounts below it is not covered as a whole, which the kernel refuses an ordinary user, but entry by entry.

    Args:
        view: a tmpfs.
        mounts: mount points of the tree.
    """

    def __init__(self, view: Path, mounts: list[str]) -> None:
        self._view = view
        self._mounts = mounts
        self._count = 0

    def cover(self, path: Path, place: Path) -> None:
        """Make ``place``, an empty folder of the view, show ``path``."""
        prefix = str(path).rstrip("/") + "/"
        if not any(mount.startswith(prefix) and mount != str(path) for mount in self._mounts):
            try:
                self._overlay(path, place)
            except OSError:
                _bind_read_only(path, place)
            return
        _copy_mode(path, place)
        for entry in os.scandir(path):
            target = place / entry.name
            if entry.is_symlink():
                target.symlink_to(os.readlink(entry.path))
            elif not entry.is_dir():
                target.touch()
                _bind_read_only(Path(entry.path), target)
            else:
                target.mkdir()
                if prefix == "/" and entry.name in AS_THEY_ARE:
                    _mount(Path(entry.path), target, None, BIND | RECURSIVE)
                else:
                    self.cover(Path(entry.path), target)

    def _overlay(self, path: Path, place: Path) -> None:
        self._count += 1
        upper, work = self._view / f"upper{self._count}", self._view / f"work{self._count}"
        upper.mkdir()
        work.mkdir()
        _copy_mode(path, upper)
        layers = f"lowerdir={_escaped(path)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
        _mount("overlay", place, "overlay", 0, f"userxattr,{layers}")


def _bind_read_only(path: Path, place: Path) -> None:
    _mount(path, place, None, BIND)
    kept = sum(flag for told, flag in KEPT_FLAGS.items() if os.statvfs(path).f_flag & told)
    _mount("none", place, None, BIND | REMOUNT | READ_ONLY | kept)


def _copy_mode(path: Path, place: Path) -> None:
    found = path.stat()
    place.chmod(found.st_mode & 0o7777)
    with contextlib.suppress(OSError):  # an owner whom a user namespace does not know
        os.chown(place, found.st_uid, found.st_gid)


def _mount_points() -> list[str]:
    """Return where something is mounted, of the parts of the tree that are to be covered."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in lines]
    return points


def _escaped(path: Path) -> str:
    return re.sub(r"([\\,:])", r"\\\1", str(path))


def _unshare(flags: int) -> None:
    _check(ctypes.CDLL(None, use_errno=True).unshare(flags), "unshare")


def _mount(source: str | Path, place: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    call = ctypes.CDLL(None, use_errno=True).mount
    texts = [None if text is None else os.fsencode(text) for text in (source, place, kind, data)]
    _check(call(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), str(place))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
