"""What the graph of a loss shows of mistakes in its form, and what looks like them on purpose."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.graph import GRAPH_LIMIT
from bnprobe.observe.instruments.loss_form import (
    compares_one_class,
    is_cut_off,
    pairs_all_with_all,
    rectifies_logits,
    softmaxes_over_samples,
    takes_probabilities_for_logarithms,
    trivial_softmaxes,
)

W = torch.ones(3, 1, requires_grad=True)
X = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

SCALE = torch.nn.Parameter(torch.ones(()))
SQUARE = torch.nn.Parameter(torch.eye(3) - 0.5)


class Opaque(torch.autograd.Function):
    """Hands its input on; the graph does not say so."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def out() -> torch.Tensor:
    return X @ W


def logits() -> torch.Tensor:
    return X * W.T


def long(x: torch.Tensor) -> torch.Tensor:
    """The same, through more operations than are looked at."""
    for _ in range(GRAPH_LIMIT):
        x = x * 1.0
    return x


def ctc(scores: torch.Tensor) -> torch.Tensor:
    """Of a sequence of eight places, that says two of two classes."""
    return F.ctc_loss(scores[:, None], torch.tensor([[1, 2]]), torch.tensor([8]), torch.tensor([2]))


def broadcast(loss: Callable[..., torch.Tensor], *args: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return loss(*args)


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: broadcast(F.mse_loss, out(), Y), True),
        (lambda: broadcast(F.smooth_l1_loss, out(), Y), True),
        (lambda: (out() - Y).pow(2).mean(), True),
        (lambda: (Y[:, None] - out()[:, 0]).abs().mean(), True),
        (lambda: 0.1 * (out() - Y).square().mean() + W.square().sum(), True),
        (lambda: (torch.broadcast_tensors(out(), Y)[0] * SCALE - Y).square().mean(), True),  # one number for all pairs nothing
        (lambda: F.mse_loss(out()[:, 0], Y), False),
        (lambda: (out() - Y[:, None]).pow(2).mean(), False),
        (lambda: (out() - Y[0]).pow(2).mean(), False),  # one target for all
        (lambda: (out() - torch.linspace(0, 1, 5)).abs().mean(), False),  # quantiles, not as many as samples
        (lambda: (out() - out().T).abs().mean(), False),  # pairs on purpose
        (lambda: F.cross_entropy(logits(), LABELS), False),
        (lambda: torch.zeros((), requires_grad=True), False),
        # Eight places of eight samples, over the norm of each.
        (lambda: (F.normalize(X @ SQUARE.repeat(1, 3)[:, :8]) - torch.ones(8, 8)).square().mean(), False),
    ],
)
def test_outputs_that_meet_every_target(loss: Callable[[], torch.Tensor], found: bool) -> None:
    assert pairs_all_with_all(loss()) is found


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: F.cross_entropy(logits().relu(), LABELS), True),
        (lambda: F.cross_entropy(logits().relu().reshape(4, 2, 3).transpose(1, 2), LABELS.reshape(4, 2)), True),
        (lambda: F.binary_cross_entropy_with_logits(out().relu(), (Y[:, None] > 0).float()), True),
        (lambda: F.cross_entropy(logits().relu() @ torch.eye(3), LABELS), False),  # a layer lies between
        (lambda: F.cross_entropy(F.leaky_relu(logits()), LABELS), False),
        (lambda: F.mse_loss(out().relu(), Y[:, None]), None),
    ],
)
def test_logits_behind_a_rectifier(loss: Callable[[], torch.Tensor], found: bool | None) -> None:
    assert rectifies_logits(loss()) is found


def test_one_class_and_a_softmax_of_one_place() -> None:
    assert compares_one_class(F.cross_entropy(out(), torch.zeros(8, dtype=torch.long))) is True
    assert compares_one_class(F.cross_entropy(logits(), LABELS)) is False
    assert compares_one_class(out().mean()) is None
    assert trivial_softmaxes((torch.softmax(out(), 1) * logits()).sum()) == 1
    assert trivial_softmaxes((torch.softmax(out(), -1) * logits()).sum()) == 1
    assert trivial_softmaxes((torch.softmax(out(), 0) * logits()).sum()) == 0
    assert trivial_softmaxes(out().mean()) is None


