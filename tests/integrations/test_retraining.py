from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bnprobe
from bnprobe.errors import UsageError
from tests.what_if.test_rerun import STEPS, Training, cnn, momentum, plain, train


@pytest.mark.slow
def test_a_loop_of_ones_own_is_trained_again() -> None:
    torch.manual_seed(0)
    model = cnn()
    optimizer = momentum(model)
    losses: list[float] = []
    batches = Training(model, optimizer, losses).batches(STEPS)

    def step() -> None:
        _, x, y = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        losses.append(loss.item())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    found = bnprobe.retrain(model, optimizer, step, steps=STEPS, remedies=("none", "msr"))
    assert losses == train(cnn, momentum, plain)
    assert (found.proved, found.steps, list(found.remedies)) == (True, STEPS, ["none", "msr"])
    for remedy, answer in found.remedies.items():
        assert answer.at_own is not None
        assert answer.at_own.losses.tolist() == train(cnn, momentum, plain, 1.0, "" if remedy == "none" else remedy)


def test_too_few_steps_are_refused() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(UsageError, match="steps=5 says nothing"):
        bnprobe.retrain(model, torch.optim.SGD(model.parameters(), 0.1), lambda: None, steps=5)
