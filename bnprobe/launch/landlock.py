"""Ask the kernel to refuse this process, and all that it starts, every write outside some folders (Landlock, Linux 6.2).

Any process may restrict itself so, in most containers too. What the kernel refuses fails with a PermissionError, in python and in C alike.
Landlock is older, but before Linux 6.2 it let a file be truncated by its name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _NO_NEW_PRIVILEGES = 1, 1, 38
_WRITE_FILE, _LINK_ELSEWHERE, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
#: The first version that knows all of these.
_VERSION = 3
#: Writing, removing files and folders, making anything.
_WRITES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))


def refuse_writes_outside(folders: Sequence[Path]) -> bool:
    """Refuse writes outside of folders from now on.

    Args:
        folders: where anything may be written. In /dev and /proc what is there may be written to.

    Returns:
        Whether the kernel does so.
    """
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < _VERSION:
        return False
    handled = _WRITES | _LINK_ELSEWHERE | _TRUNCATE
    attributes = struct.pack("Q", handled)
    rules = call(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for place, access in [*((folder, handled) for folder in folders), (Path("/dev"), _WRITE_FILE), (Path("/proc"), _WRITE_FILE)]:
            with contextlib.suppress(FileNotFoundError):
                _allow(call, rules, place, access | _TRUNCATE)
        return bool(ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and call(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(call: ctypes._NamedFuncPointer, rules: int, place: Path, access: int) -> None:
    descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
    finally:
        os.close(descriptor)
