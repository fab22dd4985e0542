"""What is left of a model without its tensors: its modules, their settings, and which parameter is where.

Remedies act on modules. The script's own are the script's, may be gone by the time a question is asked, and are not to be copied with all
they refer to. A skeleton has modules of the same classes under the same names, with plain settings (numbers, words, tuples of them) alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from bnprobe.identity import OwnReference

_PLAIN = (int, float, str, bool, type(None))


class Skeleton:
    """A model without tensors.

    Args:
        model: the root module.
        seen: skeletons of its parts by ``id`` of the module, filled: a shared one is kept once.

    Attributes:
        kind: class of the root module.
        settings: its plain attributes.
        slots: of its parameters, by name; None for what no optimizer trains.
        children: by name.
    """

    def __init__(self, model: nn.Module, seen: dict[int, Skeleton] | None = None) -> None:
        seen = {} if seen is None else seen
        seen[id(model)] = self
        registers = _registers()
        self.kind = type(model)
        self._module: Callable[[], nn.Module | None] = OwnReference(model)
        self.settings = {name: value for name, value in vars(model).items() if name not in registers and _is_plain(value)}
        self._parameters: dict[str, weakref.ref[torch.Tensor] | None] = {
            name: None if parameter is None else OwnReference(parameter) for name, parameter in model._parameters.items()
        }
        self.children: dict[str, Skeleton | None] = {}
        for name, child in model._modules.items():
            self.children[name] = None if child is None else seen.get(id(child)) or Skeleton(child, seen)
        self.slots: dict[str, Any] = {}

    @classmethod
    def of(cls, kind: type[nn.Module], settings: dict[str, Any], slots: dict[str, Any]) -> Skeleton:
        """Return the skeleton of a module that is not there, without children."""
        made = cls.__new__(cls)
        made.kind, made.settings, made.slots, made.children = kind, settings, slots, {}
        made._module, made._parameters = _gone, {}
        return made

    def resolve(self, slots: Mapping[int, Any], seen: set[int] | None = None) -> None:
        """Know parameters by their slots from now on.

        Args:
            slots: by ``id`` of the parameter.
            seen: skeletons that know theirs, filled.
        """
        seen = set() if seen is None else seen
        seen.add(id(self))
        module = self._module()
        if module is not None:
            self.settings["training"] = module.training
        for name, reference in self._parameters.items():
            parameter = reference() if reference is not None else None
            self.slots[name] = slots.get(id(parameter)) if parameter is not None else None
        for child in self.children.values():
            if child is not None and id(child) not in seen:
                child.resolve(slots, seen)

    def weight_names(self) -> Iterator[tuple[Any, str]]:
        """Yield the slot of every module's weight, and the module's name."""
        for module, skeleton in self._modules():
            if (slot := skeleton.slots.get("weight")) is not None:
                yield slot, module or skeleton.kind.__name__

    def _modules(self, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Skeleton]]:
        seen = set() if seen is None else seen
        seen.add(id(self))
        yield prefix, self
        for name, child in self.children.items():
            if child is not None and id(child) not in seen:
                yield from child._modules(f"{prefix}.{name}" if prefix else name, seen)

    def twin(self, seen: dict[int, Skeleton] | None = None) -> Skeleton:
        """Return another of the same model, whose parameters can be resolved anew."""
        seen = {} if seen is None else seen
        if id(self) not in seen:
            other = seen[id(self)] = Skeleton.__new__(Skeleton)
            other.__dict__.update(self.__dict__)
            other.settings, other.slots = dict(self.settings), {}
            other.children = {name: None if child is None else child.twin(seen) for name, child in self.children.items()}
        return seen[id(self)]

    def has_kept_its_mode(self) -> bool:
        """Whether every module that is alive trains, or evaluates, as it did when its parameters were resolved."""
        seen: dict[int, Skeleton] = {}
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if id(one) in seen:  # shared, or a part of itself
                continue
            seen[id(one)] = one
            module = one._module()
            if module is not None and module.training != one.settings.get("training", True):
                return False
            waiting += [child for child in one.children.values() if child is not None]
        return True

    def build(self, leaves: Mapping[Any, torch.Tensor], made: dict[int, nn.Module] | None = None) -> nn.Module:
        """Return modules that hold other parameters; one that is not among them is missing.

        Args:
            leaves: by slot.
            made: modules by identity of their skeleton, filled.

        Returns:
            The root module.
        """
        made = {} if made is None else made
        if id(self) in made:
            return made[id(self)]
        module: nn.Module = self.kind.__new__(self.kind)
        module.__dict__.update(_registers())
        module.__dict__.update(self.settings)
        made[id(self)] = module
        for name, slot in self.slots.items():
            module._parameters[name] = leaves.get(slot)  # type: ignore[assignment]
        for name, child in self.children.items():
            module._modules[name] = None if child is None else child.build(leaves, made)
        return module


def _gone() -> None:
    """A module that is not there."""


def _registers() -> dict[str, Any]:
    """Return the registers of a module that holds nothing."""
    return {name: value for name, value in vars(nn.Module()).items() if name != "training"}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return type(value) in _PLAIN or isinstance(value, torch.dtype | torch.device)
