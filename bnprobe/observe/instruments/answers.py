"""What outputs score against their labels, and what one constant answer would score, by the weights of the loss and whatever its reduction.

Whoever weighs classes asks for outputs that answer the rare ones more often than they come: those score less than a guess without weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.graph import kind, saved

NAMES = ("cross_entropy", "constant_cross_entropy")
#: Labels are few, and their shares no shares of the data, below this number, and where more than this share has a class of its own.
FEWEST, MOST_SINGLE = 8, 0.1
#: Numbers that are looked at.
_MOST_NUMBERS = 2**20

_COUNTED = ("target_labels", "target_single_labels", "target_classes", "target_entropy")

Found = dict[str, torch.Tensor | float]


@torch.no_grad()
def of_labels(node: Any, labels: torch.Tensor | None, ignored: object, counted: Any) -> Found:
    """The cross-entropy of outputs, and that of guessing by the shares of the labels, those by the weights of their classes.

    The entropy of few labels is below that of what they were drawn from: (C - 1) / 2 N is added (Miller 1955).

    Args:
        node: the negative log-likelihood.
        labels: what it compares with.
        ignored: the label that does not count, if any.
        counted: what ``targets.classes`` found of them.

    Returns:
        By name of the schema; nothing where labels are too few to tell their shares.
    """
    scores = saved(node, "self")
    if labels is None or scores is None or scores.dim() < 2 or scores.shape[:1] + scores.shape[2:] != labels.shape or not counted:
        return {}
    if isinstance(ignored, int) and ignored >= 2**63:
        ignored -= 2**64  # torch says -100 as an unsigned number
    if (weight := saved(node, "weight")) is not None:
        return _of_weighted(scores, labels, torch.ne(labels, ignored if isinstance(ignored, int) else -100), weight, counted)
    if type(counted["target_labels"]) is float and scores.is_cpu and counted["target_labels"] == labels.numel():
        return _of_all_at_hand(scores, labels, counted)
    is_counted = torch.ne(labels, ignored if isinstance(ignored, int) else -100)
    own = scores.gather(1, torch.where(is_counted, labels, torch.zeros_like(labels)).long().unsqueeze(1)).squeeze(1).double()
    number, single, classes, entropy = (torch.as_tensor(counted[name], dtype=torch.float64, device=own.device) for name in _COUNTED)
    nothing = torch.full_like(number, torch.nan)
    is_known = (number >= FEWEST) & (single <= MOST_SINGLE * number)  # no branch: an accelerator is not waited for
    return {
        "cross_entropy": torch.where(is_known, -torch.where(is_counted, own, torch.zeros_like(own)).sum() / number, nothing),
        "constant_cross_entropy": torch.where(is_known, entropy + (classes - 1) / (2 * number), nothing),
    }


def _of_weighted(scores: torch.Tensor, labels: torch.Tensor, is_counted: torch.Tensor, weight: torch.Tensor, counted: Any) -> Found:
    """The same where each label weighs what its class does; of unequal weights fewer labels are left: (sum of w)^2 / sum of w^2."""
    place = torch.where(is_counted, labels, torch.zeros_like(labels)).long()
    own = scores.gather(1, place.unsqueeze(1)).squeeze(1).double()
    nothing = torch.zeros_like(own)
    each = torch.where(is_counted, weight.double()[place], nothing)
    total = each.sum()
    shares = torch.zeros_like(weight, dtype=torch.float64).scatter_add_(0, place.reshape(-1), each.reshape(-1)) / total
    number, single, classes = (torch.as_tensor(counted[name], dtype=torch.float64, device=own.device) for name in _COUNTED[:3])
    is_known = (number >= FEWEST) & (single <= MOST_SINGLE * number) & (total > 0)
    guess = -torch.xlogy(shares, shares).sum() + (classes - 1) * each.square().sum() / (2 * total.square())
    unknown = torch.full_like(total, torch.nan)
    return {
        "cross_entropy": torch.where(is_known, -torch.where(is_counted, each * own, nothing).sum() / total, unknown),
        "constant_cross_entropy": torch.where(is_known, guess, unknown),
    }


def _of_all_at_hand(scores: torch.Tensor, labels: torch.Tensor, counted: Mapping[str, float]) -> Found:
    """The same where all labels count and lie on the host, in a third of the operations."""
    number, single, classes, entropy = (counted[name] for name in _COUNTED)
    if number < FEWEST or single > MOST_SINGLE * number:
        return dict.fromkeys(NAMES, math.nan)
    own = scores.gather(1, labels.long().unsqueeze(1)).squeeze(1).double()
    return {"cross_entropy": -float(own.sum()) / number, "constant_cross_entropy": entropy + (classes - 1) / (2 * number)}


@torch.no_grad()
def of_yes_and_no(node: Any) -> Found:
    """The binary cross-entropy of outputs, and that of answering the mean of the targets to everything; both by the weight of a yes.

    Args:
        node: a binary cross-entropy, of probabilities or of logits.

    Returns:
        By name of the schema; nothing where targets are too few, lie outside 0 to 1, or have weights of their own.
    """
    output, target = saved(node, "self"), saved(node, "target")
    weight, of_yes = saved(node, "weight"), saved(node, "pos_weight")
    if output is None or target is None or output.shape != target.shape or not FEWEST <= target.numel() <= _MOST_NUMBERS:
        return {}
    if weight is not None or (of_yes is not None and of_yes.numel() > 1):
        return {}
    output, target = output.double(), target.double()
    nothing = torch.full((), torch.nan, dtype=target.dtype, device=target.device)
    is_known = (target.min() >= 0) & (target.max() <= 1)
    target = target.clamp(0, 1)
    of_yes = torch.ones_like(nothing) if of_yes is None else of_yes.double().reshape(())
    each = 1 + (of_yes - 1) * target
    share = (of_yes * target).sum() / each.sum()
    if "Logits" in kind(node):
        scores = F.binary_cross_entropy_with_logits(output, target, pos_weight=of_yes, reduction="none")
    else:
        scores = F.binary_cross_entropy(output, target, reduction="none")
    entropy = -(torch.xlogy(share, share) + torch.xlogy(1 - share, 1 - share))
    is_of_both = (share > 0) & (share < 1)
    return {
        "cross_entropy": torch.where(is_known, scores.sum() / each.sum(), nothing),
        "constant_cross_entropy": torch.where(is_known, entropy + is_of_both * each.square().sum() / (2 * each.sum().square()), nothing),
    }
