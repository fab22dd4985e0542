"""Read a run file in a process that may die of it.

A run file may be damaged or hostile, and the HDF5 library crashes, loops or over-allocates on some such files. No cheap look at a file
tells that it is harmless (a checksum tells that it is as its author left it, not who the author was), so every file is read in a
process of its own, with limits on memory and time, that hands back plain numbers and texts.

Starting python with numpy and h5py for every file would cost a third of a second each. One server process is started instead, at the first
read, by executing a fresh interpreter; it never opens a file itself but forks for each, which takes milliseconds, and ends with
the process that started it. The reading process needs no h5py of its own: what the server costs at first, that import would have cost.

A reply is a sequence of frames (length, bytes; an empty one ends it), relayed by the server so that a reader that dies can be told
from one that is done. Inside lie records: a line of JSON, followed by as many bytes as it says.

A reader in pure python needs no such process, and pyfive 1.3 was tried (``tests/benchmarks/pyfive_reader.py``). It reads all our numbers
as h5py does, in twice the time (0.2 s of processor time for 144 MB), and of 1,000 damaged files none kept it longer than a second, where
HDF5 never came back from one. But it reads no text of ours whose chunk is not full, which is all of them: it follows the references behind
the last element, too. It also wants Python 3.11, numpy 2 and compiled codecs; pyfive 1.0, which wants none of these, fails on 20 of the 53
numeric variables of the sample run. And 16 of the 1,000 files made it ask for more than 700 MiB: a limit on memory, which holds for a whole
process, would still be needed.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bnprobe import own_imports, start
from bnprobe.store.schema import TEXT
from bnprobe.store.tables import TABLES

Array = NDArray[Any]
Attributes = dict[str, str | int | float]

_LENGTH = struct.Struct("<I")
PIPE_BYTES = 2**20
_LONGEST_LINE = 2**26
#: Time for a file: a start, and so many bytes a second. The alarm rings in the reader, the timer in the parent if that failed.
SECONDS_AT_LEAST, BYTES_PER_SECOND = 20.0, 20e6
TIMER_GRACE_SECONDS = 10.0
#: What a read of another thread has to come to its end, where all reading is to end.
SECONDS_TO_END = 5.0
#: What was never written takes no room in a file, and compression shrinks what repeats; more than this is damage or malice.
EXPANSION_LIMIT = 200
SMALLEST_LIMIT_BYTES = 64 * 2**20
LARGEST_LIMIT_BYTES = 16 * 2**30

#: By ``bnprobe.start``, since the package may be on no path at all: ``python -m bnprobe`` in a checkout. The library comes first, whatever
#: lies beside the script of this process.
_PROGRAM = (
    "import sys; sys.path += {path!r}; import runpy; sys.argv[1:] = ['bnprobe.store.quarantine_server']; "
    "runpy.run_path({start!r}, run_name='__main__')"
)


class ReaderDied(Exception):
    """The process that read the file did not survive it. The message says how it died."""


class Refused(Exception):
    """The file could not be opened. The message is HDF5's."""


@dataclass
class Reply:
    """What a reader handed back."""

    attributes: Attributes = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    peak_bytes: int = 0


def size_limit(size: int) -> int:
    """Return how many bytes of arrays a file of ``size`` bytes may claim to hold."""
    return min(max(SMALLEST_LIMIT_BYTES, EXPANSION_LIMIT * size), LARGEST_LIMIT_BYTES)


def read_quarantined(path: Path, table: str = "run") -> Reply:
    """Read a file in another process.

    Args:
        path: the file.
        table: the schema that it should follow, by its name in ``TABLES``.

    Returns:
        Attributes and arrays, with what was found damaged.

    Raises:
        ReaderDied: the reader crashed, ran out of its memory or time, or could not be started.
        Refused: HDF5 could not open the file.
    """
    with _server_lock:
        return _current_server().read(path, table)


