"""SkipInit: residual branches start switched off and find their weight in training, x + a f(x) with a learnable a, 0 at the start.

De, Smith 2020, "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks", arXiv 2002.10444. The network
begins as the composition of its shortcuts, whose signal does not grow with depth. The factor follows the last module of each branch, found
in the block's own code (see ``residual``).
"""

from __future__ import annotations

from torch import nn

from bnprobe.module_parts import modules
from bnprobe.remedies.branch_factor import ATTRIBUTE, BranchFactor, hook_for, trained_weight
from bnprobe.remedies.norms import normalises
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.residual import Branch, residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import SkipInitSettings

OFF = "left as it is, for it starts at zero by its own weights, and a factor of zero would keep it there"


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
        off = tuple(branch.last_name for branch in branches if _is_left(branch, scope))
        branches = [branch for branch in branches if branch.last_name not in off]
        if not branches:
            raise self.nothing("every residual branch starts at zero already, by its own weights", "the script as it is begins so")
        left = self.untreated({branch.last_name: branch.last for branch in branches}, ATTRIBUTE)
        beside = {branch.last_name: trained_weight(branch, scope) for branch in branches if branch.last_name in left}
        added = tuple(self._add_factor(one, weight) for one in branches if (weight := beside.get(one.last_name)) is not None)
        if not added:
            raise self.nothing("no residual branch whose weights are trained", "unfreeze them before the optimizer is built")
        return Touched("residual branches", tuple(name for name, weight in beside.items() if weight is not None), added, {OFF: off})

    def _add_factor(self, branch: Branch, beside: nn.Parameter) -> Added:
        factor = BranchFactor(self.settings.start, beside)
        self.add_behind(branch.last, ATTRIBUTE, factor, hook_for(branch.last))
        assert isinstance(factor.factor, nn.Parameter)
        return Added(f"{branch.last_name}.{ATTRIBUTE}.factor", factor.factor, beside)


def _is_left(branch: Branch, scope: Scope) -> bool:
    """Whether a branch is left without a factor; a training that goes on leaves those that it left when it began."""
    if scope.returns(ATTRIBUTE):
        return not scope.returns_at(ATTRIBUTE, branch.last_name)
    return _starts_switched_off(branch)


def _starts_switched_off(branch: Branch) -> bool:
    """Whether a branch gives zero as it is: the last of its modules that has a weight has one of zeros, and nothing shifts it after."""
    for one in reversed([one for part in branch.parts for one in modules(part)]):
        weight, bias = (one._parameters.get(key) for key in ("weight", "bias"))
        if bias is not None and bool(bias.detach().any()):
            return False
        if weight is not None:
            if not bool(weight.detach().any()):
                return True
            if not normalises(one):  # a norm makes zeros of zeros, whatever its scale: the module before it decides
                return False
    return False
