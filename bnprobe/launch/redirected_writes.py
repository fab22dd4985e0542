"""The second best way to keep a trial from the user's files, where the machine gives it no view of its own.

The kernel refuses every write outside the trial's folder (``landlock``), and python's own functions are led elsewhere first: what a
script writes through ``open``, ``os`` and ``torch.save`` lands in a mirror of the tree inside that folder, and reading finds it there.
Files of the user are never removed or renamed: that fails with a PermissionError, as does all that C code writes by name.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LEFT_ALONE = ("/dev/", "/proc/", "/sys/")


def redirect_writes(folder: Path) -> Callable[[], None]:
    """Lead what python writes into ``folder``.

    Args:
        folder: absolute; a mirror of the tree and a folder for temporary files are made in it.

    Returns:
        To be called once torch has been imported, which writes checkpoints from C++, by name.
    """
    mirror = _Mirror(folder)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    builtins.open = io.open = mirror.opening(io.open)
    os.open = mirror.opening_descriptor(os.open)
    for name in ("stat", "lstat", "access", "readlink"):
        setattr(os, name, mirror.reading(getattr(os, name)))
    os.listdir = mirror.listing(os.listdir)
    os.scandir = mirror.reading(os.scandir)
    for name in ("mkdir", "truncate", "chmod", "utime"):
        setattr(os, name, mirror.changing(getattr(os, name)))
    for name in ("remove", "unlink", "rmdir"):
        setattr(os, name, mirror.reading(getattr(os, name)))
    for name in ("rename", "replace", "link"):
        setattr(os, name, mirror.moving(getattr(os, name)))
    os.symlink = mirror.linking(os.symlink)
    return functools.partial(_redirect_torch, mirror)


def _redirect_torch(mirror: _Mirror) -> None:
    torch: Any = sys.modules["torch"]
    save, load = torch.save, torch.load

    @functools.wraps(save)
    def redirected_save(thing: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        return save(thing, mirror.to_write(file), *args, **kwargs)

    @functools.wraps(load)
    def redirected_load(file: Any, *args: Any, **kwargs: Any) -> Any:
        return load(mirror.to_read(file), *args, **kwargs)

    torch.save, torch.load = redirected_save, redirected_load


class _Mirror:
    """Where things written are, and which of two files of the same name is meant."""

    def __init__(self, folder: Path) -> None:
        self._own = str(folder) + os.sep
        self._root = str(folder / "files")
        self._exists = os.path.lexists
        self._lstat, self._makedirs = os.lstat, os.makedirs

    def to_read(self, path: Any) -> Any:
        """Return the mirrored file if there is one, else the path itself."""
        place = self._place(path)
        return place if place is not None and self._is_there(place) else path

    def to_write(self, path: Any, *, keeping: bool = False) -> Any:
        """Return the place in the mirror, with the folders above it, and with the user's content if that is to be changed.

        A folder that exists neither here nor there stays missing, for the error that follows from it.
        """
        place = self._place(path)
        if place is None:
            return path
        real = os.path.abspath(os.fspath(path))
        if os.path.isdir(os.path.dirname(real)) and not self._is_there(os.path.dirname(place)):
            _make_folders(os.path.dirname(place))
        if keeping and not self._is_there(place) and os.path.isfile(real):
            shutil.copyfile(real, place)
        return place

    def _place(self, path: Any) -> str | None:
        """Return where a path lies in the mirror; None for descriptors, streams and what needs no redirection."""
        if isinstance(path, (int, io.IOBase)) or not isinstance(path, (str, os.PathLike)):
            return None
        real = os.path.abspath(os.fspath(path))
        if not isinstance(real, str) or real.startswith((self._own, *_LEFT_ALONE)):
            return None
        return self._root + real

    def _is_there(self, place: str) -> bool:
        try:
            self._lstat(place)
        except (OSError, ValueError):
            return False
        return True

    # -- wrappers -----------------------------------------------------------------------------------------------------

    def opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if "x" in mode and self._place(file) is not None and os.path.lexists(file):
                raise FileExistsError(17, os.strerror(17), file)
            writes = any(letter in mode for letter in "wax+")
            place = self.to_write(file, keeping="a" in mode or "r" in mode) if writes else self.to_read(file)
            return original(place, mode, *args, **kwargs)

        return open

    def opening_descriptor(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def open(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is None:
                path = self.to_write(path, keeping=not flags & os.O_TRUNC) if flags & _WRITING else self.to_read(path)
            return original(path, flags, *args, **kwargs)

        return open

    def reading(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def read(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            return original(self.to_read(path) if kwargs.get("dir_fd") is None else path, *args, **kwargs)

        return read

    def changing(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def change(path: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is None:
                if original.__name__ == "mkdir" and self._place(path) is not None and os.path.lexists(path):
                    raise FileExistsError(17, os.strerror(17), path)
                path = self.to_write(path, keeping=True)
            return original(path, *args, **kwargs)

        return change

    def moving(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def move(source: Any, target: Any, **kwargs: Any) -> Any:
            return original(self.to_read(source), self.to_write(target), **kwargs)

        return move

    def linking(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def link(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            return original(source, self.to_write(target), *args, **kwargs)

        return link

    def listing(self, original: Callable[..., Any]) -> Any:
        @functools.wraps(original)
        def listdir(path: Any = ".") -> Any:
            place = self._place(path)
            if place is None or not self._is_there(place):
                return original(path)
            real = original(path) if os.path.isdir(os.path.abspath(path)) and self._is_real(path) else []
            return list(dict.fromkeys([*real, *original(place)]))

        return listdir

    def _is_real(self, path: Any) -> bool:
        return self._is_there(os.path.abspath(os.fspath(path)))


def _make_folders(path: str) -> None:
    if path and not os.path.isdir(path):
        _make_folders(os.path.dirname(path))
        _MKDIR(path)


_MKDIR = os.mkdir
