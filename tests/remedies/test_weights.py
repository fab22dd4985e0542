"""Remedies that parametrise weights: against torch's parametrisations and formulas in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from tests.remedies.networks import network, train

X = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class TestWeightNorm:
    def test_trains_as_torchs_parametrisation(self) -> None:
        model, reference = network(dtype=torch.float64), network(dtype=torch.float64)
        apply("weight-norm", model)
        for module in list(reference.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                parametrizations.weight_norm(module)
        start = model(X)
        torch.testing.assert_close(start, network(dtype=torch.float64)(X))
        for each in (model, reference):
            train(each, torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9), 5)
        torch.testing.assert_close(model(X), reference(X))
        assert not torch.allclose(model(X), start)

    def test_the_old_parameter_stays_the_direction(self) -> None:
        model = network()
        old = list(model.parameters())
        apply("weight-norm", model)
        assert {id(p) for p in old} <= {id(p) for p in model.parameters()}

    def test_units_of_a_transposed_convolution_are_its_outputs(self) -> None:
        layer = nn.ConvTranspose2d(3, 5, 3)
        model = nn.Sequential(layer)
        apply("weight-norm", model)
        assert layer.parametrizations.weight.original0.shape == (1, 5, 1, 1)

    def test_a_weight_that_starts_at_zero_has_no_direction(self) -> None:
        model = network()
        nn.init.zeros_(model.block.conv2.weight)
        assert "block.conv2" not in apply("weight-norm", model).touched[0].names
        assert model(X.float()).isfinite().all()


class TestWeightStandardisation:
    def test_equals_the_formula(self) -> None:
        model = network(dtype=torch.float64)
        raw = model.block.conv1.weight.detach().clone()
        apply("weight-standardisation:gain=relu", model)
        for o in range(len(raw)):
            filter = raw[o]
            centred = filter - filter.sum() / filter.numel()
            expected = 1.7139588594436646 * centred / (((centred**2).sum() / filter.numel() + 1e-8) * filter.numel()).sqrt()
            torch.testing.assert_close(model.block.conv1.weight[o], expected)

    def test_gradients_pass_through_and_filters_keep_their_magnitude(self) -> None:
        model = network(dtype=torch.float64)
        apply("weight-standardisation", model)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), 5)
        weight = model.block.conv1.weight
        assert weight.sum((1, 2, 3)).abs().max() < 1e-12
        torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(4, dtype=torch.float64), rtol=1e-5, atol=0)

    def test_the_first_convolution_can_be_spared(self) -> None:
        assert apply("weight-standardisation:first=no", network()).touched[0].names == ("block.conv1", "block.conv2", "narrow")


class TestSpectralNorm:
    def test_trains_as_torchs_parametrisation(self) -> None:
        model, reference = network(dtype=torch.float64), network(dtype=torch.float64)
        torch.manual_seed(2)
        apply("spectral-norm", model)
        torch.manual_seed(2)
        for module in list(reference.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                parametrizations.spectral_norm(module)
        for each in (model, reference):
            train(each, torch.optim.SGD(each.parameters(), lr=0.1), 3)
        assert torch.equal(model.eval()(X), reference.eval()(X))

    def test_the_largest_singular_value_is_one(self) -> None:
        model = network(dtype=torch.float64)
        apply("spectral-norm:iterations=50", model)
        model(X)
        values = torch.linalg.svdvals(model.block.conv1.weight.detach().flatten(1))
        assert float(values[0]) == pytest.approx(1.0, abs=1e-6)

    def test_mean_spectral_norm_scales_and_subtracts_the_mean(self) -> None:
        layer = nn.Conv2d(3, 4, 3, dtype=torch.float64)
        model = nn.Sequential(layer)
        apply("spectral-norm:mean,iterations=30", model)
        with torch.no_grad():
            layer.parametrizations.weight[1].r.fill_(2.0)
            layer.added_mean_norm.shift.copy_(torch.arange(4.0))
        y = model(X)
        torch.testing.assert_close(y.mean((0, 2, 3)), torch.arange(4.0, dtype=torch.float64), rtol=0, atol=1e-12)
        assert float(torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]) == pytest.approx(2.0, abs=1e-3)
        raw = F.conv2d(X, layer.weight.detach(), layer.bias)
        layer.added_mean_norm.running_mean.copy_(raw.mean((0, 2, 3)))
        torch.testing.assert_close(model.eval()(X), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["weight-norm", "weight-standardisation", "msr:scale"])
def test_removal_keeps_the_function_and_the_optimizers_parameters(name: str) -> None:
    model = network(dtype=torch.float64)
    old = list(model.parameters())
    applied = apply(name, model)
    train(model, torch.optim.SGD(model.parameters(), lr=0.1), 2)
    expected = model(X)
    applied.remove()
    torch.testing.assert_close(model(X), expected)
    assert [id(parameter) for parameter in model.parameters()] == [id(parameter) for parameter in old]


@pytest.mark.parametrize("name", ["weight-norm", "weight-standardisation", "spectral-norm", "gradient-centralisation"])
def test_a_model_without_weights_is_nothing(name: str) -> None:
    with pytest.raises(RemedyError, match=f"{name} found nothing to act on"):
        apply(name, nn.Sequential(nn.PReLU()))
