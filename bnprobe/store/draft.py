"""A new file that HDF5 writes whole, beside the one whose place it takes.

HDF5 dies where it cannot write: a failed write leaves objects that it can neither flush nor close. So a write never fails here: the first
fault is noted, and what finds no room on the disk from then on stays in memory, for the moment until whoever copies asks for the fault.
"""

from __future__ import annotations

import os
from pathlib import Path

from bnprobe.originals import Original
from bnprobe.store.file_like import WritableFileLike
from bnprobe.store.journal import check_space, write_at

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Draft(WritableFileLike):
    """A file that HDF5 makes.

    Args:
        path: the file; it is made.
        room: bytes that have to be free on its disk, beside the reserve for the script's own checkpoints.

    Raises:
        OSError: it cannot be made, or there is no room.
    """

    def __init__(self, path: Path, room: int) -> None:
        super().__init__()
        self._owner = Original.getpid()
        self._descriptor = os.open(path, _FLAGS, 0o666)
        self._end = 0
        self._homeless: list[tuple[int, bytes]] = []
        self._fault: OSError | None = None
        try:
            check_space(self._descriptor, room)
        except OSError:
            self.close()
            raise

    def check(self) -> None:
        """Make sure that all was written.

        Raises:
            OSError: it was not.
        """
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Close the file, once HDF5 has."""
        os.close(self._descriptor)

    # -- what h5py reads and writes ---------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """Where the file ends."""
        return self._end

    def _read(self, offset: int, size: int) -> bytearray:
        """Return bytes from a place on; zeros where there is nothing."""
        data = bytearray()
        try:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            while len(data) < size and (part := os.read(self._descriptor, size - len(data))):
                data += part
        except OSError as error:
            self._fault = self._fault or error
        data += bytes(size - len(data))
        for start, kept in self._homeless:
            low, high = max(offset, start), min(offset + size, start + len(kept))
            if low < high:
                data[low - offset : high - offset] = kept[low - start : high - start]
        return data

    def _change(self, data: bytes, offset: int) -> None:
        self._end = max(self._end, offset + len(data))
        if Original.getpid() != self._owner:
            return  # a forked child that closes its copy of the HDF5 file
        if self._fault is None:
            try:
                write_at(self._descriptor, data, offset)
            except OSError as error:
                self._fault = error
        if self._fault is not None:
            self._homeless.append((offset, data))

    def _cut(self, end: int) -> None:
        self._end = end
        if self._fault is None and Original.getpid() == self._owner:
            try:
                os.ftruncate(self._descriptor, end)
            except OSError as error:
                self._fault = error
