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

from bnprobe.remedies.norms import ADDED_BATCH_NORM, refuse_further
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.scope import TRANSPOSED, Convolution, Scope
from bnprobe.remedies.settings import BatchNormSettings
from bnprobe.torch_private import BatchNormBase

_KINDS: dict[type[nn.Module], type[BatchNormBase]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


class AddedBatchNorm(Remedy[BatchNormSettings]):
    """The remedy ``batch-norm``."""

    changes = Changes.STRUCTURE

    def look(self, scope: Scope) -> dict[str, Convolution]:
        """Return the convolutions of a network without normalisation."""
        refuse_further(self, scope, ADDED_BATCH_NORM)
        convolutions = dict(scope.convolutions())
        if not convolutions:
            raise self.nothing("no convolution is trained", "layer-norm acts behind linear and recurrent layers, too")
        return self.untreated(convolutions, ADDED_BATCH_NORM)

    def prepare(self, scope: Scope) -> Touched:
        """Put a normalisation behind each convolution."""
        convolutions = self.look(scope)
        added: list[Added] = []
        for name, convolution in convolutions.items():
            kind = next(norm for base, norm in _KINDS.items() if isinstance(convolution, base))
            weight = convolution.get_parameter("weight")
            norm = kind(
                convolution.out_channels,
                momentum=self.settings.momentum,
                affine=self.settings.affine,
                device=weight.device,
                dtype=weight.dtype,
            )
            self.add_module(convolution, ADDED_BATCH_NORM, norm)
            self.hook(convolution.register_forward_hook(_normalise))
            added += [Added(f"{name}.{ADDED_BATCH_NORM}.{key}", parameter, beside=weight) for key, parameter in norm.named_parameters()]
        return Touched("convolutions", tuple(convolutions), tuple(added), {TRANSPOSED: scope.transposed()})


def _normalise(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a convolution's output through its normalisation. torch.jit.script compiles it: hence names and types."""
    return self.added_batch_norm(output)  # type: ignore[no-any-return]
