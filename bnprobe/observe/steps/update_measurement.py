"""Norms around one update, as a step keeps them until it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch


@dataclass
class UpdateMeasurement:
    """Norms around one update of some parameters, still on their device. It holds no parameter: none is to outlive its script's use of it.

    Attributes:
        keys: ids of the parameters, in the order of the vectors.
        gradient: (k,) gradient norms, NaN where there was no gradient, or its norm is unknown.
        weight: (k,) norms before the update.
        update: (k,) norms of the step taken, NaN where the parameter had no turn, or cannot be copied; None until the update has happened.
        kernels: (2, k) common mode of the kernels after the update, NaN for other parameters; None where it was not asked for.
        rows: (k,) difference between rows after the update; None where it was not asked for.
        lost: (k,) share of the elements with a gradient that the update left as they were, NaN for all but those in half precision; None
            without any.
        unknown: number of gradients that lie on ranks otherwise than their parameters.
        places: places of the parameters in the run file.
    """

    keys: list[int]
    gradient: torch.Tensor
    weight: torch.Tensor
    update: torch.Tensor | None = None
    kernels: torch.Tensor | None = None
    rows: torch.Tensor | None = None
    lost: torch.Tensor | None = None
    unknown: int = 0
    places: Sequence[int | None] = ()
    _turns: list[int] = field(default_factory=list, repr=False)
    _before: list[torch.Tensor] = field(default_factory=list, repr=False)
    _shapes: list[torch.Size] | None = field(default=None, repr=False)
