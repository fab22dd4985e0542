"""The function below every backward, and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils import checkpoint

#: What all of ``Tensor.backward``, ``torch.autograd.backward`` and ``torch.autograd.grad`` call, with tuples; 2.6 to 2.13. The second is
#: where torch's own replacements of it look it up.
BACKWARD_OWNERS = (torch.autograd, torch.autograd.graph)
RUN_BACKWARD = "_engine_run_backward"


class BackwardCall(NamedTuple):
    """Arguments of a backward.

    Attributes:
        outputs: tensors, or edges of the graph, where it starts.
        gradients: of each output; None leaves the engine to take 1.
        keeps_graph: whether the graph can be used again, or differentiated further.
        inputs: where it goes to; nothing for all leaves.
        accumulates: whether gradients are added to the leaves, rather than returned.
    """

    outputs: Sequence[Any]
    gradients: Sequence[Any]
    keeps_graph: bool
    inputs: Sequence[Any]
    accumulates: bool


def backward_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BackwardCall:
    """Read the arguments of ``RUN_BACKWARD``."""
    names = ("t_outputs", "grad_tensors", "keep_graph", "create_graph", "inputs", "allow_unreachable", "accumulate_grad")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return BackwardCall(
        outputs=given["t_outputs"],
        gradients=given["grad_tensors"],
        keeps_graph=bool(given.get("keep_graph") or given.get("create_graph")),
        inputs=given.get("inputs") or (),
        accumulates=bool(given.get("accumulate_grad")),
    )


#: Number of the backward that this thread is inside of, -1 for none; 2.6 to 2.13.
graph_task_id: Callable[[], int] = torch._C._current_graph_task_id


def in_backward() -> bool:
    """Whether this thread is inside a backward."""
    return graph_task_id() != -1


#: Where the hooks are defined by which a checkpoint that is not reentrant runs its block again; 2.6 to 2.13.
CHECKPOINTS = checkpoint.__name__

#: What a selective checkpoint keeps of its forward, for one backward alone; made anew for each forward. 2.6 to 2.13; None elsewhere.
SELECTIVE_CHECKPOINT: Any = getattr(checkpoint, "_CachingTorchDispatchMode", None)
