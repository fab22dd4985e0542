from __future__ import annotations

import copy
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bnprobe
from bnprobe.remedies import project_update


class Noisy(nn.Module):
    """A network whose forward changes its buffers and draws from all three generators."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.Dropout(0.5), nn.Flatten())
        self.head = nn.Linear(3 * 16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)) * (1 + 0.1 * random.random()) + float(np.random.rand())


def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


@pytest.fixture
def case() -> Any:
    torch.manual_seed(0)
    model = Noisy()
    batch = (torch.randn(6, 2, 8, 8), torch.randint(2, (6,)))
    loss(model, batch).backward()
    update = {name: -0.1 * parameter.grad for name, parameter in model.named_parameters()}
    return model, batch, update


def test_the_model_and_every_generator_stay_as_they_are(case: Any) -> None:
    model, batch, update = case
    before = copy.deepcopy(model.state_dict())
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = (torch.rand(1), random.random(), np.random.rand())
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    probe = bnprobe.line_probe(model, loss, batch, update)
    assert (torch.rand(1), random.random(), np.random.rand()) == expected
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(torch.equal(parameter.grad, old) for parameter, old in zip(model.parameters(), gradients, strict=True))
    assert model.training
    assert probe.critical[0] > 0.0


def test_points_are_the_losses_of_the_moved_model(case: Any) -> None:
    model, batch, update = case
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    probe = bnprobe.line_probe(model, loss, batch, update)
    for s, ratio in ((0.0, 1.0), *probe.points[:4]):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                parameter.copy_(parameter.double() + s * update[name].double())
            torch.set_rng_state(state[0]), random.setstate(state[1]), np.random.set_state(state[2])
            assert float(loss(moved, batch)) == pytest.approx(ratio * probe.loss, rel=1e-12)


def test_at_most_ten_forwards(case: Any) -> None:
    model, batch, update = case
    calls: list[Any] = []
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    probe = bnprobe.line_probe(model, loss, batch, update)
    handle.remove()
    assert len(calls) == probe.forwards <= 10


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_limit_of_gradient_descent_on_a_quadratic_is_two_over_the_curvature(decay: float) -> None:
    """Along an eigenvector with eigenvalue 3; L2 decay g makes the step longer, so that it may be 2 / (3 + g) times the gradient's."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 2.0)
    rate = 0.01
    update = {"weight": -rate * (3.0 + decay) * model.weight.detach()}
    probe = bnprobe.line_probe(model, lambda model, _: 1.5 * model.weight.square().sum(), None, update)
    low, high = (rate * s for s in probe.critical)
    assert low <= 2.0 / (3.0 + decay) <= high <= 2.0 * low


def test_a_projected_update_is_what_the_remedy_leaves(case: Any) -> None:
    model, _, update = case
    projected = project_update("msr", model, update)
    remedied = copy.deepcopy(model)
    optimizer = torch.optim.SGD(remedied.parameters(), lr=0.1)
    before = {name: parameter.detach().clone() for name, parameter in remedied.named_parameters()}
    for parameter, original in zip(remedied.parameters(), model.parameters(), strict=True):
        parameter.grad = original.grad.clone()
    with bnprobe.remedies.apply("msr:keep-weights", remedied):
        optimizer.step()
    for name, parameter in remedied.named_parameters():
        torch.testing.assert_close(parameter.detach() - before[name], projected[name], rtol=1e-4, atol=1e-7)
    assert not torch.equal(projected["body.3.weight"], update["body.3.weight"])
    assert torch.equal(projected["body.0.weight"], update["body.0.weight"])  # the first convolution is spared


def test_what_is_no_projection_is_refused(case: Any) -> None:
    with pytest.raises(bnprobe.errors.RemedyError, match="not among the projections"):
        project_update("clip-norm", case[0], case[2])


def test_an_update_of_something_else_is_refused(case: Any) -> None:
    model, batch, update = case
    with pytest.raises(ValueError, match="is no parameter of the model"):
        bnprobe.line_probe(model, loss, batch, {"elsewhere": torch.zeros(1)})
    with pytest.raises(ValueError, match="expected one number"):
        bnprobe.line_probe(model, lambda model, batch: model(batch[0]), batch, update)


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, bnprobe; assert 'torch' not in sys.modules; bnprobe.line_probe; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
