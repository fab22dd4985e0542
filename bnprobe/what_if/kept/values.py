"""Values of python and torch as JSON has them: what an operation, an optimizer or a module may hold besides tensors.

Numbers, words and lists stand for themselves; everything else is an object of one key, which says its kind. Floats are written with as many
digits as they need to come back bit for bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch

from bnprobe.observe.probes.tape import Constant, Slot
from bnprobe.torch_private import version
from bnprobe.what_if.kept.tensors import TensorsIn, TensorsOut
from bnprobe.what_if.kept.unkept import Unkept, Unreadable

_SCALARS = (type(None), bool, int, float, str)
#: Words of torch: their kind, and how each is named.
_WORDS: dict[type, str] = {torch.dtype: "dtype", torch.layout: "layout", torch.memory_format: "memory_format"}


class ValuesOut:
    """Writes values.

    Args:
        tensors: where tensors go.
    """

    def __init__(self, tensors: TensorsOut) -> None:
        self.tensors = tensors
        #: Where the random number generators are, by the number that stands for each.
        self.generators: list[str] = []
        self._generators: list[torch.Generator] = []
        #: Tensors that are leaves of the program at hand: slots by ``id``.
        self.leaves: Mapping[int, Slot] = {}

    def value(self, value: Any) -> Any:
        """Return a value as JSON has it.

        Raises:
            Unkept: it is of another kind.
        """
        kind = type(value)
        if kind is Slot:
            return {"slot": int(value)}
        if kind in _SCALARS:
            return value
        if kind is list:
            return [self.value(part) for part in value]
        if isinstance(value, torch.Tensor):
            slot = self.leaves.get(id(value))
            return {"tensor": self.tensors.number(value)} if slot is None else {"leaf": int(slot)}
        return {(told := self._told(value))[0]: told[1]}

    def _told(self, value: Any) -> tuple[str, Any]:
        kind = type(value)
        if kind is Constant:
            if version(value.tensor) != value.version:
                raise Unkept("a tensor that a step was computed from has been overwritten since")
            return "constant", self.tensors.number(value.tensor)
        if kind is tuple or kind is torch.Size:
            return "tuple", [self.value(part) for part in value]
        if kind in (dict, defaultdict):
            return kind.__name__, [[self.value(key), self.value(part)] for key, part in value.items()]
        if kind in _WORDS:
            return _WORDS[kind], str(value).removeprefix("torch.")
        if kind is torch.device:
            return "device", str(value)
        if kind is complex:
            return "complex", [value.real, value.imag]
        if kind is torch.Generator:
            return "generator", self.generator(value)
        raise Unkept(f"a {kind.__module__}.{kind.__qualname__} is neither a number nor a word nor a tensor")

    def generator(self, generator: torch.Generator) -> int:
        """Return the number that stands for a random number generator."""
        for number, known in enumerate(self._generators):
            if known is generator:
                return number
        self._generators.append(generator)
        self.generators.append(f"{'default' if _default(generator.device) is generator else 'own'} {generator.device}")
        return len(self._generators) - 1


class ValuesIn:
    """Reads values.

    Args:
        tensors: the tensors.
        generators: where the random number generators are.
    """

    def __init__(self, tensors: TensorsIn, generators: list[str]) -> None:
        self.tensors = tensors
        self.generators = [_generator(told) for told in generators]
        #: Leaves of the program at hand, by slot.
        self.leaves: Mapping[Slot, torch.Tensor] = {}

    def value(self, told: Any) -> Any:
        """Return what a value of JSON stands for.

        Raises:
            Unreadable: it stands for nothing.
        """
        if isinstance(told, list):
            return [self.value(part) for part in told]
        if not isinstance(told, dict):
            return told
        if len(told) != 1:
            raise Unreadable(f"a value is of {len(told)} kinds at once")
        (kind, content), *_ = told.items()
        return self._read(kind, content)

    def _read(self, kind: str, content: Any) -> Any:
        if kind == "slot":
            return Slot(content)
        if kind == "constant":
            tensor = self.tensors.tensor(content)
            return Constant(tensor, version(tensor))
        if kind == "tensor":
            return self.tensors.tensor(content)
        if kind == "leaf":
            return self.leaves[Slot(content)]
        if kind == "tuple":
            return tuple(self.value(part) for part in content)
        if kind in ("dict", "defaultdict"):
            pairs = {self.value(key): self.value(part) for key, part in content}
            return pairs if kind == "dict" else defaultdict(dict, pairs)
        if kind == "device":
            return torch.device(content)
        if kind == "complex":
            return complex(*content)
        if kind == "generator":
            return self.generators[content]
        word = getattr(torch, str(content), None) if kind in _WORDS.values() else None
        if _WORDS.get(type(word)) != kind:
            raise Unreadable(f"{content!r} is no {kind}")
        return word


def _default(device: torch.device) -> torch.Generator | None:
    if device.type == "cuda":
        generators = torch.cuda.default_generators
        return generators[device.index or 0] if (device.index or 0) < len(generators) else None
    return torch.default_generator if device.type == "cpu" else None


def _generator(told: str) -> torch.Generator:
    kind, _, where = told.partition(" ")
    device = torch.device(where)
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
    found = _default(device) if kind == "default" else torch.Generator(device)
    if found is None:
        raise Unreadable(f"random numbers were drawn on {where}, which is not here")
    return found
