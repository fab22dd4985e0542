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


@pytest.mark.parametrize("settings", [{}, {"weight": torch.tensor([0.1, 1.0, 5.0])}, {"reduction": "sum"}], ids=["plain", "weights", "sum"])
def test_neither_weights_nor_reductions_matter(settings: dict[str, object]) -> None:
    scores = found(F.cross_entropy(LOGITS, LABELS, **settings), LABELS)  # type: ignore[arg-type]
    assert scores["cross_entropy"] == pytest.approx(F.cross_entropy(LOGITS, LABELS).item(), rel=1e-6)
    assert scores["constant_cross_entropy"] == pytest.approx(GUESS + 2 / 64)


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
        F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target, pos_weight=torch.tensor(3.0)),
        F.binary_cross_entropy(LOGITS[:, 0].double().sigmoid(), target),
    ):
        [node] = [node for node in loss_nodes(loss) if type(node).__name__.startswith("BinaryCross")]
        scores = of_yes_and_no(node)
        plain = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), target)
        assert float(scores["cross_entropy"]) == pytest.approx(plain.item())
        constant = F.binary_cross_entropy(torch.full_like(target, share), target)
        assert float(scores["constant_cross_entropy"]) == pytest.approx(float(constant) + 1 / 64)
    beyond = F.binary_cross_entropy_with_logits(LOGITS[:, 0].double(), 3 * target)
    assert math.isnan(float(of_yes_and_no(beyond.grad_fn)["cross_entropy"]))
