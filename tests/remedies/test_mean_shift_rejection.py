from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.measure.kernels import kernel_common_mode
from bnprobe.remedies import apply
from tests.remedies.networks import Network, batch, network, state, train
from tests.suites import shortened_to

PROJECTED = ["block.conv1", "block.conv2"]


def worst_mean(model: nn.Module, names: list[str] = PROJECTED) -> float:
    """Worst |slice mean| beside the rms of its kernel."""
    weights = [model.get_submodule(name).weight for name in names]
    return float(kernel_common_mode(weights)[0].max())


class TestStart:
    def test_kernels_have_zero_slice_means_and_unit_magnitude(self) -> None:
        model = network(dtype=torch.float64)
        apply("msr", model)
        for name in ["first", *PROJECTED]:
            weight = model.get_submodule(name).weight
            assert weight.mean((2, 3)).abs().max() < 1e-15
            torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(len(weight), dtype=torch.float64))
        narrow = model.narrow.weight
        assert narrow.mean(1).abs().max() < 1e-15
        torch.testing.assert_close(narrow.flatten(1).norm(dim=1), torch.ones(5, dtype=torch.float64))

    def test_classifier_and_biases_are_left_alone(self) -> None:
        model, before = network(), state(network())
        apply("msr", model)
        for name in ("classifier.weight", "classifier.bias", "first.bias", "block.conv1.bias"):
            assert torch.equal(model.state_dict()[name], before[name])

    def test_magnitude_is_that_of_the_gain(self) -> None:
        model = network()
        apply("msr:gain=he", model)
        torch.testing.assert_close(model.block.conv1.weight.flatten(1).norm(dim=1), torch.full((4,), math.sqrt(2)))

    def test_branch_factor_concerns_residual_branches_alone(self) -> None:
        model = network()
        apply("msr:branch=0.8", model)
        norms = {name: float(model.get_submodule(name).weight[0].detach().norm()) for name in ["first", *PROJECTED]}
        assert norms == pytest.approx({"first": 1.0, "block.conv1": 0.8, "block.conv2": 0.8}, rel=1e-6)

    def test_constant_input_is_rejected_in_the_interior_and_not_at_the_border(self) -> None:
        model = network(dtype=torch.float64)
        apply("msr", model)
        output = F.conv2d(torch.full((1, 4, 6, 6), 7.0, dtype=torch.float64), model.block.conv1.weight, padding=1)
        assert output[..., 1:-1, 1:-1].abs().max() < 1e-13
        assert output[..., 0, :].abs().max() > 0.1

    def test_kept_weights_are_kept(self) -> None:
        model = network()
        before = state(model)
        apply("msr:keep-weights", model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-2)


OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.02),
    "momentum": lambda m: torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9),
    "weight-decay": lambda m: torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda m: torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9, nesterov=True),
    "adam": adam,
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-2, weight_decay=0.1),
    "rmsprop": lambda m: torch.optim.RMSprop(m.parameters(), lr=1e-3),
    "adagrad": lambda m: torch.optim.Adagrad(m.parameters(), lr=1e-2),
    "fused-adam": lambda m: torch.optim.Adam(m.parameters(), lr=1e-2, fused=True),
}


