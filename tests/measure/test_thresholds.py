"""Thresholds against torch's own optimizers on quadratics: just below the limit the weights shrink, just above they grow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bnprobe.measure.curvature import Sharpness, sharpness
from bnprobe.measure.thresholds import UnknownRule, nesterov, rule_of

SIZE = 12
#: As close to 1 as Adam takes it: the preconditioner then holds still, as the threshold assumes.
STILL = 1 - 2.0**-40
LONG_AGO = 2.0**46

Make = Callable[[list[torch.Tensor], float], torch.optim.Optimizer]


def hessian() -> torch.Tensor:
    factor = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return factor @ factor.T / SIZE + 0.1 * torch.eye(SIZE, dtype=torch.float64)


def weights() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in (5, 4, 3)]


def loss_of(parts: list[torch.Tensor]) -> torch.Tensor:
    joined = torch.cat(parts)
    return 0.5 * joined @ hessian() @ joined


def freeze(optimizer: torch.optim.Optimizer) -> None:
    """Give second moments that are large beside what a step adds, and differ between weights."""
    generator = torch.Generator().manual_seed(6)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            moments = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.2
            name = {"RMSprop": "square_avg", "Adagrad": "sum"}.get(type(optimizer).__name__, "exp_avg_sq")
            if name == "sum":
                moments = moments * 1e8
            state: dict[str, Any] = {"step": torch.tensor(LONG_AGO), name: moments}
            if name == "exp_avg_sq":
                state["exp_avg"] = torch.zeros_like(parameter)
            if name == "square_avg" and group["momentum"]:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            if name == "sum":
                state["step"] = torch.tensor(0.0)
            optimizer.state[parameter] = state


def measure(make: Make, rate: float) -> Sharpness:
    parts = weights()
    optimizer = make(parts, rate)
    if not isinstance(optimizer, torch.optim.SGD):
        freeze(optimizer)
        for state in optimizer.state.values():
            state["step"] = state["step"].clamp(min=1.0)
    return sharpness(loss_of(parts), parts, optimizer, tolerance=1e-12)


def grows(make: Make, rate: float, steps: int = 4000) -> bool:
    parts = weights()
    optimizer = make(parts, rate)
    if not isinstance(optimizer, torch.optim.SGD):
        freeze(optimizer)
    with torch.no_grad():
        for part in parts:
            part.mul_(1e-6)
    matrix = hessian()
    first = float(torch.cat([part.detach() for part in parts]).norm())
    for _ in range(steps):
        joined = torch.cat([part.detach() for part in parts])
        size = float(joined.norm())
        if not first / 1e3 < size < first * 1e3:
            break
        for part, gradient in zip(parts, (matrix @ joined).split([5, 4, 3]), strict=True):
            part.grad = gradient
        optimizer.step()
    return size > first


def sgd(**settings: Any) -> Make:
    return lambda parts, rate: torch.optim.SGD(parts, lr=rate, **settings)


def adam(kind: type[torch.optim.Optimizer] = torch.optim.Adam, beta1: float = 0.9, **settings: Any) -> Make:
    return lambda parts, rate: kind(parts, lr=rate, betas=(beta1, STILL), **settings)  # type: ignore[call-arg]


def grouped(parts: list[torch.Tensor], rate: float) -> torch.optim.Optimizer:
    groups = [
        {"params": [parts[0]], "lr": rate},
        {"params": [parts[1]], "lr": 3 * rate, "momentum": 0.5},
        {"params": [parts[2]], "lr": rate / 2, "weight_decay": 2.0, "momentum": 0.0},
    ]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9)


def grouped_adamw(parts: list[torch.Tensor], rate: float) -> torch.optim.Optimizer:
    groups = [{"params": parts[:1], "lr": rate}, {"params": parts[1:], "lr": rate / 5, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.8, STILL), weight_decay=0.002)


OPTIMIZERS: dict[str, Make] = {
    "SGD": sgd(),
    "SGD with decay": sgd(weight_decay=1.5),
    "momentum": sgd(momentum=0.9),
    "momentum with decay": sgd(momentum=0.9, weight_decay=1.5),
    "momentum with dampening": sgd(momentum=0.8, dampening=0.5),
    "Nesterov": sgd(momentum=0.9, nesterov=True),
    "Nesterov with decay": sgd(momentum=0.6, nesterov=True, weight_decay=1.5),
    "Adam": adam(),
    "Adam with decay": adam(weight_decay=1.5),
    "Adam, amsgrad off, beta1 0.5": adam(beta1=0.5),
    "AdamW": adam(torch.optim.AdamW, weight_decay=0.0),
    "AdamW with decay": adam(torch.optim.AdamW, weight_decay=0.3),
    "AdamW with much decay": adam(torch.optim.AdamW, beta1=0.5, weight_decay=0.9),
    "RMSprop": lambda parts, rate: torch.optim.RMSprop(parts, lr=rate, alpha=STILL, weight_decay=0.5),
    "RMSprop with momentum": lambda parts, rate: torch.optim.RMSprop(parts, lr=rate, alpha=STILL, momentum=0.7),
    "Adagrad": lambda parts, rate: torch.optim.Adagrad(parts, lr=rate * 1e4),
    "groups": grouped,
    "groups of AdamW": grouped_adamw,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_limit_is_where_the_optimizer_loses_a_quadratic(name: str) -> None:
    make = OPTIMIZERS[name]
    found = measure(make, 0.05)
    scale = found.limit / found.learning_rate
    assert not grows(make, 0.05 * scale * 0.99)
    assert grows(make, 0.05 * scale * 1.01)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_the_limit_the_sharpness_is_at_its_threshold(name: str) -> None:
    make = OPTIMIZERS[name]
    found = measure(make, 0.05)
    at_limit = measure(make, 0.05 * found.limit / found.learning_rate)
    assert at_limit.preconditioned == pytest.approx(at_limit.threshold, rel=2e-3)
    assert at_limit.limit == pytest.approx(at_limit.learning_rate, rel=2e-3)


@pytest.mark.parametrize("name", ["SGD", "SGD with decay", "momentum", "momentum with decay", "Nesterov"])
def test_one_group_of_sgd_compares_the_sharpness_itself(name: str) -> None:
    found = measure(OPTIMIZERS[name], 0.05)
    assert found.preconditioned == pytest.approx(found.value, rel=1e-9)
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(hessian())[-1]), rel=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_nesterov_by_its_iteration_matrix(momentum: float) -> None:
    """(w, w before) -> next, on one coordinate: w' = y - h y with y = w + b (w - w before), h the rate times the curvature."""

    def radius(h: float) -> float:
        step = torch.tensor([[(1 - h) * (1 + momentum), -(1 - h) * momentum], [1.0, 0.0]], dtype=torch.float64)
        return float(torch.linalg.eigvals(step).abs().max())

    assert radius(nesterov(momentum) * (1 - 1e-6)) < 1 < radius(nesterov(momentum) * (1 + 1e-6))


