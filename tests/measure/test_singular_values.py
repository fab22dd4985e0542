from __future__ import annotations

import pytest
import torch
from torch import nn

from bnprobe.analyse.random_matrices import edge
from bnprobe.measure.singular_values import jacobian_of_sample, product, singular_values


@pytest.mark.slow
@pytest.mark.parametrize(("count", "published"), [(1, 2.00), (3, 3.08), (5, 3.86)])
def test_products_of_gaussian_matrices_end_at_the_published_edge(count: int, published: float) -> None:
    size = 1600  # smaller ones end further below their limit
    generator = torch.Generator().manual_seed(count)
    weights = [torch.randn(size, size, generator=generator) / size**0.5 for _ in range(count)]
    largest = float(singular_values(product(weights))[0])
    assert largest == pytest.approx(published, rel=0.02)
    assert edge([size] * (count + 1)) == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize("widths", [(2000, 400), (400, 1600, 800), (1200, 400, 1600, 800)], ids=str)
def test_products_of_gaussian_matrices_that_are_not_square_end_at_theirs(widths: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = zip(widths[1:], widths, strict=False)
    values = singular_values(product([torch.randn(out, taken, generator=generator) for out, taken in pairs]))[: min(widths)]
    assert float(values[0] / values.square().mean().sqrt()) == pytest.approx(edge(widths), rel=0.02)


def test_a_product_is_that_of_the_layers() -> None:
    network = nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 3, bias=False)).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    weights = [layer.weight for layer in network]  # type: ignore[union-attr]
    assert torch.allclose(x @ product(weights).t(), network(x))  # type: ignore[arg-type]


def test_outputs_of_another_network_have_none() -> None:
    inputs = torch.randn(4, 6, requires_grad=True)
    assert jacobian_of_sample(nn.Linear(2, 3)(torch.randn(4, 2)), inputs, 0) is None


@pytest.mark.parametrize("norm", [False, True])
def test_a_jacobian_is_that_of_autograd(norm: bool) -> None:
    torch.manual_seed(0)
    rest = nn.Sequential(nn.BatchNorm1d(6) if norm else nn.Identity(), nn.Tanh(), nn.Linear(6, 3)).double()
    inputs = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    found = jacobian_of_sample(rest(inputs), inputs, 2)
    whole = torch.autograd.functional.jacobian(rest, inputs)
    assert found is not None
    assert torch.allclose(found, whole[2, :, 2, :])
    assert inputs.grad is None
