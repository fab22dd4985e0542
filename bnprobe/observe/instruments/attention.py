"""How large the logits of attention are, from the queries and keys that its backward keeps: O(T d), and no logit is made again.

`scaled_dot_product_attention` keeps both; of attention written by hand a softmax leads to the product of the two, and what lies between
scales it. A softmax over logits that differ by much more than one takes a single key whatever it should weigh, and has no slope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, PASSING, kind, saved, sources
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep

#: Between a product of queries and keys and its softmax: masks, biases and what only passes numbers on.
_BETWEEN = ("MaskedFill", "Add", "Sub", "Where", *PASSING)
#: Operations between the two that are looked through.
_MOST_BETWEEN = 12
#: Size of what keys do not share, against their own, that rounding alone makes.
_SAME_KEYS = 1e-6


class Attention(Instrument):
    """Looks at every attention in the graph of the losses, where every channel is stored; the largest counts, and the least sharp.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._found: list[torch.Tensor] = []

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the graph while it is whole; of several backward calls in a step at the first."""
        if self._schedule.is_snapshot(step.number) and step.micro_steps <= 1:
            self._found += [logit_sizes(pair) for pair in attentions(backward.losses)]

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return the largest bound, the largest deviation, and the smallest of attentions with keys to choose among."""
        found, self._found = self._found, []
        if not found:
            return []
        sizes = torch.stack([one.to(found[0].device) for one in found])
        bound, deviation = sizes[:, :2].amax(0)
        least = sizes[:, 2].nan_to_num(torch.inf).amin()
        return [
            ("attention_logit_bound", Reading(bound.reshape(1))),
            ("attention_logit_deviation", Reading(deviation.reshape(1))),
            ("attention_logit_deviation_least", Reading(least.where(least.isfinite(), torch.nan).reshape(1))),
        ]


class Pair(NamedTuple):
    """Queries and keys of one attention.

    Attributes:
        query: (..., T, d).
        key: (..., S, d), with the same axes before, or fewer heads on the last of them.
        scale: factor of their products.
    """

    query: torch.Tensor
    key: torch.Tensor
    scale: float


def attentions(losses: Any) -> Iterator[Pair]:
    """Go through the attentions in the graph of a loss.

    Args:
        losses: what a backward starts from: a tensor, or several.

    Yields:
        What each compared; one whose operands are not kept, or only by hooks of the script, is left out.
    """
    for node in nodes(losses, GRAPH_LIMIT):
        if kind(node).startswith("ScaledDotProduct"):
            query, key, scale = _operand(node, "query"), _operand(node, "key"), getattr(node, "_saved_scale", None)
            if query is not None and key is not None:
                yield Pair(query, key, float(scale) if scale is not None else query.shape[-1] ** -0.5)
        elif kind(node).startswith(("SoftmaxBackward", "SafeSoftmaxBackward")) and (pair := _behind(node)) is not None:
            yield pair


@torch.no_grad()
def logit_sizes(pair: Pair) -> torch.Tensor:
    """Return (bound, deviation, deviation or NaN) of an attention's logits: (3,). NaN where all its keys are one, or a single one is there.

    The bound is that of Cauchy and Schwarz, max_t |q_t| max_s |k_s| times the scale, the largest over heads and samples. The deviation is
    what logits of queries and keys have whose directions are independent of each other: rms(q) rms(k - mean_s k) sqrt(d) times the scale;
    what all keys share adds the same to all logits of a row, which a softmax does not see.
    """
    query, key = pair.query.float(), pair.key.float()
    longest_query, longest_key = query.norm(dim=-1).amax(-1), key.norm(dim=-1).amax(-1)
    if longest_query.shape != longest_key.shape:  # several heads of queries share one of keys
        longest_key = longest_key.repeat_interleave(longest_query.shape[-1] // longest_key.shape[-1], -1)
    bound = (longest_query * longest_key).amax()
    apart = key - key.mean(-2, keepdim=True)
    deviation = query.square().mean().sqrt() * apart.square().mean().sqrt() * query.shape[-1] ** 0.5
    differs = apart.square().mean().sqrt() > _SAME_KEYS * key.square().mean().sqrt()
    return torch.stack([bound, deviation, deviation.where(differs, torch.nan)]) * abs(pair.scale)


def _behind(softmax: Any) -> Pair | None:
    """What was multiplied to make the logits of a softmax, if a batched product made them."""
    node, scale = softmax, 1.0
    for _ in range(_MOST_BETWEEN):
        given = [one for one in sources(node) if not kind(one).startswith("AccumulateGrad")]
        if len(given) != 1:
            return None
        node = given[0]
        if kind(node).startswith("Bmm"):
            query, key = _operand(node, "self"), _operand(node, "mat2")
            return Pair(query, key.transpose(-1, -2), scale) if query is not None and key is not None else None
        if kind(node).startswith(("Div", "Mul")):
            factor = saved(node, "other")
            if factor is None or factor.numel() != 1 or factor.device.type != "cpu":
                return None
            scale = scale / float(factor) if kind(node).startswith("Div") else scale * float(factor)
        elif not kind(node).startswith(_BETWEEN):
            return None
    return None


def _operand(node: Any, name: str) -> torch.Tensor | None:
    """What a node multiplied: numbers at hand, and no tensor that computes by code of its own."""
    tensor = saved(node, name)
    is_plain = type(tensor) is torch.Tensor and tensor.layout is torch.strided and tensor.is_floating_point()
    return tensor if is_plain and tensor is not None and tensor.dim() > 1 and tensor.numel() else None
