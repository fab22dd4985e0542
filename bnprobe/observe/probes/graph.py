"""What a loss's graph is made of, looked at without running any of it: its leaves, and operations that have no second derivative."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bnprobe.measure.graph import MOST_NODES, nodes
from bnprobe.torch_private import scripts_function

#: What lets a probe run code of the script once more.
RERUNS = "`--curvature-reruns` allows that"
_KERNELS = "`--curvature-kernels math` uses kernels that have one, at the steps of a probe"
#: Operations behind a loss whose gradient is looked at, too: its graph is about twice as long.
MOST_OPERATIONS = MOST_NODES // 2
#: Beginnings of the names of backward nodes that autograd cannot differentiate again, and what to say of them. Others are found by trying;
#: these are known, and nothing of theirs has to run first.
_WITHOUT_SECOND_DERIVATIVE = {
    "CompiledFunctionBackward": f"compiled code has no second derivative (pytorch#91469); {_KERNELS}",
    "ScaledDotProductFlash": f"fused attention has no second derivative (pytorch#116350); {_KERNELS}",
    "ScaledDotProductEfficient": f"fused attention has no second derivative (pytorch#116350); {_KERNELS}",
    "ScaledDotProductCudnn": f"fused attention has no second derivative (pytorch#116350); {_KERNELS}",
    "CudnnRnn": f"the recurrent layers of cuDNN have no second derivative (pytorch#134901); {_KERNELS}",
    "MkldnnRnn": f"the recurrent layers of oneDNN have no second derivative; {_KERNELS}",
    "CheckpointFunctionBackward": "a checkpoint with use_reentrant=True hides the parameters inside it; use_reentrant=False does not",
}


def leaves_and_obstacle(losses: Sequence[torch.Tensor], may_rerun: bool) -> tuple[list[torch.Tensor], str]:
    """Walk the graph of some losses.

    Args:
        losses: where the graph begins.
        may_rerun: whether autograd functions of the script may be run once more.

    Returns:
        The leaves that gradients would be accumulated into, and why there can be no second derivative, or "".
    """
    leaves: dict[int, torch.Tensor] = {}
    for count, node in enumerate(nodes(losses)):
        if count == MOST_OPERATIONS:
            return [], f"the graph of the loss has more than {MOST_OPERATIONS} operations"
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, torch.Tensor):
            leaves[id(leaf)] = leaf
            continue
        if not may_rerun and (function := scripts_function(node)):
            return [], f"the backward runs code of the script ({function}), which would see that it runs again; {RERUNS}"
        name = node.name()
        for beginning, reason in _WITHOUT_SECOND_DERIVATIVE.items():
            if name.startswith(beginning):
                return [], reason
    return list(leaves.values()), ""