class TestIsocline:
    @pytest.mark.parametrize("name", shortened_to(OPTIMIZERS, {"weight-decay", "adam"}))
    def test_slice_means_stay_zero_to_rounding_over_200_steps(self, name: str) -> None:
        model = network()
        apply("msr", model)
        before = model.block.conv1.weight.clone()
        train(model, OPTIMIZERS[name](model), 200)
        assert worst_mean(model) < 5e-7
        assert (model.block.conv1.weight - before).norm() > 0.05

    def test_without_it_they_leave(self) -> None:
        model = network()
        apply("msr", model).remove()
        train(model, OPTIMIZERS["momentum"](model), 200)
        assert worst_mean(model) > 1e-2

    @pytest.mark.parametrize("name", ["momentum", "fused-adam"])
    def test_under_autocast_and_a_gradient_scaler(self, name: str) -> None:
        model = network()
        apply("msr", model)
        optimizer = OPTIMIZERS[name](model)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        for step in range(200):
            images, labels = batch(step)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(images), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        assert worst_mean(model) < 5e-7

    def test_a_step_refused_by_the_scaler_changes_nothing(self) -> None:
        model = network()
        apply("msr", model)
        optimizer = OPTIMIZERS["momentum"](model)
        scaler = torch.amp.GradScaler("cpu")
        before = state(model)
        images, labels = batch()
        scaler.scale(F.cross_entropy(model(images), labels) * float("inf")).backward()
        scaler.step(optimizer)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    @pytest.mark.slow
    def test_with_accumulated_gradients(self) -> None:
        model = network()
        apply("msr", model)
        train(model, OPTIMIZERS["momentum"](model), 200, backwards=3)
        assert worst_mean(model) < 5e-7

    def test_first_and_pointwise_widen_it(self) -> None:
        model = network()
        apply("msr:first,pointwise", model)
        train(model, adam(model), 50)
        assert worst_mean(model, ["first", *PROJECTED]) < 5e-7
        assert model.narrow.weight.mean(1).abs().max() < 5e-8

    def test_by_default_neither_is_projected(self) -> None:
        model = network()
        apply("msr", model)
        train(model, OPTIMIZERS["momentum"](model), 50)
        assert worst_mean(model, ["first"]) > 1e-3
        assert model.narrow.weight.mean(1).abs().max() > 1e-4

    @pytest.mark.parametrize("name", ["momentum", "adamw"])
    def test_kept_weights_keep_their_slice_means(self, name: str) -> None:
        model = network(dtype=torch.float64)
        means = {name: model.get_submodule(name).weight.mean((2, 3)).clone() for name in PROJECTED}
        apply("msr:keep-weights", model)
        train(model, OPTIMIZERS[name](model), 50)
        for name, mean in means.items():
            torch.testing.assert_close(model.get_submodule(name).weight.mean((2, 3)), mean, rtol=0, atol=1e-14)


