"""A factor behind a residual branch: x + a f(x), learned or fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bnprobe.remedies.residual import Branch
from bnprobe.remedies.scope import Scope

ATTRIBUTE = "added_branch_factor"
_RETURN_SEVERAL = (nn.MultiheadAttention, nn.RNNBase, nn.LSTMCell)


class BranchFactor(nn.Module):
    """Multiply by a scalar.

    Args:
        start: its first value.
        like: gives device and dtype.
        learned: whether it is a parameter; a fixed one is a buffer, by which a checkpoint shows that it was there.
    """

    def __init__(self, start: float, like: torch.Tensor, learned: bool = True) -> None:
        super().__init__()
        value = torch.full((), start, dtype=like.dtype, device=like.device)
        if learned:
            self.factor = nn.Parameter(value)
        else:
            self.register_buffer("factor", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a x."""
        return self.factor * x


def hook_for(last: nn.Module) -> Callable[..., Any]:
    """Return the forward hook that passes the result of a branch's last module through its factor."""
    known = type(last).__module__.startswith("torch.nn.") and not isinstance(last, _RETURN_SEVERAL)
    return _weigh if known else _weigh_first


def trained_weight(branch: Branch, scope: Scope) -> nn.Parameter | None:
    """Return a parameter of a branch that is trained; None where all of it is frozen."""
    return next((p for part in branch.parts for p in part.parameters() if id(p) in scope.trained), None)


def _weigh(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a branch's result through its factor. torch.jit.script compiles it: hence names and types."""
    return self.added_branch_factor(output)  # type: ignore[no-any-return]


def _weigh_first(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: pass a branch's result through its factor; of several results the first is what is added."""
    factor = module._modules[ATTRIBUTE]
    assert factor is not None
    return (factor(output[0]), *output[1:]) if isinstance(output, tuple) else factor(output)
