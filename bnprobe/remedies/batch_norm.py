"""Batch norm put behind every convolution of a network that has none.

Ioffe, Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", arXiv 1502.03167:

    y = (x - mean_{n,p} x) / sqrt(var_{n,p} x + eps),    then gamma y + beta with ``affine``

torch's own modules do it, as children of the convolutions (``conv1.added_batch_norm``): they switch to running statistics in evaluation,
move and save with the model. Where a network normalises already, a second normalisation would be no comparison, so that is
refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import BatchNormSettings
from bnprobe.torch_private import BatchNormBase, NormBase

_ATTRIBUTE = "added_batch_norm"
_KINDS: dict[type[nn.Module], type[BatchNormBase]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


class AddedBatchNorm(Remedy[BatchNormSettings]):
    """The remedy ``batch-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Put a normalisation behind each convolution."""
        norms = [name for name, module in scope.modules() if isinstance(module, NormBase)]
        if norms:
            raise self.nothing(f"the model normalises already, at '{norms[0]}' and {len(norms) - 1} more", "no-norm switches that off")
        convolutions = scope.convolutions()
        if not convolutions:
            raise self.nothing("no convolution is trained")
        added: list[Added] = []
        for name, convolution in convolutions:
            kind = next(norm for base, norm in _KINDS.items() if isinstance(convolution, base))
            weight = convolution.get_parameter("weight")
            norm = kind(
                convolution.out_channels,
                momentum=self.settings.momentum,
                affine=self.settings.affine,
                device=weight.device,
                dtype=weight.dtype,
            )
            self.add_module(convolution, _ATTRIBUTE, norm)
            self.hook(convolution.register_forward_hook(_normalise))
            added += [Added(f"{name}.{_ATTRIBUTE}.{key}", parameter, beside=weight) for key, parameter in norm.named_parameters()]
        return Touched("convolutions", tuple(name for name, _ in convolutions), tuple(added))


def _normalise(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> Any:
    """Forward hook: pass a convolution's output through its normalisation."""
    norm = module._modules[_ATTRIBUTE]
    assert norm is not None
    return norm(output)
