"""What bnprobe says while a script runs: on stderr, each line marked as ours, and never the reason for a failure."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bnprobe.cli.status_line import StatusLine
from bnprobe.errors import BnprobeError
from bnprobe.launch.ending import Ending, describe
from bnprobe.observe.options import Progress
from bnprobe.originals import Original
from bnprobe.processes import TELLING_SECONDS, seconds_of_children, unrecorded_children


def say(text: str) -> None:
    """Write one line of ours to stderr; stdout belongs to the script."""
    try:
        print(f"bnprobe: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):  # closed by the script, or the terminal is gone
        pass


class Voice:
    """Tells the user what happens to one recording.

    Args:
        output: The run file, as the user named it.
        quiet: Speak of faults only.
        status_line: Where the live status goes; None without one.
        closing_lines: Reads the finished file and says what it shows and what to type next.
        beside: Finds the files of processes that the script has started; None where they are not recorded.
        may_follow: Whether processes could have been recorded, too, had that been asked for.
        hint: What may be why nothing was recorded.
    """

    def __init__(
        self,
        output: Path,
        quiet: bool,
        status_line: StatusLine | None,
        closing_lines: Callable[[Path], list[str]],
        beside: Callable[[], list[Path]] | None = None,
        may_follow: bool = True,
        hint: str = "",
    ) -> None:
        self._output = output
        self._file = output.absolute()  # the script may change its folder
        self._quiet = quiet
        self._status_line = status_line
        self._closing_lines = closing_lines
        self._beside = beside
        self._may_follow = may_follow
        self._hint = hint
        self._has_failed = False
        self._seconds_before = seconds_of_children()

    def progress(self, progress: Progress) -> None:
        """Take note of one training step."""
        if progress.message and not self._quiet:
            say(progress.message)
        if self._status_line is not None and self._status_line.is_due():
            self._status_line.update(status_text(progress))

    def fault(self, error: Exception) -> None:
        """Something of ours failed; the script does not notice."""
        self._has_failed = True
        say(f"the recording failed: {error if isinstance(error, BnprobeError) else describe(error)}")
        if isinstance(error, BnprobeError) and error.hint:
            say(f"hint: {error.hint}")

    def ended(self, ending: Ending, recorded: bool, hurried: bool) -> None:
        """Close with what was recorded and the next command to type."""
        try:
            self._close(ending, recorded, hurried)
        finally:
            _end_reading()

    def _close(self, ending: Ending, recorded: bool, hurried: bool) -> None:
        if self._status_line is not None:
            self._status_line.clear()
        if not recorded and not (self._beside is not None and self._beside()):
            if self._has_failed:
                say("nothing was recorded")
            elif self._beside is not None:
                say("neither the script nor a process that it started trained; nothing was recorded")
            else:
                say("the script never imported torch; nothing was recorded")
                if self._hint:
                    say(f"hint: {self._hint}")
                if (seconds := seconds_of_children() - self._seconds_before) > TELLING_SECONDS:
                    say(unrecorded_children(seconds))
        elif not self._quiet:
            for line in self._last_words(ending, hurried):
                say(line)

    def left_alone(self, swallowed: Exception | None) -> None:
        """Close without a summary: nothing was added to the file."""
        if self._status_line is not None:
            self._status_line.clear()
        if swallowed is not None:
            reason = swallowed if isinstance(swallowed, BnprobeError) else describe(swallowed)
            say(f"the script caught this and went on unrecorded: {reason}")
            if isinstance(swallowed, BnprobeError) and swallowed.hint:
                say(f"hint: {swallowed.hint}")
        say(f"no step was added to {self._output}")

    def replaced(self, call: str, recorded: bool) -> None:
        """Say that the recording is over, for all that is known, and how the other program can be recorded."""
        if self._status_line is not None:
            self._status_line.clear()
        if self._quiet:
            return
        before = f"what was recorded before is in {self._output}" if recorded else "no step was recorded before"
        if not recorded and self._beside is not None and self._beside():
            before = "what its processes trained before is in files beside"
        say(f"another program takes the script's place ({call}); {before}")
        if self._beside is not None:
            say("where that program is python with this environment, what it trains is recorded to a file beside")
        elif self._may_follow:
            say("hint: --children records that program, too, where it is python with this environment")

    def not_replaced(self) -> None:
        """Take back what ``replaced`` said."""
        if not self._quiet:
            say("it could not be started; the recording goes on")

    def _last_words(self, ending: Ending, hurried: bool) -> list[str]:
        brief = [f"recorded to {self._output}", f"next: bnprobe report {self._output}"]
        if hurried:
            return [f"ended by {ending.detail}; {brief[0]}", brief[1]]
        try:
            return self._closing_lines(self._file)
        except BnprobeError as error:
            return [str(error)]
        except Exception as error:  # the script's exit status must not depend on our last words
            return [*brief, f"the run could not be summed up: {describe(error)}"]


def _end_reading() -> None:
    """End the process that reads run files.

    It ends by an exit function, but python calls none that is registered while it calls them, which is when we read: python would find a
    process that nobody waited for, and warn the script of it.
    """
    if (quarantine := sys.modules.get("bnprobe.store.quarantine")) is not None:
        with _children_of_ours():
            quarantine.stop_server()


@contextmanager
def _children_of_ours() -> Iterator[None]:
    """Let children end of which a handler of the script's for SIGCHLD is to know nothing; of its own that end meanwhile it is told."""
    number: int = getattr(signal, "SIGCHLD", 0)  # there is none on Windows
    handler = Original.getsignal(number) if number else None
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # no handler of python's, or none that can be replaced for a moment
        return
    waiting = _waiting_child()
    Original.set_signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        Original.set_signal(number, handler)
        if _waiting_child() not in (0, waiting):
            Original.raise_signal(number)


def _waiting_child() -> int:
    """Return the process number of a child that has ended and that nobody has waited for; 0 if there is none, or none can be found."""
    if not hasattr(os, "waitid"):
        return 0
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:
        return 0  # no children at all
    return found.si_pid if found is not None else 0


def status_text(progress: Progress) -> str:
    """Put a training step into one line.

    Returns:
        The line, with the overhead in per cent of the training time.

    >>> status_text(Progress(120, 2.25, 0.1, "blocks.3.conv", 1.5, 0.04, ""))
    'bnprobe: step 120 | loss 2.25 | rate 0.1 | worst layer blocks.3.conv (rms x 32) | overhead 4 %'
    """
    parts = [f"bnprobe: step {progress.step}", f"loss {progress.loss:.4g}"]
    if not math.isnan(progress.learning_rate):
        parts.append(f"rate {progress.learning_rate:.3g}")
    if progress.worst_layer:
        parts.append(f"worst layer {progress.worst_layer} (rms x {_power_of_ten(progress.worst_value)})")
    parts.append(f"overhead {100 * progress.overhead:.0f} %")
    return " | ".join(parts)


def _power_of_ten(exponent: float) -> str:
    """10^exponent, also beyond what a float can hold."""
    try:
        return f"{10**exponent:.2g}"
    except OverflowError:
        return f"1e+{exponent:.0f}"
