from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bnprobe.measure.kernels import kernel_common_mode


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (2, 5, 7), (3, 2, 3, 3, 3), (4, 4, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_agrees_with_sums_written_out(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.1).to(dtype)
    w = weight.double().numpy().reshape(*shape[:2], -1)
    worst = gain = common = differential = 0.0
    for o in range(shape[0]):
        for i in range(shape[1]):
            mean = sum(w[o, i]) / len(w[o, i])
            worst, gain = max(worst, abs(mean)), max(gain, abs(sum(w[o, i])))
            common += len(w[o, i]) * mean**2
            differential += sum((value - mean) ** 2 for value in w[o, i])
    measured = kernel_common_mode(weight)
    np.testing.assert_allclose(measured, (worst, math.sqrt(differential / common), gain), rtol=1e-12)


def test_a_kernel_without_means_rejects_without_limit() -> None:
    assert kernel_common_mode(torch.tensor([[[1.0, -1.0]]])) == (0.0, math.inf, 0.0)


def test_a_weight_that_is_not_finite_gives_no_number() -> None:
    assert all(math.isnan(value) for value in kernel_common_mode(torch.full((2, 2, 3), math.nan)))


def test_a_matrix_has_no_spatial_axes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) has no spatial axes"):
        kernel_common_mode(torch.zeros(2, 3))
