"""``take-steps`` and ``skip-leaps``: steps that a script never takes, and steps that it had better not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from bnprobe.interventions.at_work import AtWork
from tests.interventions.test_interventions import STEPS, batches, network, trained


def without_steps(fixed: bool, twice: bool = False) -> list[float]:
    """Losses of a loop without ``optimizer.step``; with ``twice`` of one that goes backward twice through one graph."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    losses = []
    for x, y in batches():
        optimizer.zero_grad()
        output = model(x)
        loss = F.cross_entropy(output, y)
        loss.backward(retain_graph=twice)  # type: ignore[no-untyped-call]
        if twice:
            output.square().mean().backward()
        if fixed:
            optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("twice", [False, True])
def test_an_optimizer_that_takes_no_step_takes_one(twice: bool) -> None:
    with AtWork(["take-steps"], STEPS) as at_work:
        tried = without_steps(False, twice)
    assert tried == without_steps(True, twice)
    [entry] = at_work.record()
    assert entry["count"] == STEPS - 1, "nothing follows the last backward"
    assert not entry["refusal"]


def test_gradients_that_wait_for_more_batches_are_used_and_cleared() -> None:
    model = network()
    losses = []
    with AtWork(["take-steps"], STEPS):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        for x, y in batches():
            loss = F.cross_entropy(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
    assert losses == without_steps(True)
    assert optimizer.state


def test_a_script_that_steps_by_itself_is_refused() -> None:
    with AtWork(["take-steps"], STEPS) as at_work:
        trained(network())
    assert at_work.record()[0]["refusal"] == "the script's optimizer takes steps"


def with_a_bad_batch(skips: bool) -> list[float]:
    data = batches()
    x, y = data[8]
    data[8] = (50.0 * x, (y + 1) % 3)
    if skips:
        del data[8]
    return trained(network(), data=data, momentum=0.0)


def test_a_batch_whose_gradient_leaps_moves_nothing() -> None:
    without = with_a_bad_batch(True)
    with AtWork(["skip-leaps"], STEPS) as at_work:
        tried = with_a_bad_batch(False)
    assert tried[:8] + tried[9:] == without
    assert at_work.record()[0]["count"] == 1


def test_gradients_of_the_usual_size_are_left_alone() -> None:
    plain = trained(network())
    with AtWork(["skip-leaps"], STEPS) as at_work:
        assert trained(network()) == plain
    assert at_work.record()[0]["refusal"] == "no gradient was more than 4 times the usual"


def test_what_stays_large_is_the_usual_soon() -> None:
    many = [(x * (1.0 if step < STEPS else 50.0), y) for step, (x, y) in enumerate([*batches(), *batches(), *batches(), *batches()])]
    with AtWork(["skip-leaps"], len(many)) as at_work:
        trained(network(), data=many, lr=1e-4)
    assert 0 < at_work.record()[0]["count"] < 20


def test_a_checkpoint_that_goes_backward_within_a_backward_takes_no_step() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3)))
    with AtWork(["take-steps"], STEPS) as at_work:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            hidden = torch.randn(8, 4, requires_grad=True)
            for part in model:
                hidden = checkpoint(part, hidden, use_reentrant=True)
            hidden.square().mean().backward()  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
    assert at_work.record()[0]["count"] == 3
