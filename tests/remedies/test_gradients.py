"""Remedies that edit gradients: against torch's functions and against formulas written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from tests.remedies.networks import Network, batch, network


def gradients_under(remedy: str) -> tuple[Network, dict[str, Tensor], dict[str, Tensor]]:
    """Return a model, its gradients as they came, and as one SGD step used them (float64)."""
    model = network(dtype=torch.float64)
    apply(remedy, model)
    images, labels = batch(dtype=torch.float64)
    F.cross_entropy(model(images), labels).backward()
    raw = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    torch.optim.SGD(model.parameters(), lr=0.0).step()
    used = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    return model, raw, used


class TestClipNorm:
    def test_equals_scaling_by_the_global_norm(self) -> None:
        _, raw, used = gradients_under("clip-norm:max=0.1")
        total = torch.cat([g.flatten() for g in raw.values()]).norm()
        assert total > 0.1
        for name, gradient in raw.items():
            torch.testing.assert_close(used[name], gradient * 0.1 / (total + 1e-6))

    def test_small_gradients_pass(self) -> None:
        _, raw, used = gradients_under("clip-norm:max=1e3")
        assert all(torch.equal(used[name], gradient) for name, gradient in raw.items())


class TestClipValue:
    def test_equals_clamping(self) -> None:
        _, raw, used = gradients_under("clip-value:max=0.01")
        assert max(float(g.abs().max()) for g in raw.values()) > 0.01
        for name, gradient in raw.items():
            assert torch.equal(used[name], gradient.clamp(-0.01, 0.01))


class TwoHeaded(torch.nn.Module):
    """Two heads before the trunk, in the order of the tree."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.classes = torch.nn.Linear(8, 4), torch.nn.Linear(8, 3)
        self.trunk = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8), torch.nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.trunk(x)
        return torch.cat([self.boxes(features), self.classes(features)], 1)


class TestAdaptiveClipping:
    def test_equals_the_published_formula_unit_by_unit(self) -> None:
        model, raw, used = gradients_under("agc:clipping=0.05")
        clipped = 0
        for name, parameter in model.named_parameters():
            units = [slice(i, i + 1) for i in range(len(parameter))] if parameter.dim() > 1 else [slice(None)]
            for unit in units:
                weight, gradient = parameter.detach()[unit], raw[name][unit]
                ratio = float(gradient.norm() / max(float(weight.norm()), 1e-3))
                exceeds = ratio > 0.05 and not name.startswith("classifier")
                clipped += exceeds
                torch.testing.assert_close(used[name][unit], gradient * (0.05 / ratio if exceeds else 1.0))
        assert clipped > 3

    def test_the_last_linear_layer_on_request(self) -> None:
        _, raw, used = gradients_under("agc:clipping=1e-6,last")
        assert float(used["classifier.weight"].norm()) < 1e-3 * float(raw["classifier.weight"].norm())

    def test_heads_are_spared_wherever_they_stand(self) -> None:
        model = TwoHeaded()
        apply("agc:clipping=1e-6", model)
        model(torch.randn(4, 6)).sum().backward()
        raw = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
        torch.optim.SGD(model.parameters(), lr=0.0).step()
        spared = {name for name, parameter in model.named_parameters() if torch.equal(parameter.grad, raw[name])}
        assert spared == {f"{one}.{key}" for one in ("boxes", "classes") for key in ("weight", "bias")}

    def test_a_zero_gradient_stays_zero(self) -> None:
        model = network()
        apply("agc", model)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        torch.optim.SGD(model.parameters(), lr=1.0).step()
        assert all(parameter.isfinite().all() and not parameter.grad.any() for parameter in model.parameters())

    def test_a_lone_linear_layer_is_nothing(self) -> None:
        with pytest.raises(RemedyError, match="no parameter is trained but those of linear layers that give"):
            apply("agc", torch.nn.Linear(2, 2))


class TestGradientCentralisation:
    def test_equals_subtracting_each_filters_mean(self) -> None:
        _, raw, used = gradients_under("gradient-centralisation")
        for name, gradient in raw.items():
            expected = (
                gradient - torch.stack([row.mean() for row in gradient]).view(-1, *(1,) * (gradient.dim() - 1))
                if gradient.dim() > 1
                else gradient
            )
            torch.testing.assert_close(used[name], expected)

    def test_linear_layers_can_be_spared(self) -> None:
        _, raw, used = gradients_under("gradient-centralisation:linear=no")
        assert torch.equal(used["classifier.weight"], raw["classifier.weight"])
        assert not torch.equal(used["first.weight"], raw["first.weight"])
