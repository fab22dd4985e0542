"""Which operations of a graph have an infinite slope somewhere, so that a finite loss can have a gradient that is not finite.

Asked for when gradients are not finite, after the backward: values are freed by then, and the graph still says which operation stood where.
What was born at an operation spoils the gradients of all that lies before it, and of nothing else. So of the operations with such a slope
those are told whose parameters before them are the ones with a gradient that is not finite.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from bnprobe.observe.instruments.nonfinite_graph import nodes_of, operation_name

#: Finite where their slope is infinite: the root at zero, the angle of an exact match.
_FINITE_THERE = ("Sqrt", "Acos", "Asin")
#: Not finite where their slope is not: the loss is finite all the same where such values were left out of it, by ``where`` or a mask.
_LEFT_OUT = (
    *("Log", "Log2", "Log10", "Log1P", "Rsqrt", "Reciprocal", "Atanh", "Acosh", "Exp", "Xlogy", "Logsumexp"),
    *("LinalgSvd", "LinalgEigh", "LinalgInvEx", "LinalgSlogdet"),
)
#: Operations that are told at most: of more, none stands out.
MOST_TOLD = 2


def infinite_slopes(losses: list[torch.Tensor], bad: Iterable[torch.Tensor]) -> list[str]:
    """Name the operations at which gradients that are not finite can have been born, the most likely alone.

    Args:
        losses: what the backward started from; their graphs may have been freed.
        bad: the parameters whose gradients are not finite.

    Returns:
        Names as in "sqrt", one or two, in the order in which they were computed; none where no operation or too many come into question.
    """
    operations = nodes_of(losses)
    spoilt = {id(one) for one in bad}
    behind = _parameters_behind(operations)
    possible = [node for node in operations if _rank(node) < 2 and spoilt <= behind[node]]
    if not possible:
        return []
    # An operation whose own parameters are fine as well is spoilt only in part: one that is spoilt altogether comes first.
    likely = min((_rank(node), len(behind[node] - spoilt)) for node in possible)
    names = list(dict.fromkeys(operation_name(node) for node in possible if (_rank(node), len(behind[node] - spoilt)) == likely))
    return names if len(names) <= MOST_TOLD else []


def _rank(node: Any) -> int:
    """Tell how likely an operation is: 0 if it is finite itself, 1 if its value has to be left out, 2 if it has no such slope."""
    name = type(node).__name__.split("Backward")[0]
    if name == "Pow":
        try:
            exponent = getattr(node, "_saved_exponent", None)
        except RuntimeError:  # a tensor, freed by now
            exponent = None
        if not isinstance(exponent, int | float):
            return 0  # a tensor, which may be a root
        return 0 if 0 < exponent < 1 else 1 if exponent < 0 else 2
    if name == "Div":  # by something that the network makes; a constant divisor of zero would have made the loss so
        return 1 if len(node.next_functions) > 1 and node.next_functions[1][0] is not None else 2
    return 0 if name in _FINITE_THERE else 1 if name in _LEFT_OUT else 2


def _parameters_behind(operations: list[Any]) -> dict[Any, frozenset[int]]:
    """Return, by operation, the ids of the leaves that it was computed from; ``operations`` in the order in which they were computed."""
    behind: dict[Any, frozenset[int]] = {}
    known: dict[frozenset[int], frozenset[int]] = {}  # most operations lie before each other: sets are shared
    for node in operations:
        found: frozenset[int] = frozenset()
        for other, _ in node.next_functions:
            if other is None:
                continue
            leaf = getattr(other, "variable", None)
            more = frozenset((id(leaf),)) if isinstance(leaf, torch.Tensor) else behind.get(other, frozenset())
            found = found if more <= found else more if found <= more else found | more
        behind[node] = known.setdefault(found, found)
    return behind