def test_what_is_not_known_is_said() -> None:
    parts = weights()
    with pytest.raises(UnknownRule, match="no stability threshold is known for LBFGS"):
        optimizer: torch.optim.Optimizer = torch.optim.LBFGS(parts)
        rule_of(optimizer, optimizer.param_groups[0], parts[0])
    with pytest.raises(UnknownRule, match="before its first step"):
        optimizer = torch.optim.Adam(parts)
        rule_of(optimizer, optimizer.param_groups[0], parts[0])
    with pytest.raises(UnknownRule, match="maximises"):
        optimizer = torch.optim.SGD(parts, lr=0.1, maximize=True)
        rule_of(optimizer, optimizer.param_groups[0], parts[0])

    class Own(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            pass

    with pytest.raises(UnknownRule, match="known for Own"):
        optimizer = Own(parts, lr=0.1)
        rule_of(optimizer, optimizer.param_groups[0], parts[0])


@pytest.mark.parametrize(
    ("make", "steps", "share"),
    [
        (lambda parts: torch.optim.AdamW(parts, lr=0.01), 3, 0.003),
        (lambda parts: torch.optim.Adam(parts, lr=0.01, betas=(0.9, 0.5)), 2, 1.0),
        (lambda parts: torch.optim.RMSprop(parts, lr=0.01), 4, 0.04),
        (lambda parts: torch.optim.Adagrad(parts, lr=0.01), 2, math.nan),
        (lambda parts: torch.optim.SGD(parts, lr=0.01), 2, math.nan),
    ],
)
def test_how_much_of_their_memory_second_moments_have_seen(
    make: Callable[[list[torch.Tensor]], torch.optim.Optimizer], steps: int, share: float
) -> None:
    parts = weights()
    optimizer = make(parts)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(parts).backward()
        optimizer.step()
    assert sharpness(loss_of(parts), parts, optimizer).settled == pytest.approx(share, nan_ok=True)


def test_a_loss_that_curves_nowhere_up_has_no_limit() -> None:
    part = torch.ones(3, requires_grad=True)
    found = sharpness(-part.square().sum(), [part], torch.optim.SGD([part], lr=0.1))
    assert found.value == pytest.approx(-2.0)
    assert math.isinf(found.limit)
