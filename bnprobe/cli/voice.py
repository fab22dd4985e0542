"""What bnprobe says while a script runs: on stderr, each line marked as ours, and never the reason for a failure."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

from bnprobe.cli.status_line import StatusLine
from bnprobe.errors import BnprobeError
from bnprobe.launch.ending import Ending, describe
from bnprobe.observe.options import Progress


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
    """

    def __init__(
        self,
        output: Path,
        quiet: bool,
        status_line: StatusLine | None,
        closing_lines: Callable[[Path], list[str]],
    ) -> None:
        self._output = output
        self._file = output.absolute()  # the script may change its folder
        self._quiet = quiet
        self._status_line = status_line
        self._closing_lines = closing_lines
        self._has_failed = False

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
        if self._status_line is not None:
            self._status_line.clear()
        if not recorded:
            if self._has_failed:
                say("nothing was recorded")
            else:
                say("the script never imported torch; nothing was recorded")
        elif not self._quiet:
            for line in self._last_words(ending, hurried):
                say(line)

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
