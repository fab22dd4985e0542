"""Dropout behind activations: each is set to zero with probability p, the others are scaled by 1/(1-p); in training only.

Srivastava et al. 2014, JMLR 15; recommended for training without batch norm by Gaur, Folz, Dengel 2020, arXiv 2008.07970. torch's own
modules, as children of the modules whose outputs they drop (``relu1.added_dropout``). ``channels`` drops whole channels (Tompson et al.
2015, arXiv 1411.4280).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules import activation

from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import DropoutSettings

_ATTRIBUTE = "added_dropout"
_NO_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin)


class DropChannels(nn.Module):
    """Dropout of whole channels of (N, C, *), for any number of positions.

    Args:
        p: probability.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with channels dropped, or x in evaluation."""
        mask = nn.functional.dropout(x.new_ones(x.shape[:2]), self.p, self.training)
        return x * mask.view(*mask.shape, *(1,) * (x.dim() - 2))


class AddedDropout(Remedy[DropoutSettings]):
    """The remedy ``dropout``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Put dropout behind modules."""
        places = self._places(scope)
        if not places:
            hint = "activations called as functions are not seen: dropout:after=convolutions"
            raise self.nothing(f"no {self.settings.after} among the modules", hint if self.settings.after == "activations" else None)
        for module in places.values():
            self.add_module(module, _ATTRIBUTE, DropChannels(self.settings.p) if self.settings.channels else nn.Dropout(self.settings.p))
            self.hook(module.register_forward_hook(_drop))
        return Touched(self.settings.after, tuple(places))

    def _places(self, scope: Scope) -> dict[str, nn.Module]:
        if self.settings.after == "convolutions":
            return dict(scope.convolutions())
        if self.settings.after == "blocks":
            return {branch.name: branch.block for branch in residual_branches(scope) if branch.block not in scope.models}
        return {
            name: module
            for name, module in scope.modules()
            if type(module).__module__ == activation.__name__ and not isinstance(module, _NO_ACTIVATIONS) and scope.is_trained(module)
        }


def _drop(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> Any:
    """Forward hook: pass a module's output through its dropout."""
    dropout = module._modules[_ATTRIBUTE]
    assert dropout is not None
    return dropout(output)
