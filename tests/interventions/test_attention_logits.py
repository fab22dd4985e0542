"""Logits of attention divided by how far they differ, beside a division written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.at_work import AtWork

WIDTH, KEYS, STEPS = 16, 5, 6


class Attention(nn.Module):
    """Attention over a few keys, whose logits are too large by a factor."""

    def __init__(self, how: str, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how, self.factor = how, factor
        self.query, self.key, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.divisor = 1.0
        self.first = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key = self.query(x) * self.factor, self.key(x)
        logits = query @ key.transpose(1, 2)
        if not self.first:
            self.first = float(logits.detach().std(-1, correction=0).square().mean().sqrt())
        if self.how == "torch":
            mixed = F.scaled_dot_product_attention(query / self.divisor, key, x, scale=1.0)
        elif self.how == "masked":
            mask = torch.zeros(KEYS, dtype=torch.bool)
            logits = (logits / self.divisor)[..., :].masked_fill(mask, float("-inf"))
            mixed = torch.softmax(logits, dim=-1) @ x
        else:
            mixed = (logits / self.divisor).softmax(-1) @ x
        return self.head(mixed.mean(1))  # type: ignore[no-any-return]


def trained(model: nn.Module) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(STEPS):
        x = torch.randn(8, KEYS, WIDTH, generator=generator)
        loss = F.cross_entropy(model(x), (x[:, 0, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("how", ["by hand", "masked", "torch"])
def test_logits_are_divided_by_their_first_deviation(how: str) -> None:
    sharp = Attention(how, 20.0)
    faulty = trained(sharp)
    divided = Attention(how, 20.0)
    divided.divisor = sharp.first
    wanted = trained(divided)
    with AtWork(["scaled-logits"], STEPS) as at_work:
        tried = trained(Attention(how, 20.0))
    assert sharp.first > 4
    assert tried == pytest.approx(wanted, rel=1e-4)
    assert faulty != pytest.approx(wanted, rel=1e-2)
    assert at_work.record()[0]["count"] == STEPS
    assert trained(Attention(how, 20.0)) == faulty, "nothing is left behind"


@pytest.mark.parametrize("name", ["scaled-logits", "normalised-logits"])
@pytest.mark.parametrize("how", ["by hand", "masked", "torch"])
def test_logits_of_the_usual_size_are_left_alone(how: str, name: str) -> None:
    plain = trained(Attention(how, 0.5))
    with AtWork([name], STEPS) as at_work:
        assert trained(Attention(how, 0.5)) == plain
    assert at_work.record()[0]["refusal"] == "no softmax over products of queries and keys has logits that differ by more than 1"


def test_logits_that_grow_are_held() -> None:
    """With queries that are twenty times as large logits are the same, whatever their first size was."""
    small, large = Attention("by hand", 20.0), Attention("by hand", 400.0)
    with AtWork(["normalised-logits"], STEPS):
        first = [F.cross_entropy(model(batch()), torch.zeros(8, dtype=torch.long)).item() for model in (small, large)]
    assert first[0] == pytest.approx(first[1], rel=1e-4)


def batch() -> torch.Tensor:
    return torch.randn(8, KEYS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("needs_weights", [True, False])
def test_attention_of_torch_is_found(needs_weights: bool) -> None:
    torch.manual_seed(0)
    model: Any = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    with torch.no_grad():
        model.in_proj_weight.mul_(10.0)
    x = batch()
    plain = model(x, x, x, need_weights=needs_weights)[0]
    with AtWork(["scaled-logits"], STEPS) as at_work:
        changed = model(x, x, x, need_weights=needs_weights)[0]
    assert at_work.record()[0]["count"] == 1
    assert not torch.allclose(plain, changed)


def test_a_softmax_of_classes_is_no_attention() -> None:
    torch.manual_seed(0)
    head = nn.Linear(WIDTH, 4)
    values = 100.0 * torch.randn(8, WIDTH)
    plain = head(values).softmax(-1)
    with AtWork(["normalised-logits"], STEPS):
        assert torch.equal(head(values).softmax(-1), plain)
