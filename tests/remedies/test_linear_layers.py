"""Linear layers that are none of torch's: known by what they compute, and treated as torch's are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnprobe.remedies import apply
from bnprobe.remedies.linear_layers import is_linear, unit_axis, units_of


class Turned(nn.Module):
    """x W + b with W of (inputs, units), as in GPT-2."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.weight = nn.Parameter(torch.randn(inputs, units) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], self.units)


class Plain(Turned):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight)


class Squared(Turned):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).square()


@pytest.mark.parametrize(
    ("layer", "axis", "units"),
    [(Turned(3, 5), 1, 5), (Turned(4, 4), 1, 4), (nn.Linear(3, 5), 0, 5), (nn.ConvTranspose2d(3, 5, 2), 1, None)],
)
def test_the_axis_of_the_units(layer: nn.Module, axis: int, units: int | None) -> None:
    assert unit_axis(layer) == axis
    assert units is None or (is_linear(layer) and units_of(layer) == units)


@pytest.mark.parametrize("module", [Squared(4, 4), Plain(4, 4), nn.Embedding(4, 4), nn.LSTMCell(4, 4), nn.Bilinear(2, 2, 2)])
def test_what_computes_something_else_is_none(module: nn.Module) -> None:
    assert not is_linear(module)  # of Plain the vector is no shift


def twins() -> tuple[nn.Sequential, nn.Sequential]:
    """Return a network of torch's linear layers and the same of turned ones."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    turned = nn.Sequential(Turned(6, 8), nn.Tanh(), Turned(8, 8), nn.Tanh(), Turned(8, 8), nn.Tanh(), Turned(8, 2))
    copy(plain, turned)
    return plain, turned


@torch.no_grad()
def copy(plain: nn.Sequential, turned: nn.Sequential) -> None:
    for one, other in zip(plain[::2], turned[::2], strict=True):
        other.weight.copy_(one.weight.T)
        other.bias.copy_(one.bias)


@pytest.mark.parametrize(
    "remedy",
    [
        "weight-norm",
        "spectral-norm:iterations=40",
        "spectral-norm:iterations=40,mean",
        "gradient-centralisation",
        "agc",
        "layer-norm",
        "batch-norm",
        "rms-norm",
    ],
)
def test_a_turned_layer_trains_as_torchs_own(remedy: str) -> None:
    plain, turned = twins()
    losses = []
    for model in (plain, turned):
        model.double()
        applied = apply(remedy, model)
        assert not any(applied.touched[0].left.get(why) for why in applied.touched[0].left if "no convolution" in why)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        if applied.touched[0].added:
            assert {id(one.parameter) for one in applied.touched[0].added} <= {id(p) for p in model.parameters()}
        for step in range(20):
            x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
            loss = (model(x) - x[:, :2].sin() * 3).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(float(loss.detach()))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4 if "spectral" in remedy else 1e-6, atol=0)


def test_mean_shift_rejection_centres_a_turned_layer_over_its_inputs() -> None:
    _, turned = twins()
    apply("msr:linear,scale", turned)
    optimizer = torch.optim.Adam(turned.parameters(), lr=0.01)
    for _ in range(5):
        turned(torch.randn(16, 6)).square().mean().backward()
        optimizer.step()
    for layer in (turned[2], turned[4]):
        weight = layer.parametrizations.weight.original
        assert weight.mean(0).abs().max() < 1e-6
        assert layer.parametrizations.weight[0].scale.shape == (1, 8)


def test_the_layers_of_gpt2_are_linear() -> None:
    transformers = pytest.importorskip("transformers")
    assert unit_axis(transformers.pytorch_utils.Conv1D(12, 4)) == 1
    assert units_of(transformers.pytorch_utils.Conv1D(12, 4)) == 12
