"""Batch norm behind the layers of a network that has no normalisation: each channel by its mean and variance over the batch.

Ioffe, Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", arXiv 1502.03167:

    y = (x - mean_{n,p} x) / sqrt(var_{n,p} x + eps),    then gamma y + beta with ``affine``

which it puts behind convolutions, over all positions, and behind linear layers. Ours: tokens and moments of time count as positions, too,
so that it can stand behind recurrent layers and attention; ``after=convolutions`` leaves those and linear layers alone.

torch's own modules do it, as children of the layers (``conv1.added_batch_norm``): they switch to running statistics in evaluation, move and
save with the model. Where a network normalises already, a second normalisation would be no comparison, so that is refused.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.remedies.added_norm import AddedNorm
from bnprobe.remedies.norms import ADDED_BATCH_NORM
from bnprobe.remedies.settings import BatchNormSettings
from bnprobe.torch_private import BatchNormBase

#: By how many axes of positions come after the channels.
_KINDS: dict[int, type[BatchNormBase]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class BatchNormOfLastAxis(nn.Module):
    """Batch norm of channels that lie on the last axis; all others are the batch.

    Args:
        norm: of (samples, channels).
    """

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x normalised."""
        return self.norm(x.reshape(-1, x.shape[-1])).reshape(x.shape)  # type: ignore[no-any-return]


class AddedBatchNorm(AddedNorm[BatchNormSettings]):
    """The remedy ``batch-norm``."""

    attribute = ADDED_BATCH_NORM
    fits_one_channel = True

    def norm_for(self, channels: int, positions: int, weight: nn.Parameter) -> nn.Module:
        """Return torch's batch norm for a convolution of so many positions, or for channels on the last axis."""
        given = {"momentum": self.settings.momentum, "affine": self.settings.affine, "device": weight.device, "dtype": weight.dtype}
        if positions:
            return _KINDS[positions](channels, **given)  # type: ignore[arg-type]
        return BatchNormOfLastAxis(nn.BatchNorm1d(channels, **given))  # type: ignore[arg-type]
