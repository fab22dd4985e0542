"""The server process of ``quarantine``: it forks a reader for each request and relays what the reader says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from bnprobe.store.content import Damage, RunContent
from bnprobe.store.schema import TEXT
from bnprobe.store.tables import TABLES

_FRAME_BYTES = 2**20
#: What the reader may use beside the arrays: HDF5's own caches, a second copy of the largest array while it is converted.
_MEMORY_BESIDE_BYTES = 256 * 2**20


def main() -> None:
    """Serve; by this name ``bnprobe.start`` knows it."""
    serve()


def serve() -> None:
    """Answer requests, one JSON line each on standard input, until it ends."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        request = json.loads(line)
        if hasattr(os, "fork"):
            outcome = _fork_and_relay(request, replies)
        else:  # one file, in this process; the parent's timer watches it and starts another for the next file
            _answer(request, _Framing(replies))
            outcome = {"signal": 0, "peak_bytes": 0, "last": 1}
        replies.write(struct.pack("<I", 0) + json.dumps(outcome).encode("ascii") + b"\n")
        replies.flush()
        if not hasattr(os, "fork"):
            return


class _Framing:
    """Writes a reader's bytes as frames itself, where there is no server between."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, data: bytes | memoryview) -> None:
        for start in range(0, len(data), _FRAME_BYTES):
            part = data[start : start + _FRAME_BYTES]
            self._pipe.write(struct.pack("<I", len(part)) + part)


def _fork_and_relay(request: dict[str, Any], replies: IO[bytes]) -> dict[str, int]:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(ours)
            _limit(request)
            with os.fdopen(theirs, "wb", buffering=_FRAME_BYTES) as pipe:
                _answer(request, pipe)
            status = 0
        finally:
            os._exit(status)  # whatever HDF5 still holds is not to be closed in order
    os.close(theirs)
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only, and only a matter of speed
        import fcntl

        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _FRAME_BYTES)
    while part := os.read(ours, _FRAME_BYTES):
        replies.write(struct.pack("<I", len(part)))
        replies.write(part)
    os.close(ours)
    _, status, usage = os.wait4(pid, 0)
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return {"signal": status & 0x7F, "peak_bytes": usage.ru_maxrss * kilobyte}


def _limit(request: dict[str, Any]) -> None:
    """Bound this process's memory and time."""
    import resource

    seconds = int(request["seconds"])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    # At equal limits the kernel sends SIGKILL, which tells nobody that the time was over.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(OSError, ValueError, IndexError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + _MEMORY_BESIDE_BYTES + 2 * int(request["limit_bytes"])
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answer(request: dict[str, Any], pipe: Any) -> None:
    """Write the records that a file makes."""
    try:
        content = RunContent(Path(request["path"]), int(request["limit_bytes"]), TABLES[request["table"]])
    except Damage as error:
        _write(pipe, {"kind": "refused", "reason": str(error)[:1000]})
        return
    _write(pipe, {"kind": "attributes", "values": content.attributes()})
    for variable, array in content.arrays():
        if variable.dtype == TEXT:
            _write(pipe, {"kind": "array", "name": variable.name, "texts": array.tolist()})
        else:
            _write(pipe, {"kind": "array", "name": variable.name, "shape": array.shape}, array.reshape(-1).view(np.uint8).data)
    _write(pipe, {"kind": "end", "problems": content.problems})


def _write(pipe: Any, record: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    line = json.dumps(record).encode("ascii")
    units = -(-len(payload) // 8)
    pipe.write(struct.pack("<II", len(line), units) + line)
    pipe.write(payload)
    pipe.write(bytes(8 * units - len(payload)))
