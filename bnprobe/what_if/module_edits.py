"""Remedies that change what a module computes, put into a tape.

The tape has no modules: it has the operations that read their weights. A module that a remedy has changed is therefore asked at these:

    its weight is computed from another (weight norm, standardisation)   where an operation reads the weight, it gets the computed one
    a module stands behind it (batch norm)                                what the convolution gives goes through that module
    it computes something else (no norm)                                  what the normalisation gives is what the module gives

Whatever else reads such a weight (a cast under autocast, a penalty of the script's own) is not what a module does, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from bnprobe.observe.probes.operation_kinds import operation_name
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.remedies.scope import CONVOLUTIONS
from bnprobe.what_if.program import Backward, Program, SetGradient

#: Operations as which layers read their weights, and normalisations.
_CONVOLUTION = "convolution"
_READERS = (_CONVOLUTION, "t", "transpose", "permute", "linear", "mm", "addmm")
_NORMS = ("native_batch_norm", "native_layer_norm", "native_group_norm", "cudnn_batch_norm")
_ZEROING = ("zero_", "_foreach_zero_")


class Refused(Exception):
    """A remedy cannot be tried in a rerun; the message says why."""


class ModuleEdits:
    """What remedies have changed about the modules of one optimizer.

    Args:
        program: the stretch.
        leaves: its leaves, by slot.
        modules: modules that hold them, before any remedy.
    """

    def __init__(self, program: Program, leaves: Mapping[Slot, torch.Tensor], modules: Sequence[nn.Module]) -> None:
        self._program = program
        slots = {id(leaf): slot for slot, leaf in leaves.items()}
        self._owners: dict[Slot, nn.Module] = {}
        self._nameless = [module for module in modules if _is_norm(module) and module._parameters.get("weight") is None]
        for module in modules:
            weight = module._parameters.get("weight")
            slot = slots.get(id(weight)) if weight is not None else None
            if slot is not None:
                if slot in self._owners:
                    self._owners[slot] = _Shared()
                self._owners.setdefault(slot, module)
        self._kinds = {id(module): type(module) for module in modules}
        self._modules = list(modules)
        self._weights: dict[Slot, nn.Module] = {}
        self._behind: dict[Slot, Callable[[torch.Tensor], torch.Tensor]] = {}
        self._instead: dict[Slot, nn.Module] = {}
        self.draws = False

    def find_changes(self) -> None:
        """The remedies have been applied: find what they have changed.

        Raises:
            Refused: something that the tape does not show.
        """
        hooked = []
        for slot, module in self._owners.items():
            if parametrize.is_parametrized(module, "weight"):
                self._weights[slot] = module
            if type(module) is not self._kinds.get(id(module), type(module)) and not parametrize.is_parametrized(module):
                self._instead[slot] = module
            if module._forward_hooks and isinstance(module, CONVOLUTIONS):
                hooked.append(module)
                self._behind[slot] = _hooks(module)
                self.draws |= any("dropout" in name for name, _ in module.named_children())
        known = {id(module) for module in hooked}
        if any((module._forward_hooks or module._forward_pre_hooks) and id(module) not in known for module in self._modules):
            raise Refused("it acts behind modules that leave no weight in the tape; lr-limit tries it")
        if any(type(module) is not self._kinds[id(module)] for module in self._nameless):
            raise Refused("a normalisation without a weight of its own is not told from others in the tape; lr-limit tries it")
        self._check_readers()

    def _check_readers(self) -> None:
        changed = {*self._weights, *self._behind, *self._instead}
        for slot in changed:
            if isinstance(self._owners[slot], _Shared):
                raise Refused("it changes a weight that two modules share")
        for item in self._program.items:
            if not isinstance(item, Operation):
                continue
            name = _name(item)
            for slot in item.reads:
                if slot not in changed or name == "set_requires_grad":
                    continue
                fits = name in _NORMS if slot in self._instead else name == _CONVOLUTION if slot in self._behind else name in _READERS
                if not fits or not item.with_grad:
                    raise Refused(f"it changes a weight that is read by {name}{'' if item.with_grad else ' without gradient'}, too")

    def refuse_another_order(self) -> None:
        """A weight that is computed comes behind the other parameters of its module: a sum over all gradients has another last bit.

        Raises:
            Refused: the script makes one.
        """
        if any(other is not None for module in self._weights.values() for other in module._parameters.values()):
            for name in _gradient_readers(self._program):
                if not name.endswith("_"):  # what is done in place stays with its own gradient
                    raise Refused(f"it puts weights behind biases in the order in which the script reads gradients ({name})")

    def arguments(self, operation: Operation, arguments: list[Any]) -> list[Any]:
        """Return the arguments of an operation, with computed weights in the place of plain ones."""
        if not self._weights or not any(slot in self._weights for slot in operation.reads):
            return arguments
        return [
            self._weights[given].weight if type(given) is Slot and given in self._weights else value
            for given, value in zip(operation.arguments, arguments, strict=True)
        ]

    def result(self, operation: Operation, arguments: list[Any], result: Any) -> Any:
        """Return the result of an operation, as the module around it would have passed it on."""
        if self._behind and _name(operation) == _CONVOLUTION:
            behind = self._behind.get(operation.arguments[1])
            return result if behind is None else behind(result)
        if self._instead and _name(operation) in _NORMS:
            module = next((self._instead[given] for given in operation.arguments if type(given) is Slot and given in self._instead), None)
            if module is not None:
                return (module(arguments[0]), *result[1:])
        return result


class _Shared(nn.Module):
    """Stands for several modules that share a weight."""


def refuse_edited_gradients(program: Program, remedy: str) -> None:
    """Refuse a remedy that adds parameters where the script edits gradients: it would have edited those of the new ones, too.

    Raises:
        Refused: it does.
    """
    for name in _gradient_readers(program):
        how = "zeroes gradients in place" if name in _ZEROING else f"edits gradients ({name})"
        raise Refused(f"{remedy} adds parameters, and the script {how}, which it would do to theirs, too")


def _gradient_readers(program: Program) -> Iterator[str]:
    """Yield the names of operations that read a gradient."""
    gradients: set[Slot] = set()
    for item in program.items:
        if isinstance(item, Backward):
            gradients.update(slot for _, slot in item.results if slot is not None)
        elif isinstance(item, SetGradient) and item.gradient is not None:
            gradients.add(item.gradient)
    for item in program.items:
        if isinstance(item, Operation) and not gradients.isdisjoint(item.reads):
            yield _name(item)


def _name(operation: Operation) -> str:
    return operation_name(operation.function) or getattr(operation.function, "__name__", "")


def _hooks(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    def behind(output: torch.Tensor) -> torch.Tensor:
        for hook in module._forward_hooks.values():
            output = hook(module, (), output)
        return output

    return behind


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__