def test_a_softmax_over_the_batch() -> None:
    def loss(weights: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(weights * logits(), LABELS)

    assert softmaxes_over_samples(loss(torch.softmax(logits(), 0))) == 1
    assert softmaxes_over_samples(loss(torch.softmax(logits(), 1))) == 0
    assert softmaxes_over_samples(loss(torch.softmax(logits().T, 0).T)) == 0  # the same, laid out otherwise
    pooled = (torch.softmax(out(), 0) * X).sum(0, keepdim=True)  # attention over the instances of one bag
    assert softmaxes_over_samples(F.cross_entropy(pooled, LABELS[:1])) == 0
    assert softmaxes_over_samples(F.cross_entropy(out() @ out().T, torch.arange(8))) == 0


def test_a_softmax_over_the_time_of_sequences() -> None:
    """CTC takes (T, N, C): here four samples, of eight places."""

    def loss(over: int) -> torch.Tensor:
        hidden = logits()[:, None].expand(8, 4, 3) * SQUARE[0]
        attended = hidden * torch.softmax(hidden.sum(2), over)[..., None]
        labels, lengths = torch.ones(4, 2, dtype=torch.long), torch.full((4,), 8)
        return F.ctc_loss(F.log_softmax(attended, 2), labels, lengths, lengths // 4)

    assert softmaxes_over_samples(loss(0)) == 0
    weights = torch.softmax(SQUARE[0, 0] * X[:4, :1] * torch.ones(5), 0)  # (N, ...), as a batch-first part of the network has it
    assert softmaxes_over_samples(loss(0) * weights.sum()) == 1
    assert softmaxes_over_samples(ctc(torch.softmax(logits(), 0))) == 0
    unbatched = F.log_softmax(torch.softmax(logits(), 0), 1)
    assert softmaxes_over_samples(F.ctc_loss(unbatched, torch.tensor([1, 2]), torch.tensor(8), torch.tensor(2))) == 0


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda: F.nll_loss(torch.softmax(logits(), 1), LABELS), 1),
        (lambda: F.kl_div(torch.softmax(logits(), 1), torch.softmax(X, 1)), 1),
        (lambda: F.kl_div(torch.softmax(logits(), 1), torch.softmax(2 * logits(), 1), reduction="sum"), 1),  # both with a gradient
        (lambda: F.kl_div(torch.log_softmax(logits(), 1), torch.softmax(2 * logits(), 1), reduction="sum"), 0),
        (lambda: F.nll_loss(torch.softmax(logits(), 1).log(), LABELS), 0),
        (lambda: F.kl_div(torch.log_softmax(logits(), 1), torch.softmax(X, 1), reduction="batchmean"), 0),
        (lambda: 1 - (torch.softmax(logits(), 1) * torch.softmax(X, 1)).sum(1).mean(), 0),  # an overlap, to be large
        (lambda: F.mse_loss(torch.softmax(logits(), 1), torch.softmax(X, 1)), 0),
        (lambda: F.nll_loss(F.linear(X, SQUARE, Y[:3]), LABELS), 2),
        (lambda: F.nll_loss(X @ SQUARE, LABELS, reduction="none").sum() / 8, 2),
        (lambda: F.nll_loss((X @ SQUARE.T)[None].transpose(1, 2), LABELS[None]), 2),
        (lambda: F.nll_loss(F.conv2d(X[..., None, None], SQUARE[..., None, None]), LABELS[:, None, None]), 2),
        (lambda: F.nll_loss(torch.relu(logits()) @ SQUARE, LABELS), 2),
        (lambda: ctc(F.linear(X, SQUARE)), 2),
        (lambda: ctc(X @ SQUARE + SQUARE[0]), 2),
        (lambda: ctc(X @ SQUARE + Y[:, None]), 0),  # a prior, say
        (lambda: ctc(F.linear(long(X * SQUARE[0]), SQUARE)), 3),
        (lambda: ctc(F.linear(long(torch.log_softmax(logits(), 1)), SQUARE)), 3),
        (lambda: ctc(torch.softmax(F.linear(X, SQUARE), 1)), 1),
        (lambda: ctc(torch.log_softmax(F.linear(X, SQUARE), 1)), 0),
        (lambda: F.nll_loss((X @ SQUARE).clamp(max=-0.1), LABELS), 0),  # bounded
        (lambda: F.nll_loss(logits() @ torch.eye(3), LABELS), 0),  # no layer: what is multiplied may be of any sign
        (lambda: (torch.logsumexp(X @ SQUARE, 1) + F.nll_loss(X @ SQUARE, LABELS, reduction="none")).mean(), 0),  # a cross-entropy
        (lambda: F.nll_loss(X @ SQUARE, LABELS) + (X @ SQUARE).square().mean(), 0),  # its own floor
        (lambda: F.nll_loss(F.logsigmoid(X @ SQUARE) @ torch.ones(3, 3), LABELS), 0),  # nodes on the path to a class
        (lambda: F.nll_loss(F.log_softmax(logits(), 1) @ SQUARE, LABELS), 0),
        (lambda: F.nll_loss(torch.einsum("e,enc->nc", SQUARE[0], F.log_softmax(logits(), 1).expand(3, 8, 3)), LABELS), 0),
        (lambda: F.nll_loss(Opaque.apply(logits()) @ SQUARE, LABELS), 0),  # which may be a logarithm of the script's own
        (lambda: F.nll_loss(F.logsigmoid(logits()), LABELS), 0),
        (lambda: F.cross_entropy(logits(), LABELS), 0),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_probabilities_for_logarithms(loss: Callable[[], torch.Tensor], found: int) -> None:
    assert takes_probabilities_for_logarithms(loss()) == found


def test_a_number_made_a_tensor_again() -> None:
    assert is_cut_off([torch.tensor(out().mean().item(), requires_grad=True)])
    assert is_cut_off([torch.tensor([0.5, 1.5], requires_grad=True).mean()])
    assert not is_cut_off([(X @ torch.nn.Parameter(torch.ones(3))).mean()])
