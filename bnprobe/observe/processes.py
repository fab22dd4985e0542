"""Which of several processes this is, as torch knows it: a training that starts its processes by itself tells it nobody else.

Nothing here asks another process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from bnprobe.processes import Rank


def of_group() -> Rank:
    """Return the place of this process in the default group of ``torch.distributed``; alone where there is none."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return Rank()
    number, size = distributed.get_rank(), distributed.get_world_size()
    return Rank(number, size) if 0 <= number < size else Rank()


def share_weights(groups: Iterable[Iterable[dict[str, Any]]]) -> bool:
    """Whether any weight lies in memory that other processes have, too: Hogwild, a model handed to its workers.

    Args:
        groups: of each optimizer its parameter groups.

    Returns:
        True for weights of the host alone; torch says it of every tensor on an accelerator.
    """
    for group in (group for one in groups for group in one):
        for parameter in group["params"]:
            if type(parameter.data) is torch.Tensor and parameter.device.type == "cpu":
                return bool(parameter.is_shared())
    return False
