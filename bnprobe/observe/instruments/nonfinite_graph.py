"""Where in the graph of a loss the first value that is not finite arose.

When a loss is not finite and its step was not measured, its graph is still whole: it keeps inputs and results of most operations for the
backward. In the order in which they were computed the first that is not finite tells where it came from: an operation whose inputs were
finite, a parameter, or data. An operation that keeps neither, or whose result nobody keeps, is known by its input: the logarithm of zero.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments.graph import GRAPH_LIMIT
from bnprobe.observe.instruments.loss_graph import leaves
from bnprobe.torch_private import holds_numbers, saved_tensors, sequence_number

#: Parameters before an operation that are looked for: some belong to no layer.
MOST_PARAMETERS = 8
#: What autograd calls what an operation gives out; everything else that it keeps, it was given.
_RESULTS = ("result", "result0", "result1", "result2", "output", "out", "log_sumexp", "logsumexp", "invstd")
#: Operations that make no value that is not finite of finite ones, unless they overflow.
_ADDING = ("add", "sub", "rsub")
#: Losses that are divided by the total weight of their targets, where they are means.
_OF_A_MEAN = ("NllLoss", "NllLoss2D")
#: What autograd calls the reduction to a mean.
_MEAN = 1
#: Where -inf is meant: it leaves positions out.
_MASKS = ("mask", "attn_bias")


class Origin(NamedTuple):
    """Where the first value that is not finite arose.

    Attributes:
        kind: "operation"; "data", where it was given to an operation; or "parameter".
        operation: the operation, as in "log".
        node: its place in the graph, see ``relative_number``; -1 where there is none.
        parameters: ids of the parameters nearest before the operation, itself included, the nearest first.
        argument: what autograd calls what was not finite, or what made the result so, as in "self" or "target".
    """

    kind: str
    operation: str
    node: int
    parameters: tuple[int, ...]
    argument: str


def nodes_of(losses: list[torch.Tensor]) -> list[Any]:
    """Return the operations behind a loss, in the order in which they were computed; nothing for a graph beyond all bounds."""
    found = list(nodes(losses, most=GRAPH_LIMIT + 1))
    if len(found) > GRAPH_LIMIT:
        return []
    return sorted((node for node in found if _variable(node) is None), key=sequence_number)


def find_origin(losses: list[torch.Tensor]) -> Origin | None:
    """Find where the first value that is not finite arose; None where the graph does not tell.

    Args:
        losses: what a backward starts from, not all finite.
    """
    operations = nodes_of(losses)
    if not operations:
        return None
    first = sequence_number(operations[0])
    minus: Origin | None = None  # -inf may be a mask
    for node in operations:
        for name, tensor in saved_tensors(node):
            if any(mask in name for mask in _MASKS) or not _is_looked_at(tensor):
                continue
            if _has_nan_or_plus(tensor):
                return _told_by(node, name, tensor, first)
            if minus is None and _has_nonfinite(tensor):
                minus = _told_by(node, name, tensor, first)
        if argument := _singular(node):
            return Origin("operation", operation_name(node), sequence_number(node) - first, _nearest_parameters(node), argument)
    return minus


def bad_leaves(losses: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """Return the trained tensors behind a loss that are not finite, and how many there are."""
    found = leaves(losses, most=GRAPH_LIMIT)
    return [leaf for leaf in found if _is_looked_at(leaf) and _has_nonfinite(leaf)], len(found)


def operation_name(node: Any) -> str:
    """Return an operation's name as a person writes it: "log" for ``LogBackward0``."""
    name = type(node).__name__.split("Backward")[0]
    return "".join(f"_{letter.lower()}" if letter.isupper() and place else letter.lower() for place, letter in enumerate(name))


def _told_by(node: Any, name: str, tensor: torch.Tensor, first: int) -> Origin:
    """Tell what a kept value that is not finite means: that the operation gave it out, or was given it."""
    made_by = node if name in _RESULTS else tensor.grad_fn
    if made_by is not None and operation_name(made_by) in _ADDING and any(other is None for other, _ in made_by.next_functions):
        # Of what it was given, autograd follows one, which was finite: everything before it was.
        return Origin("data", operation_name(made_by), sequence_number(made_by) - first, _nearest_parameters(made_by), "operand")
    if made_by is not None:
        return Origin("operation", operation_name(made_by), sequence_number(made_by) - first, _nearest_parameters(made_by), name)
    for parameter in _parameters(node):
        if tensor is parameter or (tensor.shape == parameter.shape and tensor.data_ptr() == parameter.data_ptr()):
            return Origin("parameter", operation_name(node), sequence_number(node) - first, (id(parameter),), name)
    if name == "weight" and (own := next(_parameters(node), None)) is not None:
        return Origin("parameter", operation_name(node), sequence_number(node) - first, (id(own),), name)
    return Origin("data", operation_name(node), sequence_number(node) - first, _nearest_parameters(node), name)


