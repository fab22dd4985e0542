"""Mean shift rejection as published, part by part, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from bnprobe.errors import RemedyError
from bnprobe.remedies import apply
from bnprobe.remedies.application import Applied
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import parse_all
from tests.remedies.networks import Network, batch, network, train

M, PENALTY, RATE = 10.0, 5e-4, 0.01


def treated() -> Network:
    model = network(dtype=torch.float64)
    apply("msr-published:noise=0", model)
    return model


def test_start() -> None:
    model = treated()
    for layer, axes in ((model.first, (2, 3)), (model.block.conv1, (2, 3)), (model.block.conv2, (2, 3)), (model.narrow, (1,))):
        kernel = layer.parametrizations.weight.original
        assert kernel.mean(axes).abs().max() < 1e-15
        torch.testing.assert_close(kernel.flatten(1).norm(dim=1), torch.ones(len(kernel), dtype=torch.float64))
    scales = {name: p.unique().item() for name, p in model.named_parameters() if name.endswith("scale")}
    assert [scale for name, scale in scales.items() if "block" in name] == [0.8, 0.8]
    assert [scale for name, scale in scales.items() if "block" not in name] == [1.0, 1.0]
    assert model.first.bias.abs().min() > 0
    assert model.block.conv1.bias.abs().max() == model.narrow.bias.abs().max() == 0
    bound = math.sqrt(6 / (5 * 36 + 3))  # Xavier
    assert 0.9 * bound < model.classifier.weight.abs().max() <= bound


def test_a_step_is_made_of_the_published_parts() -> None:
    model = treated()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=0.1)
    with torch.no_grad():  # lengths that the penalty has something to say about
        for layer in (model.first, model.block.conv2, model.narrow):
            layer.parametrizations.weight.original.mul_(1.5)
    images, labels = batch(dtype=torch.float64)
    F.cross_entropy(model(images), labels).backward()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    optimizer.step()
    moved = {name: (p.detach() - before[name]) / -RATE for name, p in model.named_parameters()}

    def penalised(name: str) -> torch.Tensor:
        kernel = before[name].clone().requires_grad_()
        (PENALTY * (kernel.flatten(1).norm(dim=1) - 1).square().sum()).backward()
        assert kernel.grad is not None
        return gradients[name] + kernel.grad

    key = "parametrizations.weight.original"
    g = penalised(f"block.conv2.{key}")
    torch.testing.assert_close(moved[f"block.conv2.{key}"], (1 + M) * g - M * g.mean((2, 3), keepdim=True))
    for name in ("first", "narrow"):  # the first and 1x1 kernels are not projected
        torch.testing.assert_close(moved[f"{name}.{key}"], penalised(f"{name}.{key}"))
    for name in ("first.bias", "classifier.weight", "classifier.bias"):
        torch.testing.assert_close(moved[name], 0.25 * gradients[name])
    assert moved["block.conv1.bias"].abs().max() == 0
    assert optimizer.param_groups[0]["weight_decay"] == 0.1


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_it_trains_and_biases_stay_silent(kind: str) -> None:
    model = network()
    applied = apply("msr-published", model)
    assert "block" in applied.touched[0].names  # noise at the input of the block
    train(model, getattr(torch.optim, kind)(model.parameters(), lr=1e-3, weight_decay=0.1), 5)
    assert model.narrow.bias.abs().max() == 0
    assert all(p.isfinite().all() for p in model.parameters())


def test_it_is_refused_where_msr_is() -> None:
    with pytest.raises(RemedyError, match="remedy msr-published found nothing to act on: 0 convolutions are trained") as caught:
        apply("msr-published", torch.nn.Linear(2, 2))
    assert str(caught.value.hint).endswith("without the other parts of msr-published")


def test_weights_loaded_over_its_own_are_refused_in_its_name() -> None:
    model = network()
    apply("msr-published:noise=0", model)
    with torch.no_grad():
        model.block.conv1.parametrizations.weight.original.add_(1.0)
    with pytest.raises(RemedyError, match=r"remedy msr-published: 'block\.conv1' has a slice mean"):
        train(model, torch.optim.SGD(model.parameters(), lr=RATE), 1)


def scope_of(model: Network, wanted: Callable[[str], bool]) -> Scope:
    """Return what one of several optimizers trains."""
    return Scope([model], [p for name, p in model.named_parameters() if wanted(name)])


def test_kernels_without_their_biases_are_refused() -> None:
    with pytest.raises(RemedyError, match="the kernel of 'first' does not train its bias") as caught:
        Applied(parse_all("msr-published"), scope_of(network(), lambda name: not name.endswith("bias")))
    assert "one optimizer" in str(caught.value.hint)


def test_a_classifier_of_another_optimizer_is_named() -> None:
    applied = Applied(parse_all("msr-published"), scope_of(network(), lambda name: "classifier" not in name))
    assert applied.record()[0]["left"] == {"left as it is, for this optimizer does not train it": ["classifier"]}
