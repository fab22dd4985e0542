"""Layers and views that take the samples for something else, and those that look like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bnprobe
from bnprobe.diagnose import diagnose
from bnprobe.observe.instruments.sample_axes import compared_shapes, runs_across_samples, views_over_samples
from bnprobe.store.reader import read_run

N, T, C = 12, 7, 5
WEIGHT = torch.randn(C, 3, requires_grad=True)
BOTH = torch.randn(2 * C, 3, requires_grad=True)
LABELS = torch.arange(N) % 3


def signal(*axes: int) -> torch.Tensor:
    return torch.randn(*axes, requires_grad=True) * 1.0


@pytest.mark.parametrize(
    ("logits", "views"),
    [
        pytest.param(lambda: signal(2, N, C).view(N, 2 * C) @ BOTH, 1, id="states of two directions viewed as one row"),
        pytest.param(lambda: signal(2, N, C).transpose(0, 1).reshape(N, 2 * C) @ BOTH, 0, id="their axis moved first"),
        pytest.param(lambda: signal(N, T, C).view(T, N, C)[-1] @ WEIGHT, 1, id="time first by a view"),
        pytest.param(lambda: signal(N, T, C).transpose(0, 1)[-1] @ WEIGHT, 0, id="time first by a transposition"),
        pytest.param(lambda: signal(N, T * C).view(N, T, C).sum(1) @ WEIGHT, 0, id="an axis split"),
        pytest.param(lambda: signal(1, N, C).view(N, C) @ WEIGHT, 0, id="an axis of one"),
        pytest.param(lambda: signal(N * T, N).view(N, T * N)[:, :C] @ WEIGHT, 0, id="as many channels as samples, joined with steps"),
        pytest.param(lambda: signal(N, 4 * N, C).view(N * N, 4 * C).view(N, 4 * N, C).sum(1) @ WEIGHT, 0, id="as many steps as samples"),
        pytest.param(lambda: signal(N, 2 * N, C).view(2 * N, N, C)[0] @ WEIGHT, 1, id="time first by a view, of steps twice the samples"),
        pytest.param(lambda: signal(T, N, C).view(T, N, 1, C).sum((0, 2)) @ WEIGHT, 0, id="behind the same axis as before"),
    ],
)
def test_a_view_that_takes_the_samples_axis_elsewhere(logits: Callable[[], torch.Tensor], views: int) -> None:
    assert views_over_samples([F.cross_entropy(logits(), LABELS)]) == views


def test_so_few_samples_tell_nothing() -> None:
    assert views_over_samples([F.cross_entropy(signal(3, 2, C).view(2, 3 * C)[:, :3], LABELS[:2])]) is None


@pytest.mark.parametrize(
    ("samples", "positions", "loss", "answer"),
    [
        pytest.param(T, N, lambda: F.cross_entropy(signal(N, 3), LABELS), True, id="across the samples"),
        pytest.param(N, T, lambda: F.cross_entropy(signal(N, 3), LABELS), False, id="along each sample"),
        pytest.param(T, N, lambda: F.mse_loss(signal(N, T, 1), torch.zeros(N, T, 1)), False, id="a loss of every step, time first"),
        pytest.param(T, N, lambda: signal(N, T).pow(2).mean(1).mean(), False, id="the same, averaged over samples first"),
        pytest.param(4 * N, N, lambda: F.cross_entropy(signal(N, 3), LABELS), None, id="rows of pictures as long as samples are many"),
        pytest.param(1, N, lambda: F.cross_entropy(signal(N, 3), LABELS), None, id="one series"),
    ],
)
def test_a_layer_that_runs_across_the_samples(samples: int, positions: int, loss: Callable[[], torch.Tensor], answer: bool | None) -> None:
    assert runs_across_samples(samples, positions, compared_shapes([loss()])) is answer


class Last(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = self.layer(x, x, x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        return self.head(given[0][:, -1])


@pytest.mark.parametrize("kind", [nn.GRU, nn.MultiheadAttention])
@pytest.mark.parametrize("batch_first", [False, True])
def test_recorded_and_named(tmp_path: Path, kind: type[nn.Module], batch_first: bool) -> None:
    torch.manual_seed(0)
    model = Last(kind(8, 8, batch_first=batch_first))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with bnprobe.record(model, optimizer, tmp_path / "run.h5"):
        for _ in range(25):
            x = torch.randn(N, T, 8)
            loss = F.cross_entropy(model(x), (x[:, -1].sum(1) > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    run = read_run(tmp_path / "run.h5")
    known = run["sequences_over_samples"] >= 0
    assert known.any()
    assert (run["sequences_over_samples"][known] == int(not batch_first)).all()
    (found, *_) = diagnose(run)
    assert (found.id == "mixed-samples") != batch_first
    assert batch_first or found.layers == ("layer",)