def _singular(node: Any) -> str:
    """Return the argument at which an operation has no finite value; empty where there is none."""
    name = type(node).__name__.split("Backward")[0]
    if name in _OF_A_MEAN and getattr(node, "_saved_reduction", _MEAN) != _MEAN:
        return ""  # the total weight is kept as zero where nothing is divided by it
    if name in _SINGULAR:
        return _SINGULAR[name](dict(saved_tensors(node)))
    exponent = getattr(node, "_saved_exponent", None) if name == "Pow" else None
    if not isinstance(exponent, int | float):
        return ""
    is_root, is_inverse = exponent != int(exponent), exponent < 0
    return _where("self", lambda x: (x < 0) & is_root | (x == 0) & is_inverse)(dict(saved_tensors(node)))


def _where(name: str, is_singular: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Mapping[str, torch.Tensor]], str]:
    def check(saved: Mapping[str, torch.Tensor]) -> str:
        tensor = saved.get(name)
        return name if tensor is not None and _is_looked_at(tensor) and bool(is_singular(tensor.detach()).any()) else ""

    return check


_SINGULAR: Mapping[str, Callable[[Mapping[str, torch.Tensor]], str]] = {
    "Log": _where("self", lambda x: x <= 0),
    "Log2": _where("self", lambda x: x <= 0),
    "Log10": _where("self", lambda x: x <= 0),
    "Log1P": _where("self", lambda x: x <= -1),
    "Div": _where("other", lambda x: x == 0),
    "Reciprocal": _where("result", lambda x: x.isinf()),
    "Acos": _where("self", lambda x: x.abs() > 1),
    "Asin": _where("self", lambda x: x.abs() > 1),
    "Atanh": _where("self", lambda x: x.abs() >= 1),
    "Acosh": _where("self", lambda x: x < 1),
    "Exp": _where("result", lambda x: x.isinf()),
    "Sqrt": _where("result", lambda x: x.isnan()),
    "NllLoss": _where("total_weight", lambda x: x == 0),
    "NllLoss2D": _where("total_weight", lambda x: x == 0),
    "BinaryCrossEntropy": _where("self", lambda x: ~((x >= 0) & (x <= 1))),
}


def _is_looked_at(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.numel() > 0 and holds_numbers(tensor)


def _has_nan_or_plus(tensor: torch.Tensor) -> bool:
    # The largest value is NaN where any is.
    return not math.isfinite(largest := float(tensor.detach().amax())) and largest != -math.inf


def _has_nonfinite(tensor: torch.Tensor) -> bool:
    return not bool(tensor.detach().isfinite().all())


def _variable(node: Any) -> torch.Tensor | None:
    """Return the leaf to whose gradient a node adds."""
    variable = getattr(node, "variable", None) if type(node).__name__ == "AccumulateGrad" else None
    return variable if isinstance(variable, torch.Tensor) else None


def _parameters(node: Any) -> Iterator[torch.Tensor]:
    """Yield the leaves that an operation is given, seen through what only turns them: a weight is transposed for a product."""
    following: list[Any] = [other for other, _ in node.next_functions if other is not None]
    other: Any
    for other in following:
        if type(other).__name__ in ("TBackward0", "ToCopyBackward0") and other.next_functions:
            other = other.next_functions[0][0]
        variable = _variable(other)
        if variable is not None:
            yield variable


def _nearest_parameters(node: Any) -> tuple[int, ...]:
    """Return the ids of the parameters nearest before an operation, the nearest first."""
    pending, seen, found = deque([node]), {node}, dict[int, None]()
    while pending and len(seen) < GRAPH_LIMIT and len(found) < MOST_PARAMETERS:
        present = pending.popleft()
        found.update((id(parameter), None) for parameter in _parameters(present))
        for other, _ in present.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                pending.append(other)
    return tuple(found)
