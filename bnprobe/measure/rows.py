"""Units that are copies of each other: rows of a weight that are equal.

Rows that start equal have equal gradients if the layer behind them weighs them equally, and stay equal for good. Three rows of each weight
are compared, so that the cost does not depend on the weight's size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bnprobe.measure.norms import norms


@torch.no_grad()
def row_difference(weights: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """How far the first row of each weight is from the two after it: the rows of one gate, where a recurrent weight stacks several.

    Args:
        weights: (O, I, ...) each, any real dtypes and devices; None for what is not to be compared.

    Returns:
        (len(weights),) in float32, on the device of the first weight: the larger distance over the largest norm of the three,
        dimensionless; 0 where the rows are equal, zero rows included. NaN for fewer than two axes or two rows.

    >>> row_difference([torch.ones(3, 2), torch.eye(3), torch.zeros(3, 2), torch.ones(3), None])
    tensor([0.0000, 1.4142, 0.0000,    nan,    nan])
    """
    device = next((weight.device for weight in weights if weight is not None), torch.device("cpu"))
    result = torch.full((len(weights),), torch.nan, device=device, dtype=torch.float32)
    compared = [(place, weight) for place, weight in enumerate(weights) if weight is not None and weight.dim() > 1 and len(weight) > 1]
    if not compared:
        return result
    rows = [[weight[row % len(weight)].detach() for _, weight in compared] for row in (0, 1, 2)]
    distances = [torch._foreach_sub(rows[0], others) for others in rows[1:]]
    lengths = norms([row for group in (*rows, *distances) for row in group]).reshape(5, len(compared))
    largest, furthest = lengths[:3].amax(0), lengths[3:].amax(0)
    result[torch.tensor([place for place, _ in compared], device=device)] = torch.where(furthest == 0, furthest, furthest / largest).to(
        device
    )
    return result
