"""The norm of all gradients, from those of each parameter."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from bnprobe.observe.instruments.gradient_watch import MANY, together


@pytest.mark.parametrize("count", [1, MANY, MANY + 1, 3000])
def test_many_norms_are_taken_together_as_few_are(count: int) -> None:
    norms = torch.rand(count, generator=torch.Generator().manual_seed(0))
    assert together(norms) == pytest.approx(math.sqrt(sum(norm * norm for norm in norms.tolist())), rel=1e-12)
    norms[0] = math.nan
    assert together(norms) == pytest.approx(math.sqrt(sum(norm * norm for norm in norms[1:].tolist())), rel=1e-12)
    norms[-1] = math.inf if count > 1 else math.nan
    with np.errstate(all="raise"):  # as the script may have it
        assert together(norms) == (math.inf if count > 1 else 0.0)


def test_ten_times_as_many_norms_take_far_less_than_ten_times_as_long() -> None:
    def seconds(norms: torch.Tensor) -> float:
        began = time.process_time()
        for _ in range(300):
            together(norms)
        return time.process_time() - began

    few, many = torch.rand(1000), torch.rand(10_000)
    assert min(seconds(many) / seconds(few) for _ in range(5)) < 7.0
