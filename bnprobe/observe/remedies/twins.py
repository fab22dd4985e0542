"""Copies of a model: other modules of the same class whose weights are the same to the last bit.

An average of the weights, or a target network, is made before the optimizer is built more often than after: by ``copy.deepcopy``, or built
anew and loaded. What is done to the model at that moment has to be done to them.
"""

from __future__ import annotations

import gc
from collections.abc import Container, Iterable

import torch
from torch import nn

from bnprobe.module_parts import modules, named_parameters, parameters


def core_of(model: nn.Module, trained: Container[int]) -> nn.Module:
    """Return the smallest part of a model that holds all of its parameters whose ids are given: it may hold its own copies, too."""
    while True:
        inner = [
            child
            for child in model._modules.values()
            if child is not None and all(any(p is q for q in parameters(child)) for p in parameters(model) if id(p) in trained)
        ]
        if not inner or not any(id(p) in trained for p in parameters(model)):
            return model
        model = inner[0]


def twins_of(model: nn.Module, trained: Container[int]) -> list[nn.Module]:
    """Return the copies of a model that no optimizer trains.

    Args:
        model: the model.
        trained: ids of the parameters under training.
    """
    own = dict(named_parameters(model))
    if not own or all(_is_constant(p) for p in own.values()):
        return []
    within = {id(module) for module in modules(model)}
    alike = (thing for thing in gc.get_objects() if type(thing) is type(model) and id(thing) not in within and "_modules" in vars(thing))
    return [thing for thing in alike if _equals(own.items(), dict(named_parameters(thing)), trained)]


def _equals(own: Iterable[tuple[str, torch.Tensor]], other: dict[str, torch.Tensor], trained: Container[int]) -> bool:
    own = list(own)
    if [name for name, _ in own] != list(other) or any(id(p) in trained for p in other.values()):
        return False
    return all(
        p is not other[name] and p.shape == other[name].shape and p.device == other[name].device and p.dtype == other[name].dtype
        for name, p in own
    ) and all(torch.equal(p, other[name]) for name, p in own)


def _is_constant(parameter: torch.Tensor) -> bool:
    return parameter.numel() < 2 or bool((parameter == parameter.flatten()[0]).all())
