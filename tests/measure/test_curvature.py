"""Sharpness against the exact Hessian, in float64, and what cannot be measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import bnprobe
from bnprobe.errors import CurvatureError
from bnprobe.measure.curvature import Effort, Hessian, Sharpness, SharpnessTracker, sharpness

Loss = Callable[[nn.Module], torch.Tensor]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.attention(x, x, x, need_weights=False)[0]).mean(1)


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    return {
        "mlp": (nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)), torch.randn(7, 5)),
        "convolution and batch norm": (
            nn.Sequential(
                nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 3)
            ),
            torch.randn(6, 1, 6, 6),
        ),
        "dropout": (nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Dropout(0.4), nn.Linear(8, 3)), torch.randn(7, 5)),
        "attention": (nn.Sequential(Attention(), nn.Linear(4, 3)), torch.randn(4, 5, 4)),
    }


def exact_hessian(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(n, n) by autograd, the dropout mask drawn from the same seed each time."""
    names, weights = zip(*model.named_parameters(), strict=True)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def loss(*parts: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        state = {**dict(zip(names, parts, strict=True)), **{name: buffer.clone() for name, buffer in buffers.items()}}
        return F.cross_entropy(functional_call(model, state, (x,)), y)

    blocks = torch.autograd.functional.hessian(loss, tuple(weight.detach() for weight in weights))
    return torch.cat([torch.cat([block.reshape(w.numel(), -1) for block in row], 1) for w, row in zip(weights, blocks, strict=True)])


@pytest.mark.parametrize("name", networks())
def test_products_eigenvalues_and_gradients(name: str) -> None:
    model, x = networks()[name]
    model, x = model.double(), x.double()
    y = torch.randint(3, (len(x),), generator=torch.Generator().manual_seed(2))
    with sdpa_kernel(SDPBackend.MATH):
        exact = exact_hessian(model, x, y)
        torch.manual_seed(7)
        loss = F.cross_entropy(model(x), y)
    parameters = list(model.parameters())
    before = torch.get_rng_state()
    hessian = Hessian([loss], parameters)
    vector = hessian.random(3)
    torch.testing.assert_close(hessian(vector), exact @ vector, rtol=1e-9, atol=1e-11)
    found = sharpness(loss, parameters, count=2, tolerance=1e-8, most_products=200)
    spectrum = torch.linalg.eigvalsh(exact)
    assert found.values == pytest.approx(spectrum.flip(0)[:2].tolist(), rel=1e-6)
    assert found.residual <= 1e-8 * found.value
    assert float(spectrum[0]) - 1e-9 <= found.lowest
    # What follows is the script's own backward, to the last bit.
    assert all(parameter.grad is None for parameter in parameters)
    assert torch.equal(torch.get_rng_state(), before)
    loss.backward()
    gradients = [parameter.grad for parameter in parameters]
    model.zero_grad()
    for buffer, other in zip(model.buffers(), networks()[name][0].double().buffers(), strict=True):
        buffer.data.copy_(other)
    torch.manual_seed(7)
    with sdpa_kernel(SDPBackend.MATH):
        F.cross_entropy(model(x), y).backward()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert gradient is not None and parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad])
