"""Which companions a recording has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.companion import Companion
from bnprobe.observe.compared.compared import Compared
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recording.output import Output
from bnprobe.observe.remedies.fits import RemedyFits


def companions_of(
    options: RecordOptions, output: Output, number: Callable[[], int], settle: Callable[[], None], optimizers: Callable[[], list[Optimizer]]
) -> Iterator[Companion]:
    """Make what goes along with a recording.

    Args:
        options: what was asked for.
        output: the run file, and what belongs to it.
        number: returns the number of the step that the clock is at.
        settle: closes the step whose update has happened.
        optimizers: those of the recorded training.

    Yields:
        One after the other, in the order in which they are told.
    """
    if not options.remedies:
        yield RemedyFits(output.notes.remedy_fits, output.faults)
    if options.compared:
        yield Compared(output.tree, output.faults, output.writer.set_attribute)
    if options.what_if:
        from bnprobe.what_if.companion import WhatIf  # it brings the diagnosis with it, which most recordings do without

        yield WhatIf(
            options,
            output.writer,
            number,
            settle,
            optimizers,
            output.faults,
            output.notes.say,
            lambda: output.delivery.has_diverged,
            output.axes.parameter_name,
        )
