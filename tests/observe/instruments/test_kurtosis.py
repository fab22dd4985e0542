"""Kurtosis over channels against its definition, in float64."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
import torch

from bnprobe.measure.layout import CHANNELS_FIRST
from bnprobe.measure.moments import Moments, moments
from bnprobe.observe.instruments.instrument import Surroundings
from bnprobe.observe.instruments.kurtosis import Kurtosis


def found(x: torch.Tensor) -> tuple[float | None, float | None]:
    measured = moments(x, CHANNELS_FIRST)
    host: Any = np.asarray(measured.packed, dtype=np.float64)
    columns = Kurtosis(cast(Surroundings, None)).from_moments({4: Moments(measured.samples, measured.positions, host)})
    return columns.get("activation_kurtosis", {}).get(4), columns.get("activation_outlier_channel", {}).get(4)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e15])
def test_it_is_that_of_the_channels_root_mean_squares(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 5, 4, generator=generator) + torch.tensor([0.0, 1.0, -7.0, 2.0, 0.0])[:, None]
    size = x.double().square().mean((0, 2)).sqrt()
    kurtosis, outlier = found(x * scale)
    assert kurtosis == pytest.approx(float(size.pow(4).mean() / size.square().mean() ** 2), rel=1e-5)
    assert outlier == 2


def test_channels_of_one_size_have_1_and_one_that_carries_everything_has_their_number() -> None:
    assert found(torch.ones(3, 8))[0] == pytest.approx(1.0)
    x = torch.zeros(3, 8)
    x[:, 5] = -2.0
    assert found(x) == (pytest.approx(8.0), 5.0)


@pytest.mark.parametrize("x", [torch.zeros(3, 8), torch.ones(3, 1), torch.full((3, 8), math.nan)])
def test_where_there_is_nothing_to_compare_it_is_missing(x: torch.Tensor) -> None:
    assert found(x) == (None, None)


def test_layers_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(0)
    signals = [torch.randn(6, width, generator=generator) for width in (5, 1, 3, 8)]
    signals[2] = torch.zeros(6, 3)
    alone = [found(x) for x in signals]
    host = [Moments(6, 1, np.asarray(moments(x, CHANNELS_FIRST).packed, dtype=np.float64)) for x in signals]
    columns = Kurtosis(cast(Surroundings, None)).from_moments(dict(enumerate(host)))
    assert list(columns["activation_kurtosis"]) == [0, 3]
    for place in (0, 3):
        assert (columns["activation_kurtosis"][place], columns["activation_outlier_channel"][place]) == pytest.approx(alone[place])
