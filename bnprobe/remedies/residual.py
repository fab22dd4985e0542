"""Residual branches, found in a module's own code: ``f`` in ``x + f(x)``.

Modules are traced with torch.fx one at a time, their children taken whole; nothing is computed. Of the two sides of an addition that
start from a common value, the branch is the one with more weight layers of its own; the other is the shortcut. Code that fx cannot
trace (its control flow depends on values) shows no branches.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from bnprobe.remedies.linear_layers import is_linear
from bnprobe.remedies.norms import normalises
from bnprobe.remedies.own_code import graph_of
from bnprobe.remedies.scope import CONVOLUTIONS, Convolution, Scope
from bnprobe.torch_private import ConvNd

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_TORCHS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_ADDITIONS = (operator.add, operator.iadd, torch.add)


@dataclass(frozen=True)
class Branch:
    """One residual branch.

    Attributes:
        name: of the block, the module whose code holds the addition.
        block: that module.
        last_name: of the last module of the branch.
        last: that module; what it returns goes into the addition.
        parts: the modules of the branch, all children of the block, in the order in which they are called.
        norm: what alone takes the sum, if that is a normalisation: LN(x + f(x)).
    """

    name: str
    block: nn.Module
    last_name: str
    last: nn.Module
    parts: tuple[nn.Module, ...]
    norm: nn.Module | None = None

    def convolutions(self) -> list[Convolution]:
        """Return the convolutions inside the branch."""
        return [module for part in self.parts for module in part.modules() if isinstance(module, CONVOLUTIONS)]


def residual_branches(scope: Scope) -> list[Branch]:
    """Find the residual branches of the modules in scope, in the order of the model's tree."""
    found: list[Branch] = []
    for name, module in scope.modules():
        if not isinstance(module, _CONTAINERS) and _weight_layers(module) and len(module._modules) and scope.is_trained(module):
            found += _of_torchs_layer(name, module) if isinstance(module, _TORCHS) else _branches_of(name, module)
    return found


def _of_torchs_layer(name: str, block: Any) -> Iterator[Branch]:
    """Yield those of torch's own layers of transformers: their code tests its arguments, which torch.fx cannot follow."""
    is_decoder = isinstance(block, nn.TransformerDecoderLayer)
    attentions = [block.self_attn, *((block.multihead_attn,) if is_decoder else ())]
    branches = [(one,) for one in attentions] + [(block.linear1, block.dropout, block.linear2)]
    for number, parts in enumerate(branches, 1):
        last = getattr(block, f"dropout{number}")
        norm = None if block.norm_first else getattr(block, f"norm{number}")
        yield Branch(name, block, f"{name}.dropout{number}" if name else f"dropout{number}", last, (*parts, last), norm)


def _branches_of(name: str, block: nn.Module) -> Iterator[Branch]:
    graph = graph_of(block)
    if graph is None:
        return
    children = dict(block.named_modules())
    for node in graph.nodes:
        sides = [argument for argument in node.args if isinstance(argument, fx.Node)] if _is_addition(node) else []
        if len(sides) != 2:
            continue
        before = [_ancestors(side) for side in sides]
        if not before[0] & before[1]:
            continue
        own = [[n for n in before[i] - before[1 - i] if n.op == "call_module"] for i in (0, 1)]
        weights = [sum(_weight_layers(children[str(n.target)]) for n in nodes) for nodes in own]
        if weights[0] == weights[1]:
            continue
        side = 0 if weights[0] > weights[1] else 1
        last = _last_module(sides[side], graph)
        if last is not None and last in own[side]:
            target = str(last.target)
            parts = tuple(children[str(n.target)] for n in graph.nodes if n in own[side])
            yield Branch(name, block, f"{name}.{target}" if name else target, children[target], parts, _norm_behind(node, children))


def _norm_behind(node: fx.Node, children: Mapping[str, nn.Module]) -> nn.Module | None:
    users = list(node.users)
    child = children.get(str(users[0].target)) if len(users) == 1 and users[0].op == "call_module" else None
    return child if child is not None and normalises(child) else None


def _is_addition(node: fx.Node) -> bool:
    return (node.op == "call_function" and node.target in _ADDITIONS) or (node.op == "call_method" and node.target in ("add", "add_"))


def _ancestors(node: fx.Node) -> set[fx.Node]:
    """Return a node with everything it is computed from."""
    found: set[fx.Node] = set()
    pending = [node]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += one.all_input_nodes
    return found


def _last_module(node: fx.Node, graph: fx.Graph) -> fx.Node | None:
    """Follow a branch back to a module that is called nowhere else in the block."""
    calls = [other.target for other in graph.nodes if other.op == "call_module"]
    while node.op != "call_module" or calls.count(node.target) > 1:
        if len(node.all_input_nodes) != 1:
            return None
        node = node.all_input_nodes[0]
    return node


def _weight_layers(module: nn.Module) -> int:
    return sum(isinstance(child, ConvNd) or is_linear(child) for child in module.modules())
