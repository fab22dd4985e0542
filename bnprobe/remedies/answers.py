"""Layers whose output is a model's answer: a head, of which a model may have several, anywhere in its tree.

A model's own code is traced with torch.fx, layers taken whole; nothing is computed. A layer is an answer if no other layer receives what it
gives, or if the model returns just that, as a variational encoder returns mean and variance that its decoder takes, too. Where code cannot
be traced, or does not call it, the last layer in the order of the tree is taken for the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx, nn

from bnprobe.module_parts import modules, named_modules
from bnprobe.remedies.linear_layers import is_linear
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.untouched import untouched
from bnprobe.torch_private import ConvNd

_LAYERS = (ConvNd, nn.RNNBase, nn.MultiheadAttention)


def answers(scope: Scope) -> list[nn.Module]:
    """Return the layers of a scope's models whose outputs are answers. It runs the models' own code, with stand-ins for tensors."""
    found: dict[int, nn.Module] = {}
    for model in scope.models:
        last = scope.last_layer(model)
        calls = _called_layers(model)
        for node, one in calls:
            if _is_last(node, calls) or any(user.op == "output" for user in node.users):
                found[id(one)] = one
        if last is not None and not any(last is part for _, one in calls for part in modules(one)):
            found[id(last)] = last
    return list(found.values())


def linear_answers(scope: Scope) -> list[nn.Module]:
    """Return the linear layers among the answers: classifiers, one for each head."""
    return [one for one in answers(scope) if is_linear(one)]


def last_called(model: nn.Module) -> list[nn.Module]:
    """Return the layers of a model whose output no other layer receives, by its code alone; none where torch.fx cannot follow that."""
    calls = _called_layers(model)
    return [one for node, one in calls if _is_last(node, calls)]


def _called_layers(model: nn.Module) -> list[tuple[fx.Node, nn.Module]]:
    """Return what holds layers and is called in a model's code, with its place there."""
    graph = _graph_of(model)
    children = dict(named_modules(model))
    calls = [] if graph is None else [(node, children[str(node.target)]) for node in graph.nodes if node.op == "call_module"]
    return [(node, one) for node, one in calls if any(_is_layer(part) for part in modules(one))]


def _is_last(node: fx.Node, calls: list[tuple[fx.Node, nn.Module]]) -> bool:
    return not _later(node) & {one for one, _ in calls}


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _LAYERS) or is_linear(module)


class _Layers(fx.Tracer):
    """Traces through the modules of a script, without their hooks, up to layers and torch's own modules."""

    proxy_buffer_attributes = True  # code that writes to a buffer is to write to a stand-in

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_layer(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.is_leaf_module(m, self.path_of_module(m)):
            return super().call_module(m, forward, args, kwargs)
        return type(m).forward(m, *args, **kwargs)


def _graph_of(model: nn.Module) -> fx.Graph | None:
    with untouched(*modules(model)):
        try:
            return _Layers().trace(model)
        except Exception:  # whatever a forward may raise when it is given proxies
            return None


def _later(node: fx.Node) -> set[fx.Node]:
    """Return everything that is computed from a node."""
    found: set[fx.Node] = set()
    pending = list(node.users)
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += one.users
    return found
