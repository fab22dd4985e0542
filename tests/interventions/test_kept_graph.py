"""``keep-graph``: the training of the script that never left its graph, by each of the ways out of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.interventions.at_work import AtWork
from tests.interventions.test_interventions import STEPS, batches, network, trained

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def likelihoods(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return output.log_softmax(1)[torch.arange(len(y)), y]


def detached(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output.detach(), y).requires_grad_()


def by_data(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output.data, y).requires_grad_()


def one_number(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tensor(F.cross_entropy(output, y).item(), requires_grad=True)


def mean_of_numbers(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tensor([-one.item() for one in likelihoods(output, y)], requires_grad=True).mean()


def sum_in_python(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tensor(-sum(likelihoods(output, y).tolist()) / len(y), requires_grad=True)


def by_numpy(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(-likelihoods(output, y).detach().numpy()).mean().requires_grad_()


def mean_of_numpy(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tensor(np.mean(-likelihoods(output, y).detach().numpy()), requires_grad=True)


WAYS = (detached, by_data, one_number, mean_of_numbers, sum_in_python, by_numpy, mean_of_numpy)


@pytest.mark.parametrize("loss_of", WAYS, ids=lambda way: way.__name__)
def test_it_is_the_training_that_never_left_its_graph(loss_of: Loss) -> None:
    mended, faulty = trained(network()), trained(network(), loss_of)
    assert faulty != pytest.approx(mended, rel=1e-3), "the fault must show"
    with AtWork(["keep-graph"], STEPS) as at_work:
        tried = trained(network(), loss_of)
    assert tried == pytest.approx(mended, rel=1e-5)
    [entry] = at_work.record()
    assert entry["count"] >= STEPS and not entry["refusal"]
    assert trained(network(), loss_of) == faulty, "nothing is left behind"


def test_what_does_not_flow_into_the_loss_changes_nothing() -> None:
    logged: list[float] = []

    def loss_of(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(output, y)
        logged.append(loss.item() / 2 + float(output.detach().mean()) + output.detach().numpy().sum())
        return loss

    plain = trained(network(), loss_of)
    with AtWork(["keep-graph"], STEPS) as at_work:
        tried = trained(network(), loss_of)
    assert tried == plain
    assert logged[:STEPS] == pytest.approx(logged[STEPS:], rel=1e-5)
    assert at_work.record()[0]["refusal"]
    assert at_work.is_in_vain()


def test_the_data_of_parameters_stay_what_scripts_write_to() -> None:
    with AtWork(["keep-graph"], STEPS):
        model = nn.Linear(3, 2)
        model.weight.data.fill_(0.5)
        model.weight.detach().mul_(2.0)
    assert model.weight.eq(1.0).all()


def test_a_running_total_keeps_no_graph_of_earlier_steps() -> None:
    total = 0.0
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with AtWork(["keep-graph"], STEPS):
        for x, y in batches():
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        graph = torch.tensor(total)
    pending, names = [graph.grad_fn], []
    while pending:
        node = pending.pop()
        names.append(node.name() if node is not None else "")
        pending += [before for before, _ in node.next_functions] if node is not None else []
    assert sum("NllLoss" in name for name in names) == 1, "that of the last step"


def accuracy(array: np.ndarray) -> float:
    return float((array.argmax(1) == np.zeros(len(array))).mean())


@pytest.mark.parametrize(
    "logged",
    [
        accuracy,
        lambda array: float(torch.from_numpy(array > 0).sum()),
        lambda array: float(torch.tensor(array > 0).float().mean()),
        lambda array: float(torch.from_numpy(array.argmax(1)).sum()),
        lambda array: float(np.sign(array).sum() + np.floor(array).max() + np.isfinite(array).all()),
        lambda array: float(np.clip(array, 0, 1).max() + np.where(array > 0, array, 0).sum() + np.equal(array, 1.0).sum()),
        lambda array: float(torch.tensor(array, dtype=torch.long).sum()),
        lambda array: float(len([str(one) for one in array.tolist()])),
    ],
)
def test_what_is_logged_by_numpy_stays_what_it_is(logged: Callable[[np.ndarray], float]) -> None:
    model = network()
    x = next(iter(batches()))[0]
    plain = logged(model(x).detach().numpy())
    with AtWork(["keep-graph"], STEPS):
        kept = logged(model(x).detach().numpy())
    assert kept == pytest.approx(plain)


@pytest.mark.parametrize("of", [lambda v: v * np.ones(2), lambda v: np.ones(2) * v, lambda v: np.float64(2) * v * np.ones(2)])
def test_a_number_beside_an_array_makes_an_array_from_either_side(of: Callable[[float], Any]) -> None:
    with AtWork(["keep-graph"], STEPS):
        model = nn.Linear(3, 1)
        number = model(torch.ones(2, 3)).mean().item()
        made = of(number)
        assert isinstance(made, np.ndarray) and isinstance(np.float64(2) * number, float) and isinstance(number * np.float64(2), float)
        assert made.tolist() == of(float(str(number))).tolist()
        torch.from_numpy(made).sum().backward()  # type: ignore[no-untyped-call]
        assert model.weight.grad is not None and model.weight.grad.any()
