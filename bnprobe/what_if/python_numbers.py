"""Numbers that a script computes in python and puts back into its training: a rerun would take them for constants.

A clipping written by hand divides by a norm that it has read (``norm.item()``); at other rates the norm would be another. Where such a
number came from cannot be seen, but that it changes can: a float among the arguments of an operation that is not the same at every step.
Then it may depend on the training, and the stretch is refused, although it may be harmless (an annealed weight of a loss).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bnprobe.observe.probes.tape import Operation, found
from bnprobe.what_if.program import Backward, Item


def changing_number(items: Sequence[Item]) -> str:
    """Return why a number may depend on the training; empty where all are the same at every step.

    Args:
        items: of the stretch.
    """
    seen: dict[tuple[str, int, int], float] = {}
    counts: Counter[str] = Counter()
    step = -1
    for item in items:
        if isinstance(item, Backward) and item.losses and item.step != step:
            step = item.step
            counts.clear()
        if not isinstance(item, Operation):
            continue
        numbers = [number for number in found(float, (item.arguments, item.keywords)) if number == number]
        if not numbers:
            continue
        name = str(item.function)
        for place, number in enumerate(numbers):
            known = seen.setdefault((name, counts[name], place), number)
            if known != number:
                return (
                    f"{name} is given {number:.6g} at one step and {known:.6g} at another: a number that python has computed may depend on "
                    "the training, and would not change with it"
                )
        counts[name] += 1
    return ""
