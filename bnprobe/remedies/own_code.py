"""A module's own code as a graph: its children are single nodes, and nothing is computed."""

from __future__ import annotations

from torch import fx, nn

from bnprobe.remedies.untouched import untouched


def graph_of(module: nn.Module) -> fx.Graph | None:
    """Trace a module's forward; None where torch.fx cannot follow it, as where its control flow depends on values."""
    with untouched(module):
        try:
            return _OwnCode().trace(module)
        except Exception:  # whatever a forward may raise when it is given proxies
            return None


def runs(module: nn.Module, child: str) -> bool:
    """Whether a module runs a child of its own accord, as nn.Sequential runs whatever it holds."""
    graph = graph_of(module) if len(module._modules) > 1 else None
    return graph is not None and any(node.op == "call_module" and node.target == child for node in graph.nodes)


class _OwnCode(fx.Tracer):
    """Traces a module's own forward; children are single nodes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True
