from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bnprobe.measure.kernels import kernel_common_mode


def written_out(weight: torch.Tensor) -> tuple[float, float]:
    shape = weight.shape
    w = weight.double().numpy().reshape(*shape[:2], -1)
    worst = common = differential = energy = 0.0
    for o in range(shape[0]):
        for i in range(shape[1]):
            mean = sum(w[o, i]) / len(w[o, i])
            worst = max(worst, abs(mean))
            common += len(w[o, i]) * mean**2
            differential += sum((value - mean) ** 2 for value in w[o, i])
            energy += sum(value**2 for value in w[o, i])
    return worst / math.sqrt(energy / w.size), math.sqrt(differential / common)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_agrees_with_sums_written_out(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3, 3, 3), (2, 5, 7), (3, 2, 3, 3, 3), (4, 4, 1, 1)]
    weights = [(torch.randn(shape, generator=generator) + 0.1).to(dtype) for shape in shapes]
    measured = kernel_common_mode(weights)
    np.testing.assert_allclose(measured.T.numpy(), [written_out(weight) for weight in weights], rtol=1e-12)


def test_what_is_no_kernel_keeps_its_place() -> None:
    weight = torch.tensor([[[1.0, 3.0]]])
    measured = kernel_common_mode([None, weight, None])
    assert measured.isnan().tolist() == [[True, False, True]] * 2
    assert measured[0, 1] == pytest.approx(2 / math.sqrt(5))
    assert kernel_common_mode([]).shape == (2, 0)


def test_a_kernel_without_means_rejects_without_limit() -> None:
    assert kernel_common_mode([torch.tensor([[[1.0, -1.0]]])]).tolist() == [[0.0], [math.inf]]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_weight_that_is_not_finite_or_zero_throughout_gives_no_number(value: float) -> None:
    assert kernel_common_mode([torch.full((2, 2, 3), value)]).isnan().all()


def test_a_matrix_has_no_spatial_axes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) has no spatial axes"):
        kernel_common_mode([torch.zeros(2, 3)])
