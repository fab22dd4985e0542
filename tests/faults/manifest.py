"""The fault library: which program has which fault, where it shows, and from which step on.

Every program is a training script as a person would write it, with `--seed`; one with a fault has `--fixed`, which removes exactly
that fault, so that it gives a hit and a false alarm to count. About a third was set aside: written by authors who had not read the rules,
recorded for the first time when the tuning was over. Nobody tunes on those.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.manifest_set_aside import SET_ASIDE
from tests.faults.manifest_tuned import TUNED
from tests.faults.program import Catalogue, Part, Program


def _programs(part: Part, catalogue: Catalogue) -> Iterator[Program]:
    for cause, programs in catalogue.items():
        for name, (layers, steps) in programs.items():
            yield Program(f"{cause.replace('-', '_')}_{name}", cause, layers, steps, part)


PROGRAMS = (*_programs("tuned", TUNED), *_programs("set_aside", SET_ASIDE))
