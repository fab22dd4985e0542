from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from tests.remedies.networks import network, state, train


def updates(optimizer: torch.optim.Optimizer, weight: nn.Parameter, steps: int) -> list[float]:
    moved = []
    for _ in range(steps):
        before = weight.detach().clone()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        moved.append(float((before - weight.detach()).mean()))
    return moved


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_each_step_has_its_share_of_the_rate(kind: str) -> None:
    model = nn.Linear(2, 2, bias=False).double()
    apply("warm-up:steps=4", model)
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.1)
    assert updates(optimizer, model.weight, 6) == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rel=1e-6)


def test_a_schedule_sees_its_own_rates() -> None:
    model, plain = nn.Linear(2, 2), nn.Linear(2, 2)
    apply("warm-up:steps=3", model)
    rates = []
    for one in (model, plain):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        seen = []
        for _ in range(5):
            one(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            schedule.step()
            seen.append(optimizer.param_groups[0]["lr"])
        rates.append(seen)
    assert rates[0] == rates[1]


def test_a_rate_that_is_a_tensor_stays_the_one_that_the_script_holds() -> None:
    model, rate = nn.Linear(2, 2, bias=False).double(), torch.tensor(0.1, dtype=torch.float64)
    apply("warm-up:steps=2", model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    assert updates(optimizer, model.weight, 2) == pytest.approx([0.05, 0.1])
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == 0.1


def test_a_step_with_a_closure_begins_with_its_share_of_the_rate() -> None:
    """LBFGS reads the rate before its closure has run."""
    moved = []
    for treated in (True, False):
        model = network(dtype=torch.float64)
        if treated:
            apply("warm-up:steps=100", model)
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=1)

        def closure(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(torch.ones(1, 3, 6, 6, dtype=torch.float64)).square().mean()
            loss.backward()
            return loss

        before = model.classifier.weight.detach().clone()
        optimizer.step(closure)
        moved.append(model.classifier.weight.detach() - before)
        assert optimizer.param_groups[0]["lr"] == 0.5
    assert moved[0].abs().max() > 0
    torch.testing.assert_close(moved[0], moved[1] / 100)


class Relative(torch.optim.SGD):
    """As Adafactor with steps relative to the weights: there is no rate."""

    def __init__(self, parameters: object) -> None:
        super().__init__(parameters, lr=1.0)
        self.param_groups[0]["lr"] = None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (torch.optim.Rprop, "Rprop does not take the rate"),
        (torch.optim.ASGD, "ASGD does not take"),
        (Relative, "Relative has None as its rate"),
    ],
)
def test_an_optimizer_that_does_not_step_by_its_rate_is_refused(kind: type[torch.optim.Optimizer], said: str) -> None:
    model = nn.Linear(2, 2)
    optimizer = kind(model.parameters())  # type: ignore[call-arg]
    with pytest.raises(RemedyError, match=said) as caught:
        apply("warm-up", model, optimizer)
    assert caught.value.hint
    apply("warm-up", other := nn.Linear(2, 2))
    optimizer = kind(other.parameters())  # type: ignore[call-arg]
    other(torch.ones(1, 2)).sum().backward()
    with pytest.raises(RemedyError, match=said):
        optimizer.step()


def test_whoever_looks_on_sees_the_rate_in_force() -> None:
    """A recording, whose hooks run for every optimizer, tells limits as multiples of the rate that it sees."""
    seen: list[float] = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    try:
        model = nn.Linear(2, 2, bias=False)
        with apply("warm-up:steps=4", model):
            updates(torch.optim.SGD(model.parameters(), lr=0.1), model.weight, 5)
    finally:
        handle.remove()
    assert seen == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])


def test_a_step_that_ended_by_an_exception_is_made_again() -> None:
    model = nn.Linear(2, 2, bias=False).double()
    apply("warm-up:steps=4", model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def closure() -> float:
        raise ValueError

    with pytest.raises(ValueError):
        optimizer.step(closure)
    assert updates(optimizer, model.weight, 2) == pytest.approx([0.025, 0.05])
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_afterwards_training_is_the_scripts_own() -> None:
    first, second = network(), network()
    apply("warm-up:steps=1", first)
    train(first, torch.optim.SGD(first.parameters(), lr=0.01), 3)
    train(second, torch.optim.SGD(second.parameters(), lr=0.01), 3)
    assert all(torch.equal(value, state(second)[name]) for name, value in state(first).items())
