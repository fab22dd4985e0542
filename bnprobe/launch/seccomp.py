"""Let the kernel pass over, for this process and all that it starts, every change of a file's mode, owner, times and attributes (seccomp).

Landlock refuses writes, but not these. The calls return as if they had succeeded: a copy of a file keeps its own mode, and a script that
sets one goes on. Sources: seccomp(2); the numbers of the calls are those of the kernel's tables, arch/x86/entry/syscalls/syscall_64.tbl
and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import platform
import struct

_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SUCCESS, _NOT_PERMITTED, _NO_SUCH_CALL = 0, 1, 38
#: Calls of another binary interface have other numbers: from here on, and on any other architecture.
_X32 = 0x40000000

#: setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, chmod, fchmod, chown, fchown, lchown, fchownat, fchmodat,
#: utime, utimes, futimesat, utimensat.
_OF_X86 = (188, 189, 190, 197, 198, 199, 90, 91, 92, 93, 94, 260, 268, 132, 235, 261, 280)
#: setxattr, lsetxattr, fsetxattr, removexattr, lremovexattr, fremovexattr, fchmod, fchmodat, fchownat, fchown, utimensat.
_OF_ARM = (5, 6, 7, 14, 15, 16, 52, 53, 54, 55, 88)
#: fchmodat2, setxattrat, removexattrat, file_setattr.
_OF_BOTH = (452, 463, 466, 469)
#: io_uring_setup: what goes through its queue meets no filter.
_QUEUE = 425
_MACHINES = {"x86_64": (0xC000003E, _OF_X86), "aarch64": (0xC00000B7, _OF_ARM)}


def ignore_changes_of_modes() -> bool:
    """Pass over changes of modes, owners, times and attributes from now on.

    To be called before the process has a second thread, and after it has given up new privileges.

    Returns:
        Whether the kernel does so.
    """
    if platform.machine() not in _MACHINES:
        return False
    architecture, calls = _MACHINES[platform.machine()]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ERROR | _NOT_PERMITTED),
        (_LOAD, 0, 0, _NUMBER_AT),
        *_answer(_AT_LEAST, _X32, _NO_SUCH_CALL),
        *_answer(_EQUAL, _QUEUE, _NO_SUCH_CALL),
        *(step for number in (*calls, *_OF_BOTH) for step in _answer(_EQUAL, number, _SUCCESS)),
        (_RETURN, 0, 0, _ALLOW),
    ]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    description = struct.pack("HP", len(program), ctypes.addressof(filters))
    call = ctypes.CDLL(None, use_errno=True).prctl
    return bool(call(_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.c_char_p(description), 0, 0) == 0)


def _answer(comparison: int, number: int, error: int) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Return the steps that end a call of this number with an error, 0 for none, and go on with any other."""
    return (comparison, 0, 1, number), (_RETURN, 0, 0, _ERROR | error)
