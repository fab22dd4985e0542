"""Logits of attention brought to the size of one, at which a softmax weighs what it is given and has a slope.

Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1, divide by the root of the width, which does that for queries and keys of size one.
Dehghani et al. 2023, arXiv 2302.05442, normalise queries and keys, which does it whatever these have grown to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.intervention import Intervention, argument
from bnprobe.observe.attaching.patches import Patches

#: What is below this is a mask.
_MASKED = -1e4
#: So many samples tell how far logits differ.
_SAMPLES = 8
#: Between a product and its softmax there are so many operations at most, of these kinds.
_BETWEEN = 10
_PRODUCTS = ("BmmBackward", "BaddbmmBackward")
_PASSED = ("Div", "Mul", "Masked", "Add", "Sub", "Where", "View", "Reshape", "UnsafeView", "Permute", "Transpose", "Squeeze", "Unsqueeze",
           "Expand", "ToCopy", "Clone", "Alias", "Select")  # fmt: skip


class ScaledLogits(Intervention):
    """The intervention ``scaled-logits``: each module that attends divides by the deviation that its logits had at first."""

    what = "attentions whose logits are divided by their first deviation"
    nothing = "no softmax over products of queries and keys has logits that differ by more than 1"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._modules: list[nn.Module] = []
        self._first: dict[int, float] = {}

    def attach(self, patches: Patches) -> None:
        """Stand before softmaxes, and before torch's own attention, wherever these are called from."""
        patches.replace(torch, "softmax", self._around_softmax)
        patches.replace(torch.Tensor, "softmax", self._around_softmax)
        patches.replace(F, "scaled_dot_product_attention", self._around_attention)

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Know who attends."""
        self._modules.append(module)

    def after_forward(self, module: nn.Module) -> None:
        """A call has ended."""
        self._modules.pop()

    def divisor(self, deviation: Callable[[], float]) -> float:
        """Return by what the logits of the attention at work are divided; ``deviation`` measures how far they differ now."""
        who = id(self._modules[-1]) if self._modules else 0
        if who not in self._first:
            if not torch.is_grad_enabled():
                return 1.0
            self._first[who] = max(1.0, deviation())
        return self._first[who]

    def _divisor(self, deviation: Callable[[], float]) -> float:
        found = self.divisor(deviation)
        if found > 1.0:
            self.touched[type(self._modules[-1]).__name__ if self._modules else "a function"] += 1
        return found

    def _around_softmax(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def softmax(values: Any, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
            if isinstance(values, torch.Tensor) and dim in (-1, values.dim() - 1) and _is_of_products(values):
                values = values / self._divisor(lambda: _deviation(values))
            return original(values, dim, *args, **kwargs)

        return softmax

    def _around_attention(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def attention(query: Any, key: Any, *args: Any, **kwargs: Any) -> Any:
            scale = argument((query, key, *args), kwargs, 6, "scale") or query.shape[-1] ** -0.5
            return original(query / self._divisor(lambda: _deviation_of_products(query, key, scale)), key, *args, **kwargs)

        return attention


class NormalisedLogits(ScaledLogits):
    """The intervention ``normalised-logits``: each attention divides by the deviation that its logits have now."""

    what = "attentions whose logits are divided by their deviation"

    def divisor(self, deviation: Callable[[], float]) -> float:
        """Return by what the logits of the attention at work are divided: how far they differ now."""
        return max(1.0, deviation())


@torch.no_grad()
def _deviation(logits: torch.Tensor) -> float:
    """How far logits (..., queries, keys) differ over their keys: root mean square over samples and queries; 0 where all are masked."""
    values = logits.detach()[:_SAMPLES].float()
    seen = values.isfinite() & (values > _MASKED)
    values = torch.where(seen, values, torch.zeros(()).to(values))
    count = seen.sum(-1, keepdim=True).clamp(min=1)
    differences = torch.where(seen, values - values.sum(-1, keepdim=True) / count, torch.zeros(()).to(values))
    return float((differences.square().sum() / seen.sum().clamp(min=1)).sqrt())


@torch.no_grad()
def _deviation_of_products(query: torch.Tensor, key: torch.Tensor, scale: float) -> float:
    """The same of queries (..., L, E) and keys (..., S, E), before any mask."""
    groups = query.shape[1] // key.shape[1] if query.dim() == 4 and query.shape[1] != key.shape[1] else 1
    keys = key.detach()[:_SAMPLES].repeat_interleave(groups, 1) if groups > 1 else key.detach()[:_SAMPLES]
    return _deviation(query.detach()[:_SAMPLES].float() @ keys.float().transpose(-2, -1) * scale)


def _is_of_products(values: torch.Tensor) -> bool:
    """Whether values come from a batched product of two tensors, by way of a few operations that leave each element in its place."""
    node = values.grad_fn
    for _ in range(_BETWEEN):
        if node is None:
            return False
        name = node.name()
        if name.startswith(_PRODUCTS):
            return True
        if not name.startswith(_PASSED):
            return False
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return False
