"""A batch norm's running statistics beside those of one batch, measured as the signal that it received."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure import fused
from bnprobe.measure.batch_norm import evaluation_gap
from bnprobe.measure.host_memory import copied
from bnprobe.measure.moments import Moments


class BatchStatistics(NamedTuple):
    """What a batch norm's two modes make of one batch: values of a channel, and how far they are apart."""

    values: int
    gap: torch.Tensor | NDArray[np.float64]


def batch_statistics(module: Any, measured: Moments) -> BatchStatistics | None:
    """Compare a batch norm's running statistics with those of a batch.

    Args:
        module: a batch norm.
        measured: the moments of the signal that it received.

    Returns:
        None where it keeps no statistics, or the signal is not laid out, or does not lie, as they are.
    """
    # As ``module.running_mean``, but for a script that watches what is asked of its modules.
    mean, variance, channels = module._buffers.get("running_mean"), module._buffers.get("running_var"), measured.channels
    if mean is None or variance is None or channels != len(mean):
        return None
    packed = measured.packed
    if isinstance(packed, np.ndarray) and fused.available() and fused.is_walkable(mean) and fused.is_walkable(variance):
        gap: torch.Tensor | NDArray[np.float64] = fused.evaluation_gap(packed, mean, variance, module.eps)
        return BatchStatistics(measured.samples * measured.positions, gap)
    mean, variance = mean.detach(), variance.detach()
    if isinstance(packed, np.ndarray):
        if not mean.is_cpu:
            return None
        mean, variance = copied(mean, torch.float64), copied(variance, torch.float64)
    elif mean.device != packed.device:
        return None
    gap = evaluation_gap(measured.mean, measured.variance, mean, variance, module.eps).reshape(1)
    return BatchStatistics(measured.samples * measured.positions, gap)
