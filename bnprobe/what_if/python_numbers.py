"""Numbers that a script computes in python and puts back into its training: a rerun would take them for constants.

A clipping written by hand divides by a norm that it has read (``norm.item()``); at other rates the norm would be another. Where such a
number came from cannot be seen, but that it changes can: a float among the arguments of an operation that is not the same at every step.
Then it may depend on the training, and the stretch is refused, although it may be harmless (an annealed weight of a loss).

Steps need not have the same operations: a running mean begins as a constant, an average of weights begins late, the stretch ends in the
middle of a step. What one step has beside those of another is no change; what it has instead is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bnprobe.observe.probes.operation_kinds import found
from bnprobe.observe.probes.tape import Operation
from bnprobe.what_if.program import Backward, Item


def changing_number(items: Sequence[Item]) -> str:
    """Return why a number may depend on the training; empty where all are the same at every step.

    Args:
        items: of the stretch.
    """
    most: dict[str, list[float]] = {}
    for numbers in _by_step(items):
        for name, given in numbers.items():
            known = most.get(name, given)
            shorter, longer = (given, known) if len(given) <= len(known) else (known, given)
            if (parted := _parted(shorter, longer)) is not None:
                one, other = parted
                return (
                    f"{name} is given {one:.6g} at one step and {other:.6g} at another: a number that python has computed may depend on "
                    "the training, and would not change with it"
                )
            most[name] = longer
    return ""


def _by_step(items: Sequence[Item]) -> list[dict[str, list[float]]]:
    """Return the numbers that operations of each name were given, in order, from one step's first backward to that of the next."""
    steps: list[dict[str, list[float]]] = [defaultdict(list)]
    step = -1
    for item in items:
        if isinstance(item, Backward) and item.losses and item.step != step:
            step = item.step
            steps.append(defaultdict(list))
        elif isinstance(item, Operation):
            numbers = [number for number in found(float, (item.arguments, item.keywords)) if number == number]
            if numbers:
                steps[-1][str(item.function)] += numbers
    return steps


def _parted(shorter: list[float], longer: list[float]) -> tuple[float, float] | None:
    """Return where two sequences part: a number of the shorter one that the longer one has not in its place, and what it has there.

    >>> _parted([0.1], [0.9, 0.1]), _parted([0.5, 0.1], [0.5, 0.2])
    (None, (0.1, 0.2))
    """
    rest = iter(longer)
    for place, number in enumerate(shorter):
        if number not in rest:  # goes on in the longer one, behind what was found before
            return number, longer[place]
    return None
