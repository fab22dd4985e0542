"""Whole bursts or none: how changes reach the run file.

HDF5 spreads one append over some seventy small writes, many of them over bytes that are in use. A process killed between two of them
left, in one place of seventy, a file that opened without complaint and held NaN for rows it claimed to have; a disk that fills up
half-way leaves a library that can neither go on nor close. So HDF5 never writes to the file here. It writes to an ``Overlay``, a
copy-on-write view in memory, and ``commit`` carries the changes over:

1. what lies beyond the old end of the file, then the pages to be changed, then a footer with a checksum, are appended;
2. the pages are written to their places;
3. the file is cut to its new end.

Killed in step 1, the file is the old one with bytes behind its end that HDF5 ignores, and without a valid footer they mean nothing.
Killed in step 2, the footer is there and whoever reads or writes next applies the pages, as often as need be. An error in step 1, the
only one that needs space, is undone by cutting the file. A forked child that closes its copy of the HDF5 file changes its own memory.

What this does not promise is survival of a power failure: nothing waits for the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bnprobe.store.file_like import FileLike, WritableFileLike

PAGE_BYTES = 4096
MAGIC = b"bnprobe-journal\n"
#: Magic, old end of the file, new end of the file, number of page runs, CRC-32 of everything from the old end to the footer.
FOOTER = struct.Struct("<16sQQQQ")
#: Offset and length of a run of pages, followed by its bytes.
RUN = struct.Struct("<QQ")
#: A commit does not start when it would leave less than this on the disk: the script's own checkpoints come first.
DISK_RESERVE_BYTES = 2**20
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

Runs = list[tuple[int, bytes]]


class Journal(NamedTuple):
    """A complete journal found behind the end of a file: the pages to be written, and where the file ends."""

    end: int
    runs: Runs


def find_journal(descriptor: int) -> Journal | None:
    """Return the journal at the end of an open file, if it is complete and undamaged."""
    size = os.fstat(descriptor).st_size
    if size < FOOTER.size:
        return None
    magic, base, end, count, checksum = FOOTER.unpack(_read_at(descriptor, FOOTER.size, size - FOOTER.size))
    if magic != MAGIC or not base <= end <= size - FOOTER.size:
        return None
    appended = _read_at(descriptor, size - FOOTER.size - base, base)
    if zlib.crc32(appended) != checksum:
        return None
    runs: Runs = []
    place = end - base
    for _ in range(count):
        if place + RUN.size > len(appended):
            return None
        offset, length = RUN.unpack_from(appended, place)
        place += RUN.size
        if place + length > len(appended) or offset % PAGE_BYTES or offset + length > base:
            return None
        runs.append((offset, appended[place : place + length]))
        place += length
    return Journal(end, runs) if place == len(appended) else None


def recover(descriptor: int) -> bool:
    """Apply a complete journal that a killed commit left behind; return whether there was one."""
    journal = find_journal(descriptor)
    if journal is None:
        return False
    _apply(descriptor, journal)
    return True


class Overlay(WritableFileLike):
    """A file whose changes stay in memory until ``commit``.

    A descriptor is open during ``attached()`` only, and only then are changes taken. What HDF5 does outside it is the closing of a file
    that was given up, in a forked child or when the interpreter ends: it is let through without effect and never fails.

    Args:
        path: the file.
        end: where it ended when it was last committed; None to take it as it is found.

    Raises:
        OSError: it cannot be opened, or is shorter than ``end``.
    """

    def __init__(self, path: Path, end: int | None = None) -> None:
        super().__init__()
        self._path = path
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None
        self._pages: dict[int, bytearray] = {}
        self._tail = bytearray()
        self._end = self._base = 0
        with self._open() as descriptor:
            found = os.fstat(descriptor)
            self._identity = (found.st_dev, found.st_ino)
            if not recover(descriptor) and end is not None:
                if found.st_size < end:
                    raise OSError(errno.EIO, f"another program has cut it to {found.st_size} of {end} bytes", str(path))
                os.ftruncate(descriptor, end)
            self._end = self._base = os.fstat(descriptor).st_size

    @property
    def end(self) -> int:
        """Where the file ends, changes in memory included."""
        return self._end

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Hold a descriptor open for reading, changing and committing."""
        with self._open() as descriptor:
            self._descriptor = descriptor
            try:
                yield
            finally:
                self._descriptor = None

    def commit(self) -> None:
        """Carry all changes over to the file, or none.

        Raises:
            OSError: the file cannot be written; the changes are still in memory.
        """
        with self._open() as descriptor:
            journal = Journal(self._end, list(self._changed_runs(descriptor)))
            with memoryview(self._tail)[: self._end - self._base] as appended:
                body = self._body(journal, appended)
                check_space(descriptor, len(appended) + len(body))
                try:
                    write_at(descriptor, appended, self._base)
                    write_at(descriptor, body, self._end)
                except OSError:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, self._base)
                    raise
            _apply(descriptor, journal)
        self._base = self._end
        self._pages.clear()
        self._tail = bytearray()

    # -- what h5py reads and writes ---------------------------------------------------------------------------------------

    def _read(self, offset: int, size: int) -> bytearray:
        size = max(0, min(size, self._end - offset))
        if self._descriptor is None:
            return bytearray(size)
        below = max(0, min(size, self._base - offset))
        data = bytearray()
        if below:
            data += _read_at(self._descriptor, below, offset)
            for number in range(offset // PAGE_BYTES, (offset + below - 1) // PAGE_BYTES + 1):
                page = self._pages.get(number)
                if page is not None:
                    start = number * PAGE_BYTES
                    low, high = max(offset, start), min(offset + below, start + len(page))
                    data[low - offset : high - offset] = page[low - start : high - start]
        if size > below:
            start = offset + below - self._base
            data += self._tail[start : start + size - below]
        return data

    def _change(self, data: bytes, offset: int) -> None:
        """Write bytes at a place, in memory."""
        if self._descriptor is None:
            return
        below = max(0, min(len(data), self._base - offset))
        if below:
            self._write_pages(self._descriptor, data[:below], offset)
        if len(data) > below:
            start = offset + below - self._base
            self._grow(start + len(data) - below)
            self._tail[start : start + len(data) - below] = data[below:]
            self._end = max(self._end, offset + len(data))

    def _cut(self, end: int) -> None:
        """Set the end of the file, in memory. It never falls below what is on disk already."""
        if self._descriptor is not None:
            self._end = max(self._base, end)
            self._grow(self._end - self._base)

    # -- inside -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        if self._descriptor is not None:
            yield self._descriptor
            return
        descriptor = os.open(self._path, os.O_RDWR | _BINARY)
        try:
            found = os.fstat(descriptor)
            if self._identity not in (None, (found.st_dev, found.st_ino)):
                raise OSError(errno.ESTALE, "another file has taken its place", str(self._path))
            yield descriptor
        finally:
            os.close(descriptor)

    def _write_pages(self, descriptor: int, data: bytes, offset: int) -> None:
        for number in range(offset // PAGE_BYTES, (offset + len(data) - 1) // PAGE_BYTES + 1):
            start = number * PAGE_BYTES
            low, high = max(offset, start), min(offset + len(data), start + PAGE_BYTES)
            if number not in self._pages:
                self._pages[number] = bytearray(_read_at(descriptor, min(PAGE_BYTES, self._base - start), start))
            self._pages[number][low - start : high - start] = data[low - offset : high - offset]

    def _body(self, journal: Journal, appended: memoryview) -> bytes:
        """Return what stands behind the new end of the file until the pages are in their places: nothing where none has changed."""
        if not journal.runs:
            return b""
        body = b"".join(part for offset, data in journal.runs for part in (RUN.pack(offset, len(data)), data))
        return body + FOOTER.pack(MAGIC, self._base, self._end, len(journal.runs), zlib.crc32(body, zlib.crc32(appended)))

    def _grow(self, length: int) -> None:
        if length > len(self._tail):
            self._tail += bytes(length - len(self._tail))

    def _changed_runs(self, descriptor: int) -> Iterator[tuple[int, bytes]]:
        """Pages that differ from the file, neighbours joined. HDF5 writes whole chunks back of which a row has changed."""
        start, run = 0, bytearray()
        for number in sorted(self._pages):
            page, offset = self._pages[number], number * PAGE_BYTES
            if page == _read_at(descriptor, len(page), offset):
                continue
            if run and offset != start + len(run):
                yield start, bytes(run)
                run = bytearray()
            start = start if run else offset
            run += page
        if run:
            yield start, bytes(run)


class Snapshot(FileLike):
    """A file to read from, with a killed commit's journal applied in memory only.

    Args:
        descriptor: the open file; stays the caller's.
        journal: what ``find_journal`` found in it.
    """

    def __init__(self, descriptor: int, journal: Journal) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._journal = journal

    @property
    def end(self) -> int:
        """Where the file ends."""
        return self._journal.end

    def _read(self, offset: int, size: int) -> bytearray:
        data = bytearray(_read_at(self._descriptor, max(0, min(size, self.end - offset)), offset))
        for start, run in self._journal.runs:
            low, high = max(offset, start), min(offset + len(data), start + len(run))
            if low < high:
                data[low - offset : high - offset] = run[low - start : high - start]
        return data


def _apply(descriptor: int, journal: Journal) -> None:
    for offset, data in journal.runs:
        write_at(descriptor, data, offset)
    os.ftruncate(descriptor, journal.end)


def check_space(descriptor: int, needed: int) -> None:
    """Make sure that the disk of an open file has room for so many bytes, and for the script's own checkpoints.

    Raises:
        OSError: it has not.
    """
    if not hasattr(os, "fstatvfs"):
        return
    disk = os.fstatvfs(descriptor)
    available = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and available < needed + DISK_RESERVE_BYTES:
        raise OSError(errno.ENOSPC, f"no space left on the disk ({available} bytes free)")


def _read_at(descriptor: int, size: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    parts = []
    while size > 0:
        part = os.read(descriptor, size)
        if not part:
            raise OSError(errno.EIO, f"the file ends {size} bytes early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of some bytes at a place of an open file.

    Raises:
        OSError: there was no room, or the file cannot be written.
    """
    os.lseek(descriptor, offset, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
