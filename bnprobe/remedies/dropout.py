"""Dropout behind activations: each is set to zero with probability p, the others are scaled by 1/(1-p); in training only.

Srivastava et al. 2014, JMLR 15. torch's own
modules, as children of the modules whose outputs they drop (``relu1.added_dropout``). ``channels`` drops whole channels (Tompson et al.
2015, arXiv 1411.4280).
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from torch.nn.modules import activation

from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import DropoutSettings
from bnprobe.remedies.twin import twin_of
from bnprobe.remedies.untouched import untouched

_ATTRIBUTE = "added_dropout"
#: What makes a class of a library's own worth asking whether it is an activation.
_NAME = re.compile("act|elu|silu|swish|mish|sigmoid|tanh|softplus", re.IGNORECASE)
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
        mask = nn.functional.dropout(torch.ones(x.shape[:2], dtype=x.dtype, device=x.device), self.p, self.training)
        return x * mask.view(list(mask.shape) + [1] * (x.dim() - 2))


class AddedDropout(Remedy[DropoutSettings]):
    """The remedy ``dropout``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Put dropout behind modules."""
        places = self._places(scope, self.settings.after)
        if not places:
            others = [one for one in ("activations", "convolutions", "blocks") if self._places(scope, one)]
            hint = f"dropout:after={others[0]}" if others else "it acts on modules; activations called as functions are not seen"
            raise self.nothing(f"no {self.settings.after} among the modules", hint)
        places = self.untreated(places, _ATTRIBUTE)
        for module in places.values():
            dropping = DropChannels(self.settings.p) if self.settings.channels else nn.Dropout(self.settings.p)
            self.add_behind(module, _ATTRIBUTE, dropping, _drop)
        return Touched(self.settings.after, tuple(places))

    def _places(self, scope: Scope, after: str) -> dict[str, nn.Module]:
        if after == "convolutions":
            return dict(scope.convolutions())
        if after == "blocks":
            return {branch.name: branch.block for branch in residual_branches(scope) if branch.block not in scope.models}
        return {name: module for name, module in scope.modules() if is_activation(module) and scope.is_trained(module)}


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation: one of torch's, or one that has such a name and maps each element by itself, not linearly."""
    if type(module).__module__.startswith("torch.nn."):
        return type(module).__module__ == activation.__name__ and not isinstance(module, _NO_ACTIVATIONS)
    if "forward" in vars(module):
        return False  # it was given another one, which may belong to anything
    if module._modules or module._parameters or not _NAME.search(type(module).__name__):
        return False
    x = torch.linspace(-3.0, 3.0, 24, device="cpu", dtype=torch.float32).view(1, 2, 3, 4)
    try:
        with untouched(module), torch.no_grad():
            # Not a call: no hook is to see it.
            zero, y, twice, minus = (twin_of(module).forward(factor * x) for factor in (0, 1, 2, -1))
            turned = twin_of(module).forward(x.flip((1, 2, 3)))
    except Exception:  # whatever a forward raises for a signal of another shape
        return False
    if not isinstance(y, torch.Tensor) or y.shape != x.shape or not torch.allclose(turned.flip((1, 2, 3)), y):
        return False
    # A ReLU doubles what is doubled, a tanh turns round with its input; what does both is linear.
    return not (torch.allclose(twice - zero, 2 * (y - zero), atol=1e-3) and torch.allclose(minus - zero, zero - y, atol=1e-3))


def _drop(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a module's output through its dropout. torch.jit.script compiles it: hence names and types."""
    return self.added_dropout(output)  # type: ignore[no-any-return]
