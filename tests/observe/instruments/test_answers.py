"""Cross-entropies of outputs and of guessing against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from bnprobe.observe.instruments.answers import of_labels, of_yes_and_no
from bnprobe.observe.instruments.graph import loss_nodes
from bnprobe.observe.instruments.targets import classes

LABELS = torch.tensor([0] * 20 + [1] * 8 + [2] * 4)
LOGITS = torch.randn(32, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
GUESS = -(20 / 32 * math.log(20 / 32) + 8 / 32 * math.log(8 / 32) + 4 / 32 * math.log(4 / 32))


def found(loss: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    [node] = [node for node in loss_nodes(loss) if type(node).__name__.startswith("Nll")]
    ignored = node._saved_ignore_index  # type: ignore[attr-defined]
    return {name: float(value) for name, value in of_labels(node, labels, ignored, classes(labels, ignored)).items()}


@pytest.mark.parametrize("settings", [{}, {"reduction": "sum"}], ids=["plain", "sum"])
def test_reductions_do_not_matter(settings: dict[str, object]) -> None:
    scores = found(F.cross_entropy(LOGITS, LABELS, **settings), LABELS)  # type: ignore[arg-type]
    assert scores["cross_entropy"] == pytest.approx(F.cross_entropy(LOGITS, LABELS).item(), rel=1e-6)
    assert scores["constant_cross_entropy"] == pytest.approx(GUESS + 2 / 64)


def test_weights_of_classes_hold_for_the_guess_too() -> None:
    weight = torch.tensor([1 / 20, 1 / 8, 1 / 4])
    padded, logits = torch.cat([LABELS, torch.full((9,), -100)]), torch.cat([LOGITS, torch.randn(9, 3)])
    scores = found(F.cross_entropy(logits, padded, weight=weight), padded)
    assert scores["cross_entropy"] == pytest.approx(F.cross_entropy(LOGITS, LABELS, weight=weight).item(), rel=1e-6)
    left = 3**2 / (20 / 20**2 + 8 / 8**2 + 4 / 4**2)
    assert scores["constant_cross_entropy"] == pytest.approx(math.log(3) + 2 / (2 * left), rel=1e-6)
    # The same as a guess among labels that come so often.
    alike = found(F.cross_entropy(LOGITS, LABELS, weight=torch.full((3,), 7.0)), LABELS)
    assert alike == pytest.approx(found(F.cross_entropy(LOGITS, LABELS), LABELS), rel=1e-6)


def test_labels_that_are_ignored_count_nowhere() -> None:
    padded, logits = torch.cat([LABELS, torch.full((9,), -100)]), torch.cat([LOGITS, torch.randn(9, 3)])
    assert found(F.cross_entropy(logits, padded), padded) == pytest.approx(found(F.cross_entropy(LOGITS, LABELS), LABELS), rel=1e-6)


def test_labels_of_pictures_are_counted_place_by_place() -> None:
    picture, logits = LABELS.reshape(2, 4, 4), LOGITS.T.reshape(3, 2, 4, 4).transpose(0, 1)
    scores = found(F.cross_entropy(logits, picture), picture)
    assert scores["cross_entropy"] == pytest.approx(F.cross_entropy(logits, picture).item(), rel=1e-6)


def test_few_labels_tell_no_shares() -> None:
    alone = torch.arange(32)
    logits = torch.zeros(32, 40, requires_grad=True)
    assert all(math.isnan(value) for value in found(F.cross_entropy(logits, alone), alone).values())
    assert all(math.isnan(value) for value in found(F.cross_entropy(LOGITS[:4], LABELS[:4]), LABELS[:4]).values())


def test_the_best_constant_for_yes_and_no_is_the_mean() -> None:
    target = (LABELS == 0).double()
    share = float(target.mean())
    for loss in (
        F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target),
        F.binary_cross_entropy(LOGITS[:, 0].double().sigmoid(), target),
    ):
        [node] = [node for node in loss_nodes(loss) if type(node).__name__.startswith("BinaryCross")]
        scores = of_yes_and_no(node)
        plain = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target)
        assert float(scores["cross_entropy"]) == pytest.approx(plain.item())
        constant = F.binary_cross_entropy(torch.full_like(target, share), target)
        assert float(scores["constant_cross_entropy"]) == pytest.approx(float(constant) + 1 / 64)
    of_yes = torch.tensor(3.0)
    weighted = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target, pos_weight=of_yes)
    total = float((1 + 2 * target).sum())
    best = torch.full_like(target, float(3 * target.sum() / total)).logit()
    scores, constant = of_yes_and_no(weighted.grad_fn), F.binary_cross_entropy_with_logits(best, target, pos_weight=of_yes)
    assert float(scores["cross_entropy"]) == pytest.approx(float(weighted.detach()) * 32 / total)
    assert float(scores["constant_cross_entropy"]) == pytest.approx((float(constant) * 32 + (20 * 9 + 12) / total / 2) / total)
    own = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target, weight=torch.rand(32).double())
    assert not of_yes_and_no(own.grad_fn)
    beyond = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), 3 * target)
    assert math.isnan(float(of_yes_and_no(beyond.grad_fn)["cross_entropy"]))
