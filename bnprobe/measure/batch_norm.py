"""What a batch norm's running statistics would make of a batch, against what the batch's own made of it.

In training a channel's values become (x - m) / d, with the mean m and the deviation d of the batch; in evaluation (x - r) / s, with the
running mean r and deviation s. Over the batch, the difference of the two has mean (m - r) / s and variance v (1 / s - 1 / d)^2, so its mean
square needs no second look at the signal.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.unchecked import unchecked

Vector = TypeVar("Vector", NDArray[np.float64], torch.Tensor)


@unchecked
def evaluation_gap(mean: Vector, variance: Vector, running_mean: Vector, running_variance: Vector, eps: float) -> Vector:
    """Root mean square of evaluation output less training output over a batch, before scale and shift.

    Args:
        mean: (C,), of the batch.
        variance: (C,), of the batch (biased, as batch norm uses it).
        running_mean: (C,), after the batch was taken in.
        running_variance: (C,), likewise.
        eps: what batch norm adds to a variance.

    Returns:
        A number without axes, dimensionless; about sqrt(1.5 / n) for n independent values a channel and running statistics that are right.

    >>> one, two = np.array([1.0]), np.array([2.0])
    >>> float(evaluation_gap(two, one, one, one, 0.0))
    1.0
    """
    inverse = (running_variance + eps) ** -0.5
    shift = (mean - running_mean) * inverse
    stretch = inverse - (variance + eps) ** -0.5
    return (shift * shift + variance * stretch * stretch).mean() ** 0.5  # type: ignore[no-any-return]
