from __future__ import annotations

import numpy as np
import pytest
import torch

from bnprobe.measure import fused
from bnprobe.measure.batch_norm import evaluation_gap
from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import moments


def test_the_gap_is_the_difference_of_the_two_modes_whichever_way_it_is_computed() -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(37, affine=False)
    with torch.no_grad():
        for _ in range(5):
            norm(3.0 * torch.randn(8, 37) + 2.0)
        x = torch.randn(64, 37)
        in_training = norm(x)
        in_evaluation = norm.eval()(x)
    right = float((in_training.double() - in_evaluation.double()).square().mean().sqrt())
    measured = moments(x, CHANNELS_FIRST)
    assert norm.running_mean is not None and norm.running_var is not None
    mean, variance = (one.double().numpy() for one in (norm.running_mean, norm.running_var))
    packed = np.asarray(measured.packed, dtype=np.float64)
    assert float(evaluation_gap(packed[:37], packed[37:74], mean, variance, norm.eps)) == pytest.approx(right, rel=1e-5)
    if fused.available():
        [gap] = fused.evaluation_gap(packed, norm.running_mean, norm.running_var, norm.eps)
        assert gap == pytest.approx(evaluation_gap(packed[:37], packed[37:74], mean, variance, norm.eps), rel=1e-13)
