"""Experts whose load is balanced, beside the term written into the loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.at_work import AtWork
from bnprobe.interventions.expert_routing import routers_of

EXPERTS, STEPS = 4, 15


class Mixture(nn.Module):
    def __init__(self, experts: int = EXPERTS, outputs: int = EXPERTS) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.router = nn.Linear(6, outputs)
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(experts))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chances = self.router(x).softmax(-1)
        best, chosen = chances[:, : len(self.experts)].max(1)
        every = torch.stack([expert(x) for expert in self.experts], 1)
        load = F.one_hot(chances.argmax(1), chances.shape[1]).float().mean(0)
        return best[:, None] * every[torch.arange(len(x)), chosen], chances.shape[1] * (load * chances.mean(0)).sum()


def trained(model: nn.Module, balances: bool) -> tuple[list[float], float]:
    """Losses without the term, and how evenly the router asks in the end: 1 where all are asked alike."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    losses, balance = [], torch.zeros(())
    for _ in range(STEPS):
        x = 1.0 + 0.1 * torch.randn(32, 6, generator=generator)
        output, balance = model(x)
        loss = F.cross_entropy(output, (x[:, 0] > 1).long())
        optimizer.zero_grad()
        (loss + balance if balances else loss).backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, balance.item()


def test_the_term_is_descended_beside_the_loss() -> None:
    wanted, balance = trained(Mixture(), True)
    with AtWork(["balanced-experts"], STEPS) as at_work:
        tried, tried_balance = trained(Mixture(), False)
    assert tried == pytest.approx(wanted, rel=1e-5)
    assert tried_balance == pytest.approx(balance, rel=1e-5)
    assert tried != pytest.approx(trained(Mixture(), False)[0], rel=1e-5), "the term must show"
    assert at_work.record()[0]["touched"] == ["router"]


@pytest.mark.parametrize("model", [Mixture(2, 2), Mixture(EXPERTS, 7)], ids=["two experts", "another number of outputs"])
def test_without_a_router_it_refuses(model: nn.Module) -> None:
    with AtWork(["balanced-experts"], STEPS) as at_work:
        trained(model, False)
    assert at_work.record()[0]["refusal"].startswith("no layer with one output for each")


def test_routers_stand_beside_their_experts() -> None:
    inside = nn.ModuleDict({"body": nn.Linear(6, EXPERTS), "block": Mixture()})
    assert [name for name, _ in routers_of(inside)] == ["block.router"]


class Classifying(nn.Module):
    """A mixture with a head that has as many classes as there are experts, and perhaps noise that is learned."""

    def __init__(self, *, is_noisy: bool) -> None:
        super().__init__()
        self.head = nn.Linear(6, EXPERTS)
        self.router = nn.Linear(6, EXPERTS)
        self.noise = nn.Linear(6, EXPERTS) if is_noisy else None
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(EXPERTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.router(x) if self.noise is None else self.router(x) + self.noise(x)
        weights = logits.softmax(-1)
        return self.head(sum(weights[:, [place]] * expert(x) for place, expert in enumerate(self.experts)))  # type: ignore[no-any-return]


def test_a_classifier_with_as_many_classes_is_no_router() -> None:
    assert [name for name, _ in routers_of(Classifying(is_noisy=False))] == ["router"]
    assert not list(routers_of(Classifying(is_noisy=True))), "which of two it is cannot be told"
