"""Numbers, sizes and ends of runs in words, for the page and the terminal alike."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys

from bnprobe.analyse.stability import divergence, loss_course
from bnprobe.analyse.views import RunView
from bnprobe.numerals import is_ordinary, mantissa, significant
from bnprobe.store.limits_file import NO_REMEDY
from bnprobe.store.reader import Run

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Write a number with three digits, large and small ones with a power of ten.

    >>> number(0.12345), number(-31000000.0), number(1500.0), number(0.9998), number(float("nan")), number(float("inf"))
    ('0.123', '−3.1×10⁷', '1500', '0.9998', '–', '∞')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if is_ordinary(value):
        text = significant(value)
        if text == "1":  # a share of nearly all is not all
            text = significant(value, 5)
        return text.replace("-", "−")
    digits, exponent = mantissa(value, 2)
    return f"{digits}×10{str(exponent).translate(_SUPERSCRIPT)}".replace("-", "−")


def remedy_name(remedy: str) -> str:
    """Return what a person reads of a trial's remedy: a command is told NONE for a trial without one, a kept tape none.

    >>> remedy_name("NONE"), remedy_name("none"), remedy_name("msr")
    ('no remedy', 'no remedy', 'msr')
    """
    return "no remedy" if remedy.upper() == NO_REMEDY else remedy


def elide(text: str, longest: int = 100) -> str:
    """Cut the middle out of words that no line could hold, such as a layer's name of a thousand characters.

    >>> elide("layer " + "a" * 90 + "b" * 90, 20)
    'layer aaaaaaaaaaaaa…bbbbbb'
    """
    head, tail = longest * 2 // 3, longest // 3
    return re.sub(rf"\S{{{longest + 1},}}", lambda found: f"{found[0][:head]}…{found[0][-tail:]}", text)


def size(count: float) -> str:
    """Write a number of bytes.

    >>> size(312), size(20480), size(3_400_000)
    ('312 B', '20 KiB', '3.2 MiB')
    """
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            scaled = count / factor
            return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:.0f} {unit}"
    return f"{count:.0f} B"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "layer"), plural(3, "layer"), plural(2, "class"), plural(1200, "step")
    ('1 layer', '3 layers', '2 classes', '1,200 steps')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith('s') else 's'}"


def keeping(run: Run) -> str:
    """Say of which steps more than the loss was kept, and by which rule; empty where all was."""
    whole = run.attributes.get("keep")
    if not isinstance(whole, int) or whole < 1:
        return ""
    rule = (
        f"the last {whole:,} steps whole, of those up to {2 * whole:,} steps ago one in 2, up to {4 * whole:,} one in 4, and so on; also "
        "the first steps and those next to events"
    )
    thinned = run.trained_steps - run.steps
    return (
        f"all detail so far; as the file grows, {rule}" if not thinned else f"detail of {run.steps:,} steps: {rule}; the loss of every step"
    )


def kept_detail(run: Run) -> str:
    """Say the same as a sentence for the page, once something was thinned."""
    return f"It was recorded with --keep: {keeping(run)} was kept." if run.trained_steps > run.steps else ""


def ending(run: Run) -> str:
    """Say in one sentence how the run ended.

    A file whose status is still "running" was either killed or is being written now; whether the process that wrote it lives tells which
    is likely, provided that it ran on this machine.
    """
    detail = str(run.attributes.get("ending", ""))
    reason = f" ({detail})" if detail else ""
    sentences = {
        "finished": "The script ran to its end.",
        "stopped": f"The recording was ended on request{reason}.",
        "interrupted": f"The run was interrupted{reason}.",
        "crashed": f"The script raised an exception{reason}.",
        "exited": f"The script left early{reason}.",
        "running": _running(run),
    }
    return sentences.get(run.status, f"How the run ended was not recorded (status: {run.status}).")


def loss_ends(run: Run) -> str:
    """Say where the loss came from and where it went, medians both, or at which it had diverged; empty where no loss was seen."""
    view = RunView.of(run)
    course, lost = view.once(loss_course), view.once(divergence)
    if course is None and lost is None:
        return ""
    first = number(course.early if course is not None else None)
    if lost is None:
        return f"{first} → {number(course.late if course is not None else None)}"
    if not math.isfinite(lost.loss):
        return f"{first} → not finite"
    return f"{first} → {number(lost.loss)}{'' if math.isfinite(view.loss[-1]) else ', then not finite'}"


def is_going_on(run: Run) -> bool:
    """Whether a run is most likely still being recorded, on this machine."""
    if run.ranks:
        return any(is_going_on(rank) for rank in run.ranks)
    pid = run.attributes.get("pid")
    return run.status == "running" and isinstance(pid, int) and pid > 0 and is_alive(pid)


def _running(run: Run) -> str:
    pid = run.attributes.get("pid")
    if is_going_on(run):
        return f"The recording was not closed: process {pid} is still running, so it is likely still going."
    which = f"process {pid} is gone" if isinstance(pid, int) else "it does not say which process wrote it"
    return f"The recording was not closed: {which}, so the run was most likely killed. What it had written is all here."


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    if sys.platform == "win32":
        return _is_alive_on_windows(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to someone else
        return True
    return True


def _is_alive_on_windows(pid: int) -> bool:
    """Ask for the process without a signal: there, signal 0 is Ctrl-C."""
    synchronize, timeout = 0x00100000, 0x102
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    handle = kernel.OpenProcess(synchronize, False, pid)
    if not handle:
        return False
    try:
        return bool(kernel.WaitForSingleObject(handle, 0) == timeout)
    finally:
        kernel.CloseHandle(handle)