def test_the_optimizer_s_metric_against_a_dense_matrix(kind: Any) -> None:
    """The largest eigenvalue of P^-1 (H + g), with P read off what the optimizer does to a known gradient."""
    model, x = networks()["mlp"]
    model, x = model.double(), x.double()
    y = torch.randint(3, (len(x),), generator=torch.Generator().manual_seed(2))
    parameters = list(model.parameters())
    optimizer = kind(parameters, lr=0.01, weight_decay=0.02)
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    found = sharpness(F.cross_entropy(model(x), y), parameters, optimizer, tolerance=1e-9, most_products=200)
    states = [optimizer.state[parameter] for parameter in parameters]
    if kind is torch.optim.RMSprop:
        scales = [state["square_avg"].sqrt() + 1e-8 for state in states]
    elif kind is torch.optim.Adagrad:
        scales = [state["sum"].sqrt() + 1e-10 for state in states]
    else:
        scales = [(state["exp_avg_sq"] / (1 - 0.999**4)).sqrt() + 1e-8 for state in states]
    scale = torch.cat([one.reshape(-1) for one in scales])
    matrix = exact_hessian(model, x, y) + (0.0 if kind is torch.optim.AdamW else 0.02) * torch.eye(len(scale), dtype=torch.float64)
    largest = float(torch.linalg.eigvals(matrix / scale[:, None]).real.max())
    assert found.preconditioned == pytest.approx(largest, rel=1e-6)
    constant = {torch.optim.Adam: 38.0, torch.optim.AdamW: (2 - 0.01 * 0.02) * 19}.get(kind, 2.0)
    assert found.threshold == pytest.approx(constant / 0.01)
    assert found.limit == pytest.approx(0.01 * found.threshold / largest, rel=1e-2)  # AdamW's decay grows with the rate


def test_a_scaler_s_factor_is_taken_out() -> None:
    model, x = networks()["mlp"]
    loss = model(x).square().mean()
    tracker = SharpnessTracker()
    parameters = list(model.parameters())
    effort = Effort(40, 40, 1e-4)
    plain = tracker.measure([loss], parameters, [], effort)
    scaled = tracker.measure([loss * 4096], parameters, [], effort, factor=4096.0)
    assert scaled.value == pytest.approx(plain.value, rel=1e-4)


def test_later_measurements_start_from_the_last_and_keep_to_their_products() -> None:
    model, x = networks()["mlp"]
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    tracker, products, errors = SharpnessTracker(), [], []
    for step in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), torch.arange(7) % 3)
        found = tracker.measure([loss], parameters, [optimizer], Effort(24, 4, 0.01, both=False))
        if step > 1:
            exact = sharpness(loss, parameters, optimizer, tolerance=1e-5)
            products.append(found.products)
            errors.append(found.preconditioned / exact.preconditioned - 1)
        loss.backward()
        optimizer.step()
    assert max(products) <= 4
    assert max(map(abs, errors[2:])) < 0.05


def test_a_part_that_the_others_do_not_reach_is_found_when_it_becomes_the_sharpest() -> None:
    weights = torch.randn(8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    tracker = SharpnessTracker()

    def measured(curvatures: list[float]) -> Sharpness:
        return tracker.measure([(torch.tensor(curvatures) * weights.square()).sum() / 2], [weights], [], Effort(24, 4, 0.01))

    assert measured([9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).value == pytest.approx(9.0, rel=1e-3)
    later = [measured([9.0, 30.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]) for _ in range(3)]
    assert later[-1].value == pytest.approx(30.0, rel=1e-2)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda w: w.square(), "3 values, expected one"),
        (lambda w: w.detach().sum(), "no graph"),
        (lambda w: (w / 0).sum(), "not finite"),
        (lambda w: torch.zeros(1, requires_grad=True).sum(), "reaches none"),
        (lambda w: F.scaled_dot_product_attention(*[w.sum() * torch.ones(1, 2, 4, 8)] * 3).sum(), "no second derivative"),
    ],
)
def test_what_has_no_curvature_says_why(loss: Callable[[torch.Tensor], torch.Tensor], words: str) -> None:
    weights = torch.ones(3, requires_grad=True)
    with pytest.raises(CurvatureError, match=words):
        sharpness(loss(weights), [weights])


def test_a_linear_loss_is_flat() -> None:
    weights = torch.ones(3, requires_grad=True)
    found = sharpness((2 * weights).sum(), [weights], torch.optim.SGD([weights], lr=0.1))
    assert (found.value, found.residual) == (0.0, 0.0)
    assert math.isinf(found.limit)


def test_it_is_a_function_of_the_package() -> None:
    assert bnprobe.sharpness is sharpness
    assert bnprobe.Sharpness is Sharpness
    with pytest.raises(AttributeError, match="blunt"):
        bnprobe.blunt  # noqa: B018
