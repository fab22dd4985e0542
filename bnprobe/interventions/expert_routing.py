"""Experts that are all asked: a router with a term that balances its choices.

Shazeer et al. 2017, arXiv 1701.06538, section 4; Fedus, Zoph, Shazeer 2021, arXiv 2101.03961, equation 4: of N experts, with f_i the share
of the samples whose first choice is i and P_i the mean of its probability, the term is N sum_i f_i P_i, 1 where all are asked alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held
from bnprobe.observe.remedies.injector import models_of
from bnprobe.remedies.answers import answers
from bnprobe.remedies.scope import Scope

#: So many modules made alike are experts.
_FEWEST = 3
#: Weight of the balancing term beside the script's loss.
_WEIGHT = 1.0


class BalancedExperts(Intervention):
    """The intervention ``balanced-experts``: the term is descended beside the loss, whose value stays the script's own."""

    what = "routers whose load is balanced"
    nothing = "no layer with one output for each of several modules made alike stands beside these, or more than one does"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._known: set[int] = set()

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Find the routers among what is about to be trained."""
        for model in models_of(held(optimizer)):
            for name, router in routers_of(model):
                if id(router) not in self._known:
                    self._known.add(id(router))
                    router.register_forward_hook(_balanced)
                    self.touched[name] += 1


def _balanced(router: nn.Module, args: tuple[Any, ...], logits: Any) -> Any:
    """Forward hook of a router: hang the term on its output (..., N)."""
    if not (isinstance(logits, torch.Tensor) and router.training and torch.is_grad_enabled() and logits.requires_grad):
        return None
    chances = logits.float().softmax(-1).flatten(0, -2)
    experts = chances.shape[-1]
    load = torch.bincount(chances.argmax(-1), minlength=experts) / chances.shape[0]
    return _WithTerm.apply(logits, experts * (load * chances.mean(0)).sum())  # type: ignore[no-untyped-call]


class _WithTerm(torch.autograd.Function):
    """Passes a tensor on, and has a term descended wherever the tensor is."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, term: torch.Tensor) -> torch.Tensor:
        ctx.dtype = term.dtype
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], torch.full((), _WEIGHT, dtype=ctx.dtype, device=gradients[0].device)


def routers_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Find the linear layers that stand beside a list of modules made alike, with one output for each of these.

    Of several beside one list a router is none which gives the model's answer: a classifier may have as many classes. Where several are
    left, as with noise that is learned beside a router, none is told from the others.

    Yields:
        The routers with their names.
    """
    for name, parent in model.named_modules():
        for _, experts in parent.named_children():
            if not (isinstance(experts, nn.ModuleList) and len(experts) >= _FEWEST and len({_shapes(one) for one in experts}) == 1):
                continue
            inside = set(experts.modules())
            found = {
                f"{name}.{below}" if name else below: layer
                for below, layer in parent.named_modules()
                if isinstance(layer, nn.Linear) and layer not in inside and layer.out_features == len(experts)
            }
            if len(found) > 1:
                answering = {id(one) for one in answers(Scope([model]))}
                found = {below: layer for below, layer in found.items() if id(layer) not in answering}
            if len(found) == 1:
                yield from found.items()


def _shapes(module: nn.Module) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(one.shape) for one in module.parameters())
