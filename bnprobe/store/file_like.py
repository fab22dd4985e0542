"""Files as h5py's driver for file-like objects wants them: reads and writes go to a place that moves along."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod


class FileLike(ABC):
    """A file to read from."""

    def __init__(self) -> None:
        self._position = 0

    @property
    @abstractmethod
    def end(self) -> int:
        """Where the file ends."""

    @abstractmethod
    def _read(self, offset: int, size: int) -> bytearray:
        """Return bytes from a place on; fewer than asked for where the file ends before."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.end}[whence]
        return self._position

    def tell(self) -> int:
        """Return the place."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the place on."""
        data = self._read(self._position, max(0, self.end - self._position) if size < 0 else size)
        self._position += len(data)
        return bytes(data)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer from the place on."""
        data = self._read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class WritableFileLike(FileLike):
    """A file to write to as well."""

    @abstractmethod
    def _change(self, data: bytes, offset: int) -> None:
        """Write bytes at a place."""

    @abstractmethod
    def _cut(self, end: int) -> None:
        """Set the end of the file."""

    def write(self, buffer: memoryview) -> int:
        """Write bytes at the place."""
        data, offset = bytes(buffer), self._position
        self._position += len(data)
        self._change(data, offset)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the end of the file; return where it is."""
        self._cut(self._position if size is None else size)
        return self.end

    def flush(self) -> None:
        """Do nothing: who writes decides when."""
