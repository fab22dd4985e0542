from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.measure.gradient_noise import AT_A_TIME, contributions

LAYERS = [
    (nn.Linear(6, 4), (5, 6)),
    (nn.Linear(6, 4), (AT_A_TIME + 3, 7, 6)),
    (nn.Linear(6, 4, bias=False), (3, 2, 7, 6)),
    (nn.Conv2d(3, 4, 3, padding=1), (5, 3, 6, 6)),
    (nn.Conv2d(4, 6, 3, stride=2, groups=2, dilation=2, padding=2), (AT_A_TIME + 1, 4, 9, 9)),
    (nn.Conv1d(3, 4, 3), (5, 3, 8)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1), (5, 4, 4, 4)),
]


def losses(module: nn.Module, signal: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return a loss for each sample."""
    return (module(signal) - target).pow(2).flatten(1).sum(1)


@pytest.mark.parametrize(("module", "shape"), LAYERS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_it_is_the_scatter_of_the_samples_own_gradients(module: nn.Module, shape: tuple[int, ...], reduction: str) -> None:
    """Against autograd on one sample at a time, in float64."""
    torch.manual_seed(0)
    module = module.double()
    signal = torch.randn(shape, dtype=torch.float64)
    target = torch.randn_like(module(signal))
    per_sample = torch.stack(
        [torch.autograd.grad(losses(module, signal[n : n + 1], target[n : n + 1]).sum(), module.weight)[0] for n in range(len(signal))]  # type: ignore[arg-type]
    )
    output = module(signal)
    each = (output - target).pow(2).flatten(1).sum(1)
    (delta,) = torch.autograd.grad(getattr(each, reduction)(), output)
    found = contributions(module, signal, delta)
    assert found is not None and found.samples == len(signal)
    scale = len(signal) if reduction == "sum" else 1.0  # of what the optimizer gets, over the gradient of the mean
    scatter = (per_sample - per_sample.mean(0)).square().sum() / (len(signal) - 1)
    assert found.noise == pytest.approx(float(scatter) * scale**2, rel=1e-9)
    assert found.together == pytest.approx(float(per_sample.mean(0).square().sum()) * scale**2, rel=1e-9)


@pytest.mark.parametrize(("module", "shape"), LAYERS)
def test_float32_is_close_to_float64(module: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    signal = torch.randn(shape, dtype=torch.float64)
    delta = torch.randn_like(module.double()(signal))
    exact = contributions(module, signal, delta)
    close = contributions(module.float(), signal.float(), delta.float())
    assert exact is not None and close is not None
    assert close.noise == pytest.approx(exact.noise, rel=1e-5)


def test_it_is_the_variance_of_a_batch_of_many() -> None:
    """C / |B| is how far the gradients of independent batches scatter about that of the data: what the bound says."""
    torch.manual_seed(0)
    module, size, batches = nn.Linear(3, 2).double(), 16, 2000
    gradients, estimates = [], []
    for _ in range(batches):
        signal = torch.randn(size, 3, dtype=torch.float64)
        output = module(signal)
        loss = losses(module, signal, signal[:, :2].sin()).mean()
        gradients.append(torch.autograd.grad(loss, module.weight)[0])
        (delta,) = torch.autograd.grad((output - signal[:, :2].sin()).pow(2).flatten(1).sum(1).mean(), output)
        found = contributions(module, signal, delta)
        assert found is not None
        estimates.append(found.noise)
    every = torch.stack(gradients)
    variance = float((every - every.mean(0)).square().sum() / (batches - 1))
    assert np.mean(estimates) / size == pytest.approx(variance, rel=0.05)


def test_samples_that_agree_have_none_and_one_alone_is_unknown() -> None:
    same = contributions(nn.Linear(3, 2), torch.ones(8, 3), torch.ones(8, 2))
    alone = contributions(nn.Linear(3, 2), torch.ones(1, 3), torch.ones(1, 2))
    assert same is not None and same.noise == pytest.approx(0.0, abs=1e-9)
    assert alone is not None and np.isnan(alone.noise)


@pytest.mark.parametrize(
    ("module", "shape"),
    [(nn.Embedding(3, 2), (2, 3)), (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (2, 3, 5, 5)), (nn.Linear(3, 2), (3,))],
)
def test_others_have_none(module: nn.Module, shape: tuple[int, ...]) -> None:
    assert contributions(module, torch.randn(shape), torch.randn(2, 4, 5, 5)) is None


def test_half_precision_does_not_overflow() -> None:
    torch.manual_seed(0)
    module, signal, delta = nn.Linear(6, 4), torch.randn(5, 6), 2e4 * torch.randn(5, 4).clamp(-3, 3)
    exact = contributions(module, signal, delta)
    close = contributions(module, signal.half(), delta.half())
    assert exact is not None and close is not None
    assert close.noise == pytest.approx(exact.noise, rel=1e-2)


def test_what_is_not_finite_is_no_noise_of_zero() -> None:
    found = contributions(nn.Linear(2, 2), torch.ones(3, 2), torch.full((3, 2), float("inf")))
    assert found is not None and np.isnan(found.noise)
