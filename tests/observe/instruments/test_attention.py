"""The size of the logits of attention against logits that are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.attention import Attention, attentions, logit_sizes
from bnprobe.torch_private import TELLS_OF_SAVED_HOOKS

pytestmark = pytest.mark.skipif(not TELLS_OF_SAVED_HOOKS, reason="this torch does not tell whether saved tensors have hooks")
GENERATOR = torch.Generator().manual_seed(0)
Q, K, V = (torch.randn(2, 4, 40, 16, generator=GENERATOR, requires_grad=True) for _ in range(3))
CAUSAL = torch.ones(40, 40).triu(1).bool()


def by_hand(scale: float, *, mask: bool = False, divide: bool = False) -> torch.Tensor:
    scores = Q @ K.transpose(-1, -2)
    scores = scores / (1 / scale) if divide else scores * scale
    return torch.softmax(scores.masked_fill(CAUSAL, -1e9) if mask else scores, -1) @ V


def heads() -> torch.Tensor:
    attention = torch.nn.MultiheadAttention(16, 1, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.eye(16).repeat(3, 1))
    return attention(Q[:, 0], K[:, 0], V[:, 0])[0]


@pytest.mark.parametrize(
    ("made", "scale"),
    [
        (lambda: F.scaled_dot_product_attention(Q * 1, K * 1, V), 0.25),
        (lambda: F.scaled_dot_product_attention(Q * 1, K * 1, V, is_causal=True), 0.25),
        (lambda: F.scaled_dot_product_attention(Q * 1, K * 1, V, scale=1.0), 1.0),
        (lambda: by_hand(0.25), 0.25),
        (lambda: by_hand(0.25, divide=True), 0.25),
        (lambda: by_hand(1.0, mask=True), 1.0),
    ],
    ids=["fused", "causal", "scale", "by hand", "divided", "masked"],
)
def test_the_bound_holds_and_the_deviation_is_that_of_the_logits(made: Callable[[], torch.Tensor], scale: float) -> None:
    [pair] = attentions(made().sum())
    bound, deviation, _ = logit_sizes(pair).tolist()
    with torch.no_grad():
        logits = Q @ K.transpose(-1, -2) * scale
        longest = Q.norm(dim=-1).amax(-1) * K.norm(dim=-1).amax(-1) * scale
    assert bound == pytest.approx(float(longest.max()), rel=1e-5)
    assert bound >= float(logits.abs().max())
    assert deviation == pytest.approx(float(logits.std()), rel=0.1)


def told_of(loss: torch.Tensor) -> dict[str, float]:
    instrument = Attention(SimpleNamespace(schedule=SimpleNamespace(is_snapshot=lambda step: True)))
    step = SimpleNamespace(number=0, micro_steps=1)
    instrument.before_backward(step, SimpleNamespace(losses=[loss]))
    return {name: float(reading.values[0]) for name, reading in instrument.close(step, [])}


ONE_KEY, SAME_KEYS = K[:, :, :1], K[:, :, :1].repeat(1, 1, 40, 1)


@pytest.mark.parametrize("keys", [ONE_KEY, SAME_KEYS], ids=["one key", "the same keys"])
def test_an_attention_without_a_choice_is_not_the_softest(keys: torch.Tensor) -> None:
    trivial = F.scaled_dot_product_attention(Q * 1, keys * 1, V[:, :, : keys.shape[2]]).sum()
    sharp = F.scaled_dot_product_attention(Q * 1, K * 1, V, scale=4.0).sum()
    told = told_of(trivial + sharp)
    assert told["attention_logit_deviation_least"] == pytest.approx(told["attention_logit_deviation"])
    assert told["attention_logit_deviation"] > 10
    assert math.isnan(told_of(trivial)["attention_logit_deviation_least"])


def test_queries_of_zero_weigh_all_keys() -> None:
    assert told_of(F.scaled_dot_product_attention(Q * 0, K * 1, V).sum())["attention_logit_deviation_least"] == 0


def test_of_several_the_sharpest_and_the_softest_are_told() -> None:
    told = told_of(sum(F.scaled_dot_product_attention(Q * 1, K * 1, V, scale=scale).sum() for scale in (0.25, 4.0, 0.5)))
    [pair] = attentions(F.scaled_dot_product_attention(Q * 1, K * 1, V, scale=1.0).sum())
    deviation = float(logit_sizes(pair)[1])
    assert told["attention_logit_deviation"] == pytest.approx(4.0 * deviation)
    assert told["attention_logit_deviation_least"] == pytest.approx(0.25 * deviation)


def test_what_all_keys_share_is_left_out() -> None:
    [pair], [shifted] = (list(attentions(F.scaled_dot_product_attention(Q * 1, K + far, V).sum())) for far in (0.0, 100.0))
    assert logit_sizes(shifted)[1] == pytest.approx(float(logit_sizes(pair)[1]), rel=1e-3)
    assert logit_sizes(shifted)[0] > 10 * logit_sizes(pair)[0]


def test_heads_of_a_module_are_seen() -> None:
    assert len(list(attentions(heads().sum()))) == 1


def test_heads_of_queries_that_share_keys() -> None:
    [pair] = attentions(F.scaled_dot_product_attention(Q * 1, K * 1, V).sum())
    shared = pair._replace(key=pair.key[:, :2])
    repeated = pair._replace(key=pair.key[:, :2].repeat_interleave(2, 1))
    assert logit_sizes(shared).tolist() == pytest.approx(logit_sizes(repeated).tolist())


@pytest.mark.parametrize(
    "loss",
    [
        lambda: torch.softmax(Q, -1).sum(),
        lambda: torch.softmax(Q[0, 0] @ K[0, 0].T, -1).sum(),  # scores of one product: a layer's, too
        lambda: F.cross_entropy(Q[0, 0], torch.arange(40) % 16),
        lambda: torch.zeros((), requires_grad=True),
    ],
    ids=["softmax", "one product", "cross-entropy", "leaf"],
)
def test_no_other_softmax_is_an_attention(loss: Callable[[], torch.Tensor]) -> None:
    assert not list(attentions(loss()))
