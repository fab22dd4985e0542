"""What is the same layer in several runs: what has the same name, and where one run has a name twice, the same number of channels, too.

A merged run has a layer twice that is of another size on some ranks. Runs side by side may be of different width: there a name is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bnprobe.analyse.layers import counted, module_of
from bnprobe.store.reader import Run

#: Name, number of channels or 0 where it does not matter, and how many layers before it in its run are alike in both.
LayerKey = tuple[str, int, int]


def layer_keys(runs: Sequence[Run]) -> list[list[LayerKey]]:
    """Return a key for every layer of every run, (runs, L of each): unlike within a run, alike for the same layer of several."""
    twice = {name for run in runs for name, times in Counter(layer.name for layer in run.layers).items() if times > 1}
    return [_keys(run, twice) for run in runs]


def _keys(run: Run, twice: set[str]) -> list[LayerKey]:
    seen: Counter[tuple[str, int]] = Counter()
    keys = []
    for layer in run.layers:
        known = (layer.name, layer.channels if layer.name in twice else 0)
        keys.append((*known, seen[known]))
        seen[known] += 1
    return keys


def layer_numbers(run: Run) -> list[int]:
    """Return by which number a person counts each layer, (L,), from 1: a later call by that of its module, as what a module was given."""
    first: dict[tuple[int, str], int] = {}
    for number, layer in enumerate(counted(run), 1):
        first[layer.model, module_of(layer.name)] = number
    numbers, last = [], 1
    for layer in run.layers:
        last = first.get((layer.model, module_of(layer.name)), last)
        numbers.append(last)
    return numbers
