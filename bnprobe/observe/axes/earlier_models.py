"""Which model of a run file each model of this start is.

Where several models train, a label stands before the names of each; how many have trained by the time names are asked for differs from one
start to the next. So a model bears the names under which the file has it: with a label, or without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import nn

from bnprobe.identity import IdentityMap
from bnprobe.store.earlier import Earlier


class Candidate(NamedTuple):
    """A model that may be one of the file's.

    Attributes:
        root: the model.
        labels: what may stand before its names.
        shapes: of its parameters, as text, by their names in the model.
        owners: the modules that own them.
    """

    root: nn.Module
    labels: Sequence[str]
    shapes: Mapping[str, str]
    owners: frozenset[str]


class Match(NamedTuple):
    """What a model is in the file.

    Attributes:
        label: what stands before its names there; empty for nothing.
        number: its number there; None where no layer of it was measured.
    """

    label: str
    number: int | None


class EarlierModels:
    """Finds the models of a run file again.

    Args:
        earlier: what stands in the file.
    """

    def __init__(self, earlier: Earlier) -> None:
        self._shapes: dict[str, set[str]] = {}
        #: Parameters and layers that no model has claimed; of equal names, as two models of one label have them, each.
        self._free: Counter[str] = Counter()
        for name, shape in zip(earlier.parameters, earlier.parameter_shapes, strict=True):
            self._shapes.setdefault(first_of_name(name), set()).add(shape)
            self._free[first_of_name(name)] += 1
        self._layers: dict[str, int] = {}
        for name, number in zip(earlier.layers, earlier.layer_models, strict=False):
            self._layers.setdefault(first_of_name(name), number)
        self._free_layers = set(self._layers)
        self._matches: IdentityMap[nn.Module, Match | None] = IdentityMap()

    def knows(self, root: nn.Module) -> bool:
        """Whether it was decided what a model is."""
        return root in self._matches

    def match(self, root: nn.Module) -> Match | None:
        """Return what a model is in the file; None for one that is new."""
        return self._matches.get(root)

    def decide(self, candidates: Iterable[Candidate]) -> None:
        """Find out what models are: whichever fits best has the first choice."""
        waiting = list(candidates)
        while waiting:
            fits = [(self._fit(one, label), one, label) for one in waiting for label in (*one.labels, "")]
            best, chosen, label = max(fits, key=lambda fit: fit[0])
            if not any(best):
                break
            self._claim(chosen, label)
            may_fit = {id(one) for fit, one, _ in fits if any(fit) and one is not chosen}
            for one in waiting:
                if id(one) not in may_fit and one is not chosen:
                    self._matches[one.root] = None
            waiting = [one for one in waiting if id(one) in may_fit]
        for one in waiting:
            self._matches[one.root] = None

    def _claim(self, one: Candidate, label: str) -> None:
        self._matches[one.root] = Match(label, self._number(one, label))
        self._free.subtract(name for name in (_labelled(label, own) for own in one.shapes) if self._free[name] > 0)
        self._free_layers.difference_update(_labelled(label, own) for own in one.owners)

    def _fit(self, one: Candidate, label: str) -> tuple[int, int, int]:
        """Return how many of its parameters the file has in their shape, how many at all, and how many of its layers."""
        found = [(name, shape) for own, shape in one.shapes.items() if self._free[name := _labelled(label, own)] > 0]
        layers = sum(_labelled(label, own) in self._free_layers for own in one.owners)
        return sum(shape in self._shapes[name] for name, shape in found), len(found), layers

    def _number(self, one: Candidate, label: str) -> int | None:
        numbers = Counter(self._layers[name] for own in one.owners if (name := _labelled(label, own)) in self._layers)
        taken = {match.number for root in self._matches if (match := self._matches.get(root)) is not None}
        return next((number for number, _ in numbers.most_common() if number not in taken), None)


def models_of_parameters(earlier: Earlier) -> list[int | None]:
    """Return the number of the model that each parameter of a file belongs to; None where its layers do not tell."""
    models = dict(zip((name.partition(":")[0] for name in earlier.layers), earlier.layer_models, strict=False))
    distinct = set(models.values())
    if len(distinct) < 2:
        return [next(iter(distinct), 0)] * len(earlier.parameters)
    found: list[int | None] = []
    for owner in earlier.parameter_layers:
        place, number = owner, models.get(owner)
        while number is None and place:
            below = {other for name, other in models.items() if name.startswith(f"{place}.")}
            number = below.pop() if len(below) == 1 else None
            place = place.rpartition(".")[0] if not below else ""
        found.append(number)
    return found


def first_of_name(name: str) -> str:
    """Return a name of the file as the first that bore it: without the call, the role, or the number among equal names."""
    return name.partition(":")[0].partition("~")[0]


def _labelled(label: str, name: str) -> str:
    return f"{label}.{name}" if label and name else label or name
