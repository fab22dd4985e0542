from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnprobe.measure.sign_coherence import sign_coherence


def contributions(module: nn.Module, signal: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Every product delta a behind every entry of a weight's gradient, one place and sample at a time: (contributions, *weight)."""
    found = []
    for sample in range(len(signal)):
        for place in range(delta[sample, 0].numel() if delta.dim() > 2 else 1):
            alone = torch.zeros_like(delta[sample : sample + 1])
            flat = alone.flatten(2) if delta.dim() > 2 else alone[..., None]
            flat[..., place] = (delta[sample : sample + 1].flatten(2) if delta.dim() > 2 else delta[sample : sample + 1, :, None])[
                ..., place
            ]
            weight = module.weight.detach().double().requires_grad_()  # type: ignore[operator, union-attr]
            if isinstance(module, nn.Linear):
                output = F.linear(signal[sample : sample + 1], weight)
            else:
                assert isinstance(module, nn.Conv2d)
                output = F.conv2d(signal[sample : sample + 1], weight, None, module.stride, module.padding, module.dilation, module.groups)
            (gradient,) = torch.autograd.grad(output, weight, flat.reshape(alone.shape))
            found.append(gradient)
    return torch.stack(found)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(6, 4), (5, 6)),
        (nn.Conv2d(3, 4, 3, padding=1), (2, 3, 5, 5)),
        (nn.Conv2d(4, 4, 3, stride=2, groups=2, dilation=1), (3, 4, 7, 7)),
    ],
)
def test_it_is_the_sum_over_samples_and_places(module: nn.Module, shape: tuple[int, ...]) -> None:
    module = module.double()
    signal = torch.randn(shape, dtype=torch.float64)
    delta = torch.randn_like(module(signal))
    every = contributions(module, signal, delta)
    found = sign_coherence(module, signal, delta)
    assert found is not None
    assert found.summed == pytest.approx(float(every.sum(0).abs().sum()))
    assert found.absolute == pytest.approx(float(every.abs().sum()))


def test_contributions_of_one_sign_agree() -> None:
    found = sign_coherence(nn.Linear(3, 2), torch.rand(8, 3), torch.rand(8, 2))
    assert found is not None
    assert found.summed == pytest.approx(found.absolute, rel=1e-5)


def test_a_sample_without_a_batch_axis_agrees_with_itself() -> None:
    found = sign_coherence(nn.Linear(3, 2), torch.randn(3), torch.randn(2))
    assert found is not None
    assert found.summed == pytest.approx(found.absolute, rel=1e-5)


def test_tokens_count_as_samples() -> None:
    module, signal, delta = nn.Linear(3, 2), torch.randn(4, 5, 3), torch.randn(4, 5, 2)
    assert sign_coherence(module, signal, delta) == sign_coherence(module, signal.reshape(20, 3), delta.reshape(20, 2))


@pytest.mark.parametrize("module", [nn.Embedding(3, 2), nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")])
def test_other_layers_have_none(module: nn.Module) -> None:
    assert sign_coherence(module, torch.randn(2, 3, 5, 5), torch.randn(2, 4, 5, 5)) is None
