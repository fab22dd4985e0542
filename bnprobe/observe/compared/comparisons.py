"""Classes that a script takes from its network's output, and compares with labels: the accuracy that it computes by hand.

``(model(x).argmax(1) == y)`` has the logits and the labels of an evaluation that calls no loss. What is compared is known again by its
memory, so that it may have been reshaped in between; what was copied, joined or left torch is not.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import holds_numbers

#: Choices of a class that are kept, each with the output that it was made from.
_KEPT = 4
_CHOOSING, _COMPARING = ("argmax", "max"), ("eq", "__eq__")


class Comparisons:
    """Sees classes being chosen and compared.

    Args:
        is_of_interest: whether what is made of an output now belongs to an evaluation.
        on_compared: told of outputs (N, C), labels (N,) and how many were right.
    """

    def __init__(
        self, is_of_interest: Callable[[torch.Tensor], bool], on_compared: Callable[[torch.Tensor, torch.Tensor, int], None]
    ) -> None:
        self._is_of_interest = is_of_interest
        self._on_compared = on_compared
        self._chosen: deque[tuple[torch.Tensor, torch.Tensor]] = deque(maxlen=_KEPT)
        self._is_busy = False

    def attach(self, patches: Patches) -> None:
        """Stand in for the functions and methods that choose and compare."""
        for name in _CHOOSING:
            for owner in (torch, torch.Tensor):
                patches.replace(owner, name, functools.partial(self._seeing, self._choosing))
        for name in _COMPARING:
            for owner in (torch, torch.Tensor):
                if hasattr(owner, name):
                    patches.replace(owner, name, functools.partial(self._seeing, self._comparing))

    def forget(self) -> None:
        """Keep no output of the script alive."""
        self._chosen.clear()

    def _seeing(self, look: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not self._is_busy and args and isinstance(args[0], torch.Tensor) and not torch.compiler.is_compiling():
                self._is_busy = True
                try:
                    look(result, args, kwargs)
                finally:
                    self._is_busy = False
            return result

        return call

    def _choosing(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        output = args[0]
        axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        if not isinstance(axis, int) or not output.is_floating_point() or output.dim() < 2 or not self._is_of_interest(output):
            return
        chosen = result if isinstance(result, torch.Tensor) else result[1]
        if holds_numbers(chosen) and holds_numbers(output):
            self._chosen.append((chosen, output.detach().movedim(axis, -1).flatten(0, -2)))

    def _comparing(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        other = args[1] if len(args) > 1 else kwargs.get("other")
        if not self._chosen or not isinstance(other, torch.Tensor) or not isinstance(result, torch.Tensor):
            return
        if not all(map(holds_numbers, (args[0], other, result))):
            return
        for one, labels in ((args[0], other), (other, args[0])):
            for chosen, output in self._chosen:
                is_same = one.untyped_storage().data_ptr() == chosen.untyped_storage().data_ptr()
                if is_same and one.numel() == chosen.numel() == labels.numel() == result.numel() and not labels.is_floating_point():
                    self._on_compared(output, labels.reshape(-1), int(result.sum()))
                    return
