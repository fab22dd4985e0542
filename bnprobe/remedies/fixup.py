"""Fixup: residual branches that start at zero, their other weights made small by the number of branches, scalar shifts and scales.

Zhang, Dauphin, Ma 2019, "Fixup Initialization: Residual Learning Without Normalization", arXiv 1901.09321. With L branches of m weight
layers each:

1. the classifier and the last weight layer of each branch start at 0;
2. the other weight layers of a branch are multiplied by L^(-1/(2m - 2)) at the start;
3. a scalar factor, 1 at the start, follows each branch; a scalar shift, 0 at the start, precedes each weight layer and activation in it.

The paper's networks are residual networks of convolutions and, for translation, transformers. Ours: the weights that are multiplied are the
script's own (the paper takes those of He et al. 2015); biases that a zeroed layer has are zeroed with it; of torch's attention the packed
weight counts as one layer; an activation that is called as a function has no shift; the classifier is each linear layer whose output no
other layer receives (``answers``). Against the rule "without normalisation" a network that normalises is refused:
``--remedy no-norm --remedy fixup`` is the comparison.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.module_parts import modules
from bnprobe.remedies.answers import last_called
from bnprobe.remedies.branch_factor import ATTRIBUTE, BranchFactor, hook_for
from bnprobe.remedies.dropout import is_activation
from bnprobe.remedies.linear_layers import is_linear
from bnprobe.remedies.norms import refuse_further
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.residual import Branch, residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import FixupSettings
from bnprobe.torch_private import ConvNd

_SHIFT = "added_shift"
FROZEN = "left as it is, for it is frozen"
LAST_FROZEN = "left as it is, for the last of its weights is frozen, and could not be zero at the start and learn"
UNSEEN = "its classifier is left at its start, for torch.fx cannot follow the model's code to it"
OTHER_KIND = "left as it is, for it holds a layer that is neither a convolution nor linear nor torch's attention"


class Shift(nn.Module):
    """Add a learnable scalar, 0 at the start.

    Args:
        like: gives device and dtype.
    """

    def __init__(self, like: torch.Tensor) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros((), dtype=like.dtype, device=like.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x + b."""
        return x + self.shift


class Fixup(Remedy[FixupSettings]):
    """The remedy ``fixup``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Set the weights, and add shifts and factors."""
        refuse_further(self, scope, ATTRIBUTE)
        branches = residual_branches(scope)
        if not branches:
            what = "no residual branch x + f(x) in its modules' code"
            raise self.nothing(what, "a forward that torch.fx cannot trace hides its branches")
        left: dict[str, list[str]] = {}
        for branch in branches:
            if why := _unfit(branch, scope):
                left.setdefault(why, []).append(branch.last_name)
        fitting = [branch for branch in branches if not any(branch.last_name in names for names in left.values())]
        if not fitting:
            why, names = next(iter(left.items()))
            raise self.nothing(
                f"every residual branch x + f(x) is {why}, as '{names[0]}'", "skip-init needs one trained weight of any kind"
            )
        weights = {branch.last_name: _weights(branch, scope) for branch in fitting}
        self.untreated({branch.last_name: branch.last for branch in fitting}, ATTRIBUTE)
        if not (self.settings.keep_weights or scope.returns(_SHIFT)):
            self._refuse_loaded(scope, fitting)
            self._set_weights(scope, [weights[branch.last_name] for branch in fitting])
        added: list[Added] = []
        for branch in fitting:
            beside = weights[branch.last_name][-1][1]
            added += self._add_shifts(scope, branch, beside)
            factor = BranchFactor(1.0, beside)
            self.add_behind(branch.last, ATTRIBUTE, factor, hook_for(branch.last))
            assert isinstance(factor.factor, nn.Parameter)
            added.append(Added(f"{branch.last_name}.{ATTRIBUTE}.factor", factor.factor, beside))
        of_others = {why: tuple(names) for why, names in left.items()}
        of_others[UNSEEN] = tuple(type(model).__name__ for model in scope.models if not last_called(model))
        return Touched("residual branches", tuple(branch.last_name for branch in fitting), tuple(added), of_others)

    def _refuse_loaded(self, scope: Scope, branches: list[Branch]) -> None:
        loaded = next((kind for branch in branches if (kind := scope.loaded_into(branch.block)) is not None), None)
        if loaded is not None:
            raise RemedyError(
                f"remedy {self.name} sets the weights anew, and weights were loaded into this {loaded}",
                "to go on from them: --remedy fixup:keep-weights",
            )

    @torch.no_grad()
    def _set_weights(self, scope: Scope, weights: list[list[tuple[nn.Module, nn.Parameter]]]) -> None:
        for *others, (last, weight) in weights:
            _zero(last, weight)
            for _, other in others:
                other.mul_(float(len(weights)) ** (-0.5 / len(others)))  # m - 1 of them: L^(-1/(2m - 2))
        inside = [owner for some in weights for owner, _ in some]
        trained = [one for _, one in scope.weight_layers()]
        for one in (one for model in scope.models for one in last_called(model)):
            if is_linear(one) and any(one is other for other in trained) and not any(one is owner for owner in inside):
                _zero(one, one.get_parameter("weight"))

    def _add_shifts(self, scope: Scope, branch: Branch, beside: nn.Parameter) -> list[Added]:
        added: list[Added] = []
        parts = [one for part in branch.parts for one in modules(part)]
        for name, one in scope.modules():
            if any(one is part for part in parts) and (isinstance(one, ConvNd) or is_linear(one) or is_activation(one)):
                if type(one) is nn.modules.linear.NonDynamicallyQuantizableLinear or _SHIFT in one._modules:
                    continue  # attention reads the weight of its last layer; a layer that several branches share has its shift
                shift = Shift(beside)
                self.add_before(one, _SHIFT, shift, _shift)
                added.append(Added(f"{name}.{_SHIFT}.shift", shift.shift, beside))
        return added


def _unfit(branch: Branch, scope: Scope) -> str:
    """Say why a branch cannot be made to start at zero by its last weight, with the others small; "" where it can."""
    held = _matrices(branch)
    if not any(id(weight) in scope.trained for _, weight in held):
        return FROZEN
    if any(not (isinstance(one, ConvNd | nn.MultiheadAttention) or is_linear(one)) for one, weight in held if id(weight) in scope.trained):
        return OTHER_KIND
    return "" if id(held[-1][1]) in scope.trained else LAST_FROZEN


def _weights(branch: Branch, scope: Scope) -> list[tuple[nn.Module, nn.Parameter]]:
    """Return the trained weights of a branch, in the order in which they act, each with its layer."""
    return [(one, weight) for one, weight in _matrices(branch) if id(weight) in scope.trained]


def _matrices(branch: Branch) -> list[tuple[nn.Module, nn.Parameter]]:
    held = [(one, p) for part in branch.parts for one in modules(part) for p in one._parameters.values()]
    return [(one, p) for one, p in held if isinstance(p, nn.Parameter) and p.dim() > 1]


def _zero(layer: nn.Module, weight: nn.Parameter) -> None:
    weight.zero_()
    bias = layer._parameters.get("bias")
    if bias is not None:
        bias.zero_()


def _shift(self: Any, input: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Forward pre-hook: shift the input. torch.jit.script compiles it: hence names and types."""
    return (self.added_shift(input[0]),)
