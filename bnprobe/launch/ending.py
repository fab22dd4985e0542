"""How a recorded script ended, in the words that are written into its run file."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from bnprobe.errors import RemedyError, ResumeError

Status = Literal["finished", "stopped", "interrupted", "crashed", "exited"]


@dataclass(frozen=True)
class Ending:
    """How a script ended.

    Attributes:
        status: "finished" (ran to its end), "stopped" (by us, after ``--max-steps``), "interrupted" (Ctrl-C or a signal),
            "crashed" (its own exception) or "exited" (it left early with a status of its own).
        detail: What ended it, e.g. "sys.exit(3)", "SIGTERM", "ValueError: ...", "os.execv", "--max-steps 100"; "" for a plain end.
        exit_status: The status that a shell sees: 0 to 255, 128 + n after signal n. None where it is that of another program.
    """

    status: Status
    detail: str
    exit_status: int | None


def finished() -> Ending:
    """The script ran to its last line."""
    return Ending("finished", "", 0)


def stopped(reason: str) -> Ending:
    """We ended the script on request; ``reason`` is the option that asked for it."""
    return Ending("stopped", reason, 0)


def from_exception(error: BaseException) -> Ending:
    """The script raised ``error`` and did not catch it.

    Returns:
        The ending, with the status that the interpreter would exit with.

    >>> from_exception(ValueError("no data"))
    Ending(status='crashed', detail='ValueError: no data', exit_status=1)
    """
    if isinstance(error, SystemExit):
        return _from_system_exit(error)
    if isinstance(error, KeyboardInterrupt):
        return Ending("interrupted", "KeyboardInterrupt", 128 + signal.SIGINT)
    if isinstance(error, RemedyError | ResumeError):
        return Ending("crashed", describe(error), error.exit_status)
    return Ending("crashed", describe(error), 1)


def from_signal(number: int) -> Ending:
    """Signal ``number`` ends the process.

    Returns:
        The ending, with 128 and the number as status.

    >>> from_signal(15)
    Ending(status='interrupted', detail='SIGTERM', exit_status=143)
    """
    return Ending("interrupted", signal.Signals(number).name, 128 + number)


def from_os_exit(status: int) -> Ending:
    """The script called ``os._exit(status)``.

    Returns:
        The ending, with that status.

    >>> from_os_exit(7)
    Ending(status='exited', detail='os._exit(7)', exit_status=7)
    """
    return Ending("exited", f"os._exit({status})", status & 0xFF)


def from_replacement(call: str) -> Ending:
    """The script is replaced by another program, in the same process: what that exits with nobody of ours will see.

    Args:
        call: the function that replaces it.

    Returns:
        The ending, without a status.

    >>> from_replacement("os.execv")
    Ending(status='exited', detail='os.execv', exit_status=None)
    """
    return Ending("exited", call, None)


def describe(error: BaseException) -> str:
    """Name an exception in one line, as the last line of its traceback does.

    Returns:
        The exception's class and its text.

    >>> describe(KeyError("weights"))
    "KeyError: 'weights'"
    """
    try:
        text = str(error)
    except Exception:  # a broken __str__ in user code must not replace the user's error by ours
        text = "<no readable message>"
    name = type(error).__qualname__
    first_line = text.strip().split("\n", 1)[0]
    return f"{name}: {first_line}" if first_line else name


def _from_system_exit(error: SystemExit) -> Ending:
    """Read the exit status as the interpreter does: None is 0, a number is itself, anything else is 1.

    ``sys.exit(0)`` counts as a plain end: ``sys.exit(main())`` is how many scripts finish.

    Returns:
        The ending.
    """
    code = error.code
    if code is None:
        return Ending("finished", "sys.exit()", 0)
    if not isinstance(code, int):
        return Ending("exited", f"sys.exit({code!r})", 1)
    status = code & 0xFF
    return Ending("finished" if code == 0 else "exited", f"sys.exit({int(code)})", status)
