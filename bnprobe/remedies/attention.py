"""Attention of a script's own: what computes it, and which of its layers give queries and keys."""

from __future__ import annotations

import dis
import inspect
import operator
import re
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from bnprobe.remedies.linear_layers import is_linear
from bnprobe.remedies.own_code import graph_of
from bnprobe.remedies.reach import names_in

#: What a module calls the number of its heads, or their size.
_HEADS = re.compile(r"(^|_)n?_?heads?$|(^|_)nheads?$|(^|_)heads?_(dim|size)$|^n?h$|^d_?k$")
_ATTENDS = F.scaled_dot_product_attention
_SOFTMAXES = (F.softmax, torch.softmax, torch.special.softmax)
_PRODUCTS = {"matmul", "bmm", "baddbmm", "einsum"}
_PRODUCT_FUNCTIONS = (torch.matmul, torch.bmm, torch.einsum, operator.matmul)
#: A library's own function may do all of it, as flash_attn_func does.
_NAMED = re.compile(r"attention|attn|flash", re.IGNORECASE)


def is_attention(module: nn.Module) -> bool:
    """Whether a module is torch's attention, names its function, or has code that attends, with a number of heads or with one."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    if isinstance(module, nn.MultiheadAttention) or (code is not None and _ATTENDS.__name__ in code.co_names):
        return True
    if not any(is_linear(child) for child in module._modules.values() if child is not None) or not _attends(module):
        return False
    has_heads = any(_HEADS.search(name) and type(value) is int for name, value in vars(module).items())
    return has_heads or _takes_softmax_of_products(module)


def _attends(module: nn.Module) -> bool:
    """Whether code takes a softmax and multiplies matrices, or calls a function that is named so: several tasks have heads, too."""
    names, has_product = set[str](), False
    for function in _functions_of(module):
        names |= names_in(function)
        has_product |= any(one.argrepr in ("@", "@=") for one in dis.get_instructions(function))
    return any(map(_NAMED.search, names)) or (any("softmax" in name for name in names) and (has_product or bool(names & _PRODUCTS)))


def _takes_softmax_of_products(module: nn.Module) -> bool:
    """Whether a softmax is taken of a product of what two layers compute, by code that torch.fx can follow."""
    graph = graph_of(module)
    if graph is None:
        return False
    logits = _before([one for node in graph.nodes for one in _logits_of(node)], _inputs_of)
    return any(
        len(node.all_input_nodes) == 2
        and all(any(one.op == "call_module" for one in _before([side], _inputs_of)) for side in node.all_input_nodes)
        for node in logits
        if node.target in _PRODUCT_FUNCTIONS or (node.op == "call_method" and node.target in _PRODUCTS)
    )


def _inputs_of(node: fx.Node) -> list[fx.Node]:
    return node.all_input_nodes


def _functions_of(module: nn.Module) -> Iterator[FunctionType]:
    """Yield the forward of a module, and what it calls by name, methods and functions; those of torch are not looked into."""
    kind = type(module)
    waiting: list[Any] = [inspect.unwrap(kind.forward)]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType) or function.__module__.startswith("torch.") or id(function) in seen:
            continue
        seen.add(id(function))
        yield function
        for name in names_in(function):
            waiting += [inspect.getattr_static(kind, name, None), function.__globals__.get(name)]


def logit_layers(module: nn.Module) -> tuple[list[nn.Module], list[nn.Module]] | None:
    """Tell which layers of an attention give its logits, by its own code; None where torch.fx cannot follow that.

    Args:
        module: the attention.

    Returns:
        The layers whose output goes into logits alone, as those of queries and keys do; and those whose output goes elsewhere, too, as that
        of a packed layer.
    """
    graph = graph_of(module)
    if graph is None:
        return None
    nodes = [node for node in graph.nodes if node.op == "call_function" or node.op == "call_method"]
    attending = [node for node in nodes if _logits_of(node)]
    if not attending:
        return None
    inside = _before([one for node in attending for one in _logits_of(node)], lambda node: node.all_input_nodes)
    outside = _before([node for node in graph.nodes if node.op == "output"], _all_but_logits)
    layers = [(node, module.get_submodule(str(node.target))) for node in graph.nodes if node.op == "call_module" and node in inside]
    return [one for node, one in layers if node not in outside], [one for node, one in layers if node in outside]


def _logits_of(node: fx.Node) -> list[fx.Node]:
    """Return what goes into the logits at a node: queries and keys, or what a softmax is taken of; nothing at other nodes."""
    if node.target is _ATTENDS:
        given = [*node.args[:2], node.kwargs.get("query"), node.kwargs.get("key")]
    elif node.target in _SOFTMAXES or (node.op == "call_method" and node.target == "softmax"):
        given = [*node.args[:1], node.kwargs.get("input")]
    else:
        return []
    return [one for one in given if isinstance(one, fx.Node)]


def _all_but_logits(node: fx.Node) -> list[fx.Node]:
    logits = _logits_of(node)
    if node.target is not _ATTENDS:
        return [] if logits else node.all_input_nodes
    given = [*node.args[2:], *(value for name, value in node.kwargs.items() if name not in ("query", "key"))]
    return [one for one in given if isinstance(one, fx.Node)]


def _before(nodes: list[fx.Node], inputs: Callable[[fx.Node], list[fx.Node]]) -> set[fx.Node]:
    """Return nodes with everything that they are computed from, where each names its inputs."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += inputs(node)
    return found
