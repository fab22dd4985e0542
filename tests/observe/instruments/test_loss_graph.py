from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.loss_graph import applies_softmax_twice, half_results

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
Y = torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: F.cross_entropy(X, Y), False),
        (lambda: F.cross_entropy(torch.softmax(X, 1), Y), True),
        (lambda: F.cross_entropy(torch.sigmoid(X), Y), True),
        (lambda: 2 * F.cross_entropy(torch.softmax(X.reshape(2, 2, 3), -1).transpose(1, 2), Y.reshape(2, 2), label_smoothing=0.1), True),
        (lambda: F.mse_loss(X, X.detach() + 1) + F.cross_entropy(torch.softmax(X, 1).clamp(1e-6, 1), Y), True),
        (lambda: F.cross_entropy(10 * torch.sigmoid(X), Y), False),  # bounded logits
        (lambda: F.cross_entropy(torch.sigmoid(torch.stack([X, 2 * X], 1)).sum(1), Y), False),  # counted votes
        (lambda: F.cross_entropy(torch.stack([torch.softmax(X, 1), torch.softmax(2 * X, 1)]).mean(0), Y), True),
        (lambda: F.cross_entropy((torch.softmax(X[:, :2], 1).unsqueeze(2) * torch.stack([X, 2 * X], 1).softmax(2)).sum(1), Y), True),
        (lambda: F.cross_entropy((torch.softmax(X[:, :2], 1).unsqueeze(2) * torch.stack([X, 2 * X], 1)).sum(1), Y), False),  # an attention
        (lambda: F.cross_entropy(torch.cat([torch.softmax(X, 1), torch.ones(4, 1)], 1), Y), False),  # with data
        (lambda: F.cross_entropy(torch.sigmoid(X) @ torch.sigmoid(X[:3]), Y), False),  # sums of products
        (lambda: F.cross_entropy(torch.log_softmax(X, 1), Y), False),  # the same once more
        (lambda: F.cross_entropy(X, torch.softmax(X.detach() + 1, 1)), False),  # soft labels
        (lambda: F.nll_loss(torch.softmax(X, 1).log(), Y), None),
        (lambda: F.mse_loss(torch.softmax(X, 1), torch.zeros(4, 3)), None),
        (lambda: F.binary_cross_entropy(torch.sigmoid(X), torch.zeros(4, 3)), None),
        (lambda: F.binary_cross_entropy_with_logits(torch.sigmoid(X), torch.zeros(4, 3)), True),
        (lambda: F.binary_cross_entropy_with_logits(X, torch.zeros(4, 3)), False),
        (lambda: [F.mse_loss(X, X.detach() + 1), F.cross_entropy(torch.softmax(X, 1), Y)], True),
        (lambda: torch.zeros((), requires_grad=True), None),
    ],
)
def test_only_what_is_squashed_before_a_loss_that_squashes(loss: Callable[[], torch.Tensor], found: bool | None) -> None:
    assert applies_softmax_twice(loss()) == found


def test_what_is_computed_in_float16_between_two_casts_is_seen() -> None:
    assert half_results(F.mse_loss(X, X.detach() + 1)) == 0
    assert half_results((X.half() * 2).float().sum()) == 2  # the cast and the product
    assert half_results([X.sum(), (X.bfloat16() * 2).float().sum(), X.half().float().sum()]) == 1
    assert half_results(torch.zeros((), requires_grad=True)) == 0
    stored = torch.nn.Parameter(torch.ones(3, dtype=torch.float16))
    assert half_results((X @ stored.float()).sum()) == 0  # a weight that is stored so is computed with in float32


def test_a_graph_that_is_shared_is_walked_once() -> None:
    signal = X.half()
    for _ in range(40):  # two to the fortieth paths
        signal = signal + signal
    assert half_results(signal.sum()) == 42
