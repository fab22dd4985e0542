from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from bnprobe.measure.tails import BINS, hill, tail


def test_kurtosis_is_that_of_scipy() -> None:
    entries = torch.distributions.StudentT(5.0).sample((3000,)).reshape(60, 50)
    found = tail(entries)
    assert found is not None
    assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(entries.double().flatten().numpy(), fisher=False))
    assert found.rms == pytest.approx(float(entries.double().square().mean().sqrt()))


def test_the_exponent_of_a_pareto_tail_is_found() -> None:
    draws = torch.from_numpy(np.random.default_rng(0).pareto(2.5, 200_000) + 1.0)
    found = tail(draws * torch.from_numpy(np.random.default_rng(1).choice([-1.0, 1.0], 200_000)))
    assert found is not None
    assert found.exponent == pytest.approx(2.5, rel=0.05)
    assert found.low <= found.exponent <= found.high


def test_a_gaussian_has_no_heavy_tail() -> None:
    found = tail(torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert found is not None
    assert found.kurtosis == pytest.approx(3.0, abs=0.1)
    assert found.exponent > 6
    assert found.low < 0.7 * found.high  # it has none: the fewer entries count, the larger


def test_hill_by_its_definition() -> None:
    size = torch.tensor([9.0, 7.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    assert hill(size, 3) == pytest.approx(1 / np.mean(np.log(np.array([9.0, 7.0, 3.0]) / 2.0)))


def test_the_histogram_holds_every_entry() -> None:
    entries = torch.linspace(-2, 1, 700)
    found = tail(entries)
    assert found is not None
    assert len(found.counts) == BINS
    assert found.counts.sum() == 700
    assert found.largest == 2.0


@pytest.mark.parametrize("entries", [torch.zeros(10), torch.tensor([1.0, float("nan")]), torch.empty(0)])
def test_no_distribution(entries: torch.Tensor) -> None:
    assert tail(entries) is None


def test_too_few_entries_have_no_tail() -> None:
    found = tail(torch.randn(50))
    assert found is not None
    assert np.isnan(found.exponent)