class TestAgainstReference:
    @pytest.mark.parametrize("w", [1.0, 0.9])
    @pytest.mark.parametrize("name", ["momentum", "nesterov"])
    def test_equals_projecting_the_gradients_by_hand(self, name: str, w: float) -> None:
        model, reference = network(dtype=torch.float64), network(seed=1, dtype=torch.float64)
        apply(f"msr:w={w}", model)
        reference.load_state_dict(model.state_dict())

        def project() -> None:
            for name in PROJECTED:
                gradient = reference.get_submodule(name).weight.grad
                assert gradient is not None
                for o in range(gradient.shape[0]):
                    for i in range(gradient.shape[1]):
                        gradient[o, i] -= w * gradient[o, i].sum() / 9

        train(model, OPTIMIZERS[name](model), 12)
        train(reference, OPTIMIZERS[name](reference), 12, project)
        for key, value in reference.state_dict().items():
            torch.testing.assert_close(model.state_dict()[key], value, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("w", [1.0, 0.9])
    def test_element_wise_optimizers_have_their_updates_projected(self, w: float) -> None:
        # RMSprop's first update is lr g / (sqrt((1-a) g^2) + eps) with g the projected gradient
        model = network(dtype=torch.float64)
        apply(f"msr:w={w}", model)
        before = model.block.conv1.weight.detach().clone()
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-2, alpha=0.99, eps=1e-8)
        images, labels = batch(dtype=torch.float64)
        F.cross_entropy(model(images), labels).backward()
        gradient = model.block.conv1.weight.grad.clone()
        gradient -= w * gradient.mean((2, 3), keepdim=True)
        update = -1e-2 * gradient / ((0.01 * gradient**2).sqrt() + 1e-8)
        update -= w * update.mean((2, 3), keepdim=True)
        optimizer.step()
        torch.testing.assert_close(model.block.conv1.weight.detach() - before, update, rtol=1e-9, atol=1e-13)

    def test_w_below_one_leaks_that_share(self) -> None:
        model = network(dtype=torch.float64)
        apply("msr:w=0.75", model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        images, labels = batch(dtype=torch.float64)
        F.cross_entropy(model(images), labels).backward()
        mean = model.block.conv2.weight.grad.mean((2, 3)).clone()
        optimizer.step()
        torch.testing.assert_close(model.block.conv2.weight.mean((2, 3)), -0.5 * 0.25 * mean, rtol=1e-9, atol=1e-14)


class TestScale:
    @pytest.mark.parametrize("form", ["scale", "scale=exp"])
    def test_it_is_learned_and_keeps_the_slice_means_zero(self, form: str) -> None:
        model = network()
        apply(f"msr:{form},branch=0.8", model)
        torch.testing.assert_close(model.block.conv1.weight.flatten(1).norm(dim=1), torch.full((4,), 0.8))
        scale = model.block.conv1.parametrizations.weight[0].scale
        before = scale.detach().clone()
        train(model, OPTIMIZERS["momentum"](model), 20)
        assert not torch.equal(scale, before)
        assert worst_mean(model) < 1e-6

    def test_the_convolution_equals_one_with_scaled_kernels(self) -> None:
        model = network(dtype=torch.float64)
        apply("msr:scale", model)
        parts = model.block.conv1.parametrizations.weight
        with torch.no_grad():
            parts[0].scale.copy_(torch.tensor([0.5, 1.0, -2.0, 3.0]).view(4, 1, 1, 1))
        x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
        expected = F.conv2d(x, parts.original * parts[0].scale, model.block.conv1.bias, padding=1)
        torch.testing.assert_close(model.block.conv1(x), expected)


class TestRefusal:
    def test_nothing_to_act_on(self) -> None:
        with pytest.raises(RemedyError, match="msr found nothing to act on: 0 convolutions"):
            apply("msr", nn.Linear(3, 3))

    def test_the_first_convolution_alone_is_nothing(self) -> None:
        with pytest.raises(RemedyError, match="none beyond the first") as caught:
            apply("msr", nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)))
        assert "msr:first" in str(caught.value.hint)

    def test_weights_loaded_over_the_prepared_ones_stop_the_first_step(self) -> None:
        model = network()
        apply("msr", model)
        model.load_state_dict(Network().state_dict())
        optimizer = adam(model)
        with pytest.raises(RemedyError, match=r"'block\.conv1' has a slice mean of .* loaded over") as caught:
            train(model, optimizer, 1)
        assert "msr:keep-weights" in str(caught.value.hint)

    def test_a_checkpoint_of_its_own_is_welcome(self) -> None:
        trained, model = network(), network(seed=1)
        apply("msr", trained)
        train(trained, adam(trained), 5)
        apply("msr", model)
        model.load_state_dict(trained.state_dict())
        train(model, adam(model), 5)
        assert worst_mean(model) < 5e-7


class TestLinearLayers:
    """What the paper does not cover: linear layers, as 1x1 kernels."""

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()

    @pytest.mark.parametrize("kind", ["SGD", "Adam"])
    def test_rows_have_zero_mean_at_the_start_and_ever_after(self, kind: str) -> None:
        model = self.model()
        applied = apply("msr:linear", model)
        assert applied.touched[0].names == ("0", "2")
        for layer in (model[0], model[2]):
            assert layer.weight.mean(1).abs().max() < 1e-15
            torch.testing.assert_close(layer.weight.norm(dim=1), torch.ones(8, dtype=torch.float64))
        optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            (model(torch.randn(16, 6, dtype=torch.float64) + 1) - 1).square().mean().backward()
            optimizer.step()
        assert model[2].weight.mean(1).abs().max() < 1e-14
        assert model[0].weight.mean(1).abs().max() > 1e-4  # the first sees the data, whose mean may tell something

    def test_what_is_common_to_all_inputs_does_not_pass(self) -> None:
        model = self.model()
        apply("msr:linear", model)
        x = torch.randn(4, 8, dtype=torch.float64)
        torch.testing.assert_close(model[2](x + 5.0), model[2](x))

    def test_the_classifier_is_left_alone_and_a_lone_one_is_nothing(self) -> None:
        model = self.model()
        before = model[4].weight.detach().clone()
        apply("msr:linear", model)
        assert torch.equal(model[4].weight, before)
        with pytest.raises(RemedyError, match="found nothing to act on") as caught:
            apply("msr:linear", nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)))
        assert "msr:linear,first" in str(caught.value.hint)
