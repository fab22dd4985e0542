"""Lanczos against dense eigenvalues."""

from __future__ import annotations

import pytest
import torch

from bnprobe.measure.lanczos import lanczos


def symmetric(values: list[float], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64)).Q
    return (basis * torch.tensor(values, dtype=torch.float64)) @ basis.T


def start(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(5)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_eigenvalues_are_found_within_their_residuals(dtype: torch.dtype) -> None:
    values = [50.0, 30.0, 8.0, *[0.1 * i for i in range(60)], -20.0]
    matrix = symmetric(values).to(dtype)
    found = lanczos(lambda v: matrix @ v, start(len(values), dtype), 40, 1e-4, count=3)
    assert found.values == pytest.approx((50.0, 30.0, 8.0), rel=1e-4)
    exact = torch.linalg.eigvalsh(matrix.double())
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert float((exact - value).abs().min()) <= residual + 1e-5
    assert found.lowest == pytest.approx(-20.0, rel=1e-3)
    assert found.products < 40
    assert found.asymmetry < 1e-5


def test_the_residual_is_the_residual() -> None:
    matrix = symmetric([float(i) for i in range(50)])
    found = lanczos(lambda v: matrix @ v, start(50), 6, 0.0)
    assert found.products == 6
    assert found.vector.norm() == pytest.approx(1.0)
    assert found.residuals[0] == pytest.approx(float((matrix @ found.vector - found.values[0] * found.vector).norm()), rel=1e-9)
    assert found.values[0] == pytest.approx(float(found.vector @ matrix @ found.vector), rel=1e-12)


def test_a_start_at_the_eigenvector_takes_one_product() -> None:
    matrix = symmetric([9.0, 3.0, 1.0, -4.0])
    vector = torch.linalg.eigh(matrix).eigenvectors[:, -1]
    found = lanczos(lambda v: matrix @ v, vector, 4, 1e-3)
    assert (found.products, found.values[0]) == (1, pytest.approx(9.0))


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_complete_krylov_space_ends_the_search(rank: int) -> None:
    matrix = symmetric([7.0, 5.0, 2.0][:rank] + [0.0] * (20 - rank))
    found = lanczos(lambda v: matrix @ v, start(20), 20, 0.0)
    assert found.products <= rank + 1
    assert found.values[0] == pytest.approx(7.0 if rank else 0.0)


def test_an_operator_that_is_not_symmetric_shows() -> None:
    matrix = symmetric([5.0, 4.0, 3.0, 2.0, 1.0])
    matrix[0] += 1.0
    assert lanczos(lambda v: matrix @ v, start(5), 5, 0.0).asymmetry > 0.05


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="not finite"):
        lanczos(lambda v: v * torch.inf, start(5), 5, 0.0)