class _Server:
    """The parent's end of the server process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        path = [entry for entry in own_imports.path() if isinstance(entry, str)]
        program = _PROGRAM.format(path=path, start=str(Path(start.__file__).resolve()))
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",  # threads would not survive the forks
            "OMP_NUM_THREADS": "1",
            "HDF5_PLUGIN_PRELOAD": "::",  # no filter from a shared library
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=PIPE_BYTES,
                env=environment,
                start_new_session=os.name == "posix",  # Ctrl-C at a terminal is for the parent
            )
        except OSError as error:
            raise ReaderDied(f"it could not be started: {error}") from None

    @property
    def is_usable(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def read(self, path: Path, table: str) -> Reply:
        size = path.stat().st_size
        limit_bytes = size_limit(size)
        seconds = SECONDS_AT_LEAST + size / BYTES_PER_SECOND
        request = {"path": os.fspath(path.absolute()), "seconds": seconds, "limit_bytes": limit_bytes, "table": table}
        assert self._process.stdin is not None and self._process.stdout is not None
        timer = threading.Timer(seconds + TIMER_GRACE_SECONDS, self._process.kill)
        timer.daemon = True
        # Python 3.12 starts no thread while a process ends, when a recording's last words are read: the reader's own alarm has to do.
        with contextlib.suppress(RuntimeError):
            timer.start()
        try:
            # Paths may hold bytes that are no text; as escaped surrogates they travel through ASCII.
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._process.stdin.flush()
            frames = _Frames(self._process.stdout)
            try:
                return _receive(frames, limit_bytes, table)
            finally:
                if frames.was_the_last:
                    self.stop()
        except (EOFError, OSError) as error:
            self.stop()
            raise ReaderDied(f"it ended without an answer ({error or self._process.returncode})") from None
        except (Refused, ReaderDied):
            raise  # the reply came to its end, and the server is as good as new
        except BaseException:
            self.stop()  # the rest of the reply is still in the pipe
            raise
        finally:
            timer.cancel()

    def stop(self) -> None:
        if self.owner != os.getpid():
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()


_server: _Server | None = None
_server_lock = threading.RLock()  # a signal's handler that ends the process may interrupt a read


def _current_server() -> _Server:
    global _server
    if _server is None or not _server.is_usable:
        if _server is None:
            atexit.register(stop_server)
        else:
            _server.stop()
        _server = _Server()
    return _server


def stop_server() -> None:
    """End the server; the next read starts another. What another thread reads may come to its end first, unless that takes long."""
    global _server
    if _server is None or _server.owner != os.getpid():  # a fork has the lock as it was in another process
        _server = None
        return
    is_held = _server_lock.acquire(timeout=SECONDS_TO_END)
    try:
        if _server is not None:
            _server.stop()
        _server = None
    finally:
        if is_held:
            _server_lock.release()


class _Frames:
    """The bytes of one reply."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._left = 0
        self._is_over = False
        self.was_the_last = False

    def read(self, size: int) -> bytearray:
        """Return exactly ``size`` bytes; fewer if the reply ends."""
        data = bytearray(size)
        done = 0
        while done < size and self._advance():
            part = min(size - done, self._left)
            self._fill(memoryview(data)[done : done + part])
            self._left -= part
            done += part
        del data[done:]
        return data

    def drain(self) -> None:
        """Read to the end of the reply."""
        while self._advance():
            self._fill(memoryview(bytearray(self._left)))
            self._left = 0

    def outcome(self) -> dict[str, int]:
        """Return how the reader ended, after the last frame."""
        self.drain()
        line = self._pipe.readline(1000)
        try:
            outcome = {str(key): int(value) for key, value in json.loads(line).items()}
            self.was_the_last = bool(outcome.get("last"))
            return outcome
        except (ValueError, TypeError, AttributeError):
            raise EOFError("no outcome") from None

    def _advance(self) -> bool:
        if self._left == 0 and not self._is_over:
            length = bytearray(_LENGTH.size)
            self._fill(memoryview(length))
            (self._left,) = _LENGTH.unpack(length)
            self._is_over = self._left == 0
        return not self._is_over

    def _fill(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            count = self._pipe.readinto(buffer[done:])  # type: ignore[attr-defined]  # of a buffered reader
            if not count:
                raise EOFError("the pipe was closed")
            done += count


def _receive(frames: _Frames, limit_bytes: int, table: str) -> Reply:
    reply, complete, refusal = Reply(), False, None
    malformed = False
    try:
        for record, payload in _records(frames, limit_bytes):
            if record["kind"] == "array":
                name, array = _array(record, payload, table)
                reply.arrays[name] = array
            elif record["kind"] == "attributes":
                reply.attributes = {str(key): value for key, value in record["values"].items() if isinstance(value, (str, int, float))}
            elif record["kind"] == "refused":
                refusal = str(record["reason"])
            elif record["kind"] == "end":
                reply.problems = [str(problem) for problem in record["problems"]]
                complete = True
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeError):
        malformed = True  # a reader that HDF5 has corrupted may say anything
    outcome = frames.outcome()
    reply.peak_bytes = outcome.get("peak_bytes", 0)
    if refusal is not None:
        raise Refused(refusal)
    if not complete or malformed:
        raise ReaderDied(_cause(outcome))
    return reply


def _records(frames: _Frames, limit_bytes: int) -> Iterator[tuple[dict[str, Any], bytearray]]:
    left = limit_bytes
    while header := frames.read(2 * _LENGTH.size):
        line_length, payload_length = struct.unpack("<II", header) if len(header) == 8 else (_LONGEST_LINE + 1, 0)
        # A payload is counted in units of eight bytes, so that four bytes suffice for 32 GiB.
        left -= 8 * payload_length
        if line_length > _LONGEST_LINE or left < 0:
            raise ValueError("a record is too long")
        record = json.loads(frames.read(line_length))
        yield record, frames.read(8 * payload_length)


def _array(record: dict[str, Any], payload: bytearray, table: str) -> tuple[str, Array]:
    variable = TABLES[table][record["name"]]
    if variable.dtype == TEXT:
        texts = [str(text) for text in record["texts"]]
        return variable.name, np.array(texts, dtype=object)
    shape = tuple(int(length) for length in record["shape"])
    if len(shape) != len(variable.dims) or min(shape) < 0:
        raise ValueError("a shape that the schema does not have")
    count = math.prod(shape)
    if count * np.dtype(variable.dtype).itemsize > len(payload):
        raise ValueError("fewer bytes than its shape demands")
    return variable.name, np.frombuffer(payload, dtype=variable.dtype, count=count).reshape(shape)


def _cause(outcome: dict[str, int]) -> str:
    number = outcome.get("signal", 0)
    # SIGALRM, SIGXCPU: its time was over. SIGKILL: most likely the kernel's memory killer.
    named = {14: "it did not finish in time", 24: "it did not finish in time", 9: "it was killed"}
    if number in named:
        return named[number]
    return f"HDF5 crashed (signal {number})" if number else "it ended early"
