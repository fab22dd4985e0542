"""SkipInit: residual branches start switched off and find their weight in training, x + a f(x) with a learnable a, 0 at the start.

De, Smith 2020, "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks", arXiv 2002.10444. The network
begins as the composition of its shortcuts, whose signal does not grow with depth. The factor follows the last module of each branch, found
in the block's own code (see ``residual``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.residual import Branch, residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import SkipInitSettings

_ATTRIBUTE = "added_branch_factor"
_RETURN_SEVERAL = (nn.MultiheadAttention, nn.RNNBase, nn.LSTMCell)


class BranchFactor(nn.Module):
    """Multiply by a learnable scalar.

    Args:
        start: its first value.
        like: gives device and dtype.
    """

    def __init__(self, start: float, like: torch.Tensor) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((), start, dtype=like.dtype, device=like.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a x."""
        return self.factor * x


class SkipInit(Remedy[SkipInitSettings]):
    """The remedy ``skip-init``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Put a factor behind each residual branch."""
        branches = residual_branches(scope)
        if not branches:
            raise self.nothing(
                "no residual branch x + f(x) in its modules' code", "a forward that torch.fx cannot trace hides its branches"
            )
        left = self.untreated({branch.last_name: branch.last for branch in branches}, _ATTRIBUTE)
        beside = {branch.last_name: _trained(branch, scope) for branch in branches if branch.last_name in left}
        added = tuple(self._add_factor(one, weight) for one in branches if (weight := beside.get(one.last_name)) is not None)
        if not added:
            raise self.nothing("no residual branch whose weights are trained", "unfreeze them before the optimizer is built")
        return Touched("residual branches", tuple(name for name, weight in beside.items() if weight is not None), added)

    def _add_factor(self, branch: Branch, beside: nn.Parameter) -> Added:
        factor = BranchFactor(self.settings.start, beside)
        known = type(branch.last).__module__.startswith("torch.nn.") and not isinstance(branch.last, _RETURN_SEVERAL)
        self.add_behind(branch.last, _ATTRIBUTE, factor, _weigh if known else _weigh_first)
        return Added(f"{branch.last_name}.{_ATTRIBUTE}.factor", factor.factor, beside)


def _trained(branch: Branch, scope: Scope) -> nn.Parameter | None:
    return next((p for part in branch.parts for p in part.parameters() if id(p) in scope.trained), None)


def _weigh(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a branch's result through its factor. torch.jit.script compiles it: hence names and types."""
    return self.added_branch_factor(output)  # type: ignore[no-any-return]


def _weigh_first(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: pass a branch's result through its factor; of several results the first is what is added."""
    factor = module._modules[_ATTRIBUTE]
    assert factor is not None
    return (factor(output[0]), *output[1:]) if isinstance(output, tuple) else factor(output)
