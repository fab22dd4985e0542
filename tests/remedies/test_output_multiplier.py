"""The multiplier of the answer: its formula, and what it is for: wide and narrow networks whose logits move alike."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import NothingToActOn
from bnprobe.remedies import apply
from tests.remedies.networks import network


def test_the_answer_is_multiplied_and_nothing_else() -> None:
    model = network()
    names = list(model.state_dict())
    with apply("mup-output:base=45", model) as applied:
        assert applied.touched[0].names == ("classifier",)
        x = torch.randn(2, 180)
        torch.testing.assert_close(model.classifier(x), F.linear(x, model.classifier.weight / 4, model.classifier.bias))
        assert list(model.state_dict()) == names
    torch.testing.assert_close(model.classifier(x), F.linear(x, model.classifier.weight, model.classifier.bias))


def logits_moved(width: int, remedy: str | None) -> float:
    """How far a step of Adam on the answer's weights moves the logits of a network with so many hidden units."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 4))
    if remedy:
        apply(remedy, model)
    optimizer = torch.optim.Adam(model[2].parameters(), lr=1e-2)
    x = torch.randn(64, 8)
    before = model(x)
    F.cross_entropy(before, torch.zeros(64, dtype=torch.long)).backward()
    optimizer.step()
    return float((model(x) - before).detach().abs().mean())


def test_what_an_update_does_to_the_logits_does_not_grow_with_the_width() -> None:
    plain, multiplied = ([logits_moved(width, remedy) for width in (64, 1024)] for remedy in (None, "mup-output:base=32"))
    assert plain[1] / plain[0] > 8  # sixteen times as many weights move by the rate each
    assert 0.7 < multiplied[1] / multiplied[0] < 1.4
    assert multiplied[0] == pytest.approx(plain[0] / 2, rel=0.1)  # the direction is of other logits


def test_at_the_base_there_is_nothing_to_do() -> None:
    with pytest.raises(NothingToActOn, match="as many inputs as the base") as caught:
        apply("mup-output:base=180", network())
    assert "base=N" in str(caught.value.hint)


def test_an_answer_that_is_no_linear_layer() -> None:
    with pytest.raises(NothingToActOn, match="no trained linear layer gives"):
        apply("mup-output", nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1)))
