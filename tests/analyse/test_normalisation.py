"""How alike batches are: chance makes small batches unlike, and channels that are one count as one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bnprobe.analyse.normalisation import Likeness, likeness_of_batches
from bnprobe.diagnose.audit.batches import are_unlike, limit_of

STORED = np.array([0, 1, 2, 5, 10, 20, 50])


def recorded(seed: int, size: int, channels: int, colours: int = 1, apart: float = 0.0, generated: bool = False) -> Any:
    """Return batches of independent channels, each so many `colours` times; their means are `apart` deviations further apart."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal((60, size, channels)) + apart * random.standard_normal((60, 1, channels))
    samples = np.repeat(samples, colours, axis=2)
    rate = np.full((60, 2), 0.1)
    if generated:  # every second step another network made the samples, and learns to
        samples[1::2] += np.linspace(10, 5, 30)[:, None, None]
        rate[::2, 1] = rate[1::2, 0] = np.nan
    between = samples.var(axis=1).mean(axis=1, keepdims=True)
    layer = SimpleNamespace(model=0, depth=0, role="input", kind="convolution")
    run = SimpleNamespace(
        layers=[layer],
        layer_made_by=[""],
        snapshot=STORED,
        step=np.arange(60),
        channel_mean=samples.mean(axis=1)[STORED],
        channel_slice=lambda _: slice(None),
        batch_size=np.full(60, float(size)),
        micro_steps=np.ones(60),
        learning_rate=rate,
        activation=SimpleNamespace(between_energy=between),
    )
    run.once = lambda quantity: quantity(run)
    return run


def likeness(*args: Any, **settings: Any) -> Likeness:
    found = likeness_of_batches(recorded(*args, **settings))
    assert found is not None
    return found


@pytest.mark.parametrize(("size", "channels", "colours"), [(4, 1, 1), (4, 1, 3), (2, 1, 1), (32, 3, 1), (64, 1, 3)])
def test_random_batches_are_alike(size: int, channels: int, colours: int) -> None:
    """Fewer than one in a hundred recordings of random batches is told otherwise, and on average the ratio is 1."""
    found = [likeness(seed, size, channels, colours) for seed in range(500)]
    assert sum(map(are_unlike, found)) <= 4
    assert np.mean([one.ratio for one in found]) == pytest.approx(1.0, abs=0.1)


def test_means_of_batches_that_are_apart_are_told() -> None:
    """With batches a deviation apart a mean of 16 has 17 times the variance that chance makes."""
    found = [likeness(seed, 16, 3, apart=1.0) for seed in range(100)]
    assert sum(map(are_unlike, found)) >= 99
    assert np.mean([one.ratio for one in found]) == pytest.approx(17.0, rel=0.15)


def test_what_another_network_made_is_no_batch_of_the_data() -> None:
    found = [likeness(seed, 16, 3, generated=True) for seed in range(100)]
    assert sum(map(are_unlike, found)) <= 1
    assert {one.batches for one in found} == {5}
    assert sum(are_unlike(likeness(seed, 16, 3, apart=3.0, generated=True)) for seed in range(20)) == 20


def test_equal_channels_count_as_one() -> None:
    assert likeness(0, 16, 1, colours=3).degrees == pytest.approx(6.0)
    assert 6.0 < likeness(0, 16, 20).degrees < 6 * 20


def test_the_limit_is_the_quantile_of_chi_square() -> None:
    from scipy.stats import chi2, norm

    for degrees in (3.0, 6.0, 12.0):
        exact = chi2.ppf(norm.cdf(3.0), degrees) / degrees
        assert limit_of(Likeness(0, 1.0, degrees, 7)) == pytest.approx(max(3.0, exact), rel=0.02)
