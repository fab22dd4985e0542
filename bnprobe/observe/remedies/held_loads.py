"""Checkpoints of a training with remedies, loaded before the optimizer is built: the remedies have not acted yet.

Until they do the script has its model as it wrote it, names and order of the parameters included; what a remedy had added to the
checkpoint is held back, and put in once the remedy has acted. A forward between the two would compute with half of it, and is refused.
"""

from __future__ import annotations

import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.module_parts import modules

_ADDED = re.compile(r"(^|\.)(parametrizations\.\w*weight\.|added_[a-z_]+\.)")
#: Where torch's parametrisations keep the tensor that was the weight.
_WEIGHT = re.compile(r"parametrizations\.(\w*weight)\.original1?$")


class HeldLoads:
    """What was held back, by the module that it was to be loaded into."""

    def __init__(self) -> None:
        self._held: list[tuple[weakref.ref[nn.Module], dict[str, torch.Tensor]]] = []

    def hold_back(self, module: nn.Module, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return of a state dict what the module can take now."""
        if not any(map(_ADDED.search, given)):
            return given  # without asking for all that the module holds
        own = module.state_dict()
        extra = {key: value for key, value in given.items() if key not in own and _ADDED.search(key)}
        if not extra:
            return given
        plain: OrderedDict[str, Any] = OrderedDict((key, value) for key, value in given.items() if key not in extra)
        for key in extra:
            weight = _WEIGHT.sub(r"\1", key)
            if weight in own and (key.endswith("original1") or f"{key}1" not in extra):
                plain[weight] = extra[key]
        if hasattr(given, "_metadata"):
            plain._metadata = given._metadata  # type: ignore[attr-defined]
        left = {key: value.clone() for key, value in extra.items() if _WEIGHT.sub(r"\1", key) not in plain}
        self._held.append((weakref.ref(module), left))
        if not any(hook is _refuse for hook in module._forward_pre_hooks.values()):
            module.register_forward_pre_hook(_refuse)
        return plain

    def names(self) -> list[str]:
        """Name what is held back."""
        return [name for _, left in self._held for name in left]

    def put_in(self, models: Sequence[nn.Module], load: Callable[..., Any]) -> None:
        """The remedies have acted on these models: load what was held back.

        Raises:
            RemedyError: it is not theirs.
        """
        within = {id(module) for model in models for module in modules(model)}
        for reference, left in self._held:
            module = reference()
            if module is None or id(module) not in within:
                continue
            allow_forwards(module)
            unexpected = load(module, left, strict=False).unexpected_keys
            if unexpected:
                raise RemedyError(
                    f"the checkpoint loaded into this {type(module).__name__} holds '{unexpected[0]}', "
                    "which the remedies asked for do not add",
                    "ask for the remedies that it was trained with, and all their settings",
                )
        self._held = [(reference, left) for reference, left in self._held if (held := reference()) is not None and id(held) not in within]


def allow_forwards(model: nn.Module) -> None:
    """Take off what refuses forwards of a model or of its parts."""
    for module in modules(model):
        for key in [key for key, hook in module._forward_pre_hooks.items() if hook is _refuse]:
            del module._forward_pre_hooks[key]


def _refuse(module: nn.Module, args: tuple[Any, ...]) -> None:
    raise RemedyError(
        f"this {type(module).__name__} holds a checkpoint of a training with remedies, which act when the optimizer is built",
        "evaluate it after the optimizer is built",
    )
