"""The fault library: which program has which fault, where it shows, and from which step on.

Every program is a training script as a person would write it, with `--seed`; one with a fault has `--fixed`, which removes exactly
that fault, so that it gives a hit and a false alarm to count. About a third was held out: written by authors who had not read the rules,
recorded for the first time when the tuning was over. Nobody tunes on those.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.manifest_held_out import HELD_OUT
from tests.faults.manifest_tuned import TUNED
from tests.faults.program import Catalogue, Part, Program


def _programs(part: Part, catalogue: Catalogue) -> Iterator[Program]:
    for cause, programs in catalogue.items():
        for name, (layers, steps) in programs.items():
            yield Program(f"{cause.replace('-', '_')}_{name}", cause, layers, steps, part)


PROGRAMS = (*_programs("tuned", TUNED), *_programs("held_out", HELD_OUT))
