"""The moments of one signal, channel by channel, and its exact energy split.

For a signal x with samples n, channels c and positions p:

    m_c  = mean_{n,p} x                    channel mean
    m_nc = mean_p x                        sample-channel mean
    V_c  = mean_{n,p} (x - m_c)^2          channel variance (biased)
    B_c  = var_n m_nc                      its share that is constant in space and differs between samples

and, over all channels, mean x^2 = A + B + W with A = mean_c m_c^2, B = mean_c B_c, W = mean_c (V_c - B_c).

A recorder of the common mode lives where the mean dwarfs the spread, and there E[x^2] - E[x]^2 in float32 is worthless: at a ratio of
1000 it is 130 % wrong. So raw second moments are used only while the ratio is small, and a two-pass kernel takes over beyond it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure import fused
from bnprobe.measure.fused import GRAIN, SUMMARY
from bnprobe.measure.host_memory import looked_at
from bnprobe.measure.layout import Layout, by_samples

#: Above this m_c^2 / V_c one-pass second moments of a channel lose more than about 1e-5 and the two-pass kernel is used for it.
ONE_PASS_LIMIT = 10.0
#: Above this in any channel the approximate means are subtracted first: a difference of near numbers is exact.
SHIFT_LIMIT = 1e6
#: Below this largest magnitude the signal is scaled up before anything is squared.
TINY = 1e-12
#: Mean squares between which float32 holds the squares of a signal and their sum.
SQUARABLE = (1e-20, 1e20)


class Moments(NamedTuple):
    """What is kept of one signal.

    Attributes:
        samples: N.
        positions: P, 1 for a signal without positions.
        packed: (3 C + 8,) float64, on the host or on the signal's device: channel means m_c, channel variances V_c, their between-sample
            parts B_c, then the summary: smallest value, largest value, number of zeros, number of non-finite values, A, B,
            mean_c V_c, share of channels that are zero throughout. Where a value is not finite, vectors and energies are infinite. Of
            several steps together it has an axis of steps before this one.
    """

    samples: int
    positions: int
    packed: NDArray[np.float64] | torch.Tensor

    @property
    def channels(self) -> int:
        """C."""
        return (self.packed.shape[-1] - SUMMARY) // 3

    @property
    def size(self) -> int:
        """N C P, the number of values."""
        return self.samples * self.positions * self.channels

    @property
    def mean(self) -> Any:
        """(C,) channel means m_c."""
        return self.packed[..., : self.channels]

    @property
    def variance(self) -> Any:
        """(C,) channel variances V_c."""
        return self.packed[..., self.channels : 2 * self.channels]

    @property
    def between(self) -> Any:
        """(C,) between-sample parts B_c of the variances."""
        return self.packed[..., 2 * self.channels : 3 * self.channels]

    @property
    def summary(self) -> Summary:
        """What is known of all channels together."""
        return Summary(*self.packed[-SUMMARY:])


class Summary(NamedTuple):
    """The last numbers of ``Moments.packed``, of all channels together."""

    low: Any
    high: Any
    zeros: Any
    nonfinite: Any
    common: Any
    between: Any
    variance: Any
    dead: Any


def moments(x: torch.Tensor, layout: Layout) -> Moments:
    """Measure a signal.

    Args:
        x: floating-point tensor with at least one axis and one element, on any device; float16 and bfloat16 are computed in float32.
        layout: which axes are samples and channels.

    Returns:
        The moments. On an accelerator nothing is waited for.

    Raises:
        ValueError: the signal has no element.
    """
    x = x.resolve_neg()  # a lazily negated view has the other sign in memory
    if layout.is_single:
        x = x[None]
    # A class of its own may have its numbers elsewhere than in its memory.
    if x.dtype is torch.float32 and x.is_cpu and type(x) in (torch.Tensor, torch.nn.Parameter) and fused.available():
        how = fused.plan(tuple(x.shape), x.stride(), layout)
        if how is not None:
            packed, size = fused.packed_moments(x, how)
            if size >= TINY or size == 0.0:  # not NaN
                return Moments(how.true_samples, how.true_positions, packed)
    with torch.no_grad():
        return _moments_by_torch(x.detach(), layout)


def energies(x: torch.Tensor, layout: Layout) -> tuple[float, float]:
    """Measure two of a signal's moments alone, which takes a fraction of the time of all of them; on an accelerator it is waited for.

    Args:
        x: floating-point tensor with at least two axes and one element.
        layout: which axes are samples and channels.

    Returns:
        ``(A, mean x^2)``, the latter being A + B + W; infinite where a value is not finite.
    """
    with torch.no_grad():
        x = x.detach()[None] if layout.is_single else x.detach()
        channel = layout.channel % x.dim()
        mean = x.mean([axis for axis in range(x.dim()) if axis != channel], dtype=_precision(x))
        common = float(torch.linalg.vector_norm(mean)) ** 2 / mean.numel()
        # Sample by sample: one sum of millions of squares would lose digits in float32.
        lengths = torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), dtype=_precision(x))
        energy = float(torch.linalg.vector_norm(lengths)) ** 2 / x.numel()
    if SQUARABLE[0] < energy < SQUARABLE[1]:
        return min(common, energy), energy
    found = moments(x, layout._replace(is_single=False)).summary
    return float(found.common), float(found.common) + float(found.variance)


def _moments_by_torch(x: torch.Tensor, layout: Layout) -> Moments:
    """The same with torch alone: for accelerators, other dtypes, memory with gaps, non-finite values, and without a compiler."""
    if not x.numel():
        raise ValueError(f"a signal without elements has no moments: its shape is {tuple(x.shape)}")
    view, channels_last = by_samples(x, layout)
    samples, positions = view.shape[0], view.shape[1 if channels_last else 2]
    if not x.is_cpu:
        return Moments(samples, positions, _pack(*_on_accelerator(view, channels_last), _extremes_on_accelerator(x)))
    # A tensor stored channels-last is contiguous as (N, P, C): reductions over it run at full speed.
    low, high = (float(value) for value in torch.aminmax(view))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Moments(samples, positions, _not_finite(view, channels_last))
    mean, variance, between = _on_cpu(view, channels_last)
    if _is_tiny(low, high) or not math.isfinite(float(mean.sum() + variance.sum())):
        mean, variance, between = _rescaled(view, channels_last, max(-low, high))
    elif bool((mean * mean > SHIFT_LIMIT * variance).any()):
        mean, variance, between = _shifted(view, channels_last, mean)
    return Moments(samples, positions, _pack(mean, variance, between, [low, high, _zeros_on_cpu(view, low, high), 0.0]))


def _pack(mean: torch.Tensor, variance: torch.Tensor, between: torch.Tensor, extremes: torch.Tensor | list[float]) -> torch.Tensor:
    mean, variance, between = mean.double(), variance.double(), between.double()
    extremes = torch.as_tensor(extremes, dtype=torch.float64, device=mean.device)
    dead = ((mean == 0.0) & (variance == 0.0)).double()
    energies = torch.stack([(mean * mean).mean(), between.mean(), variance.mean(), dead.mean()])
    return torch.cat([mean, variance, between, extremes, energies])


def _on_cpu(view: torch.Tensor, channels_last: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    samples = view.shape[0]
    positions = view.shape[1 if channels_last else 2]
    if positions == 1:
        mean, variance = _two_pass(view.flatten(1), channel_axis=1)
        return mean, variance, variance
    position_axis = 1 if channels_last else 2
    sample_means = view.mean(position_axis, dtype=_precision(view))
    mean, between = _two_pass(sample_means, channel_axis=1)
    if channels_last:
        # The two-pass kernel is at its best with channels last, and one-pass norms along a middle axis are at their worst.
        return mean, torch.maximum(_two_pass(view.flatten(0, 1), channel_axis=1)[1], between), between
    norms = torch.linalg.vector_norm(view, dim=2, dtype=_precision(view))
    variance = norms.square_().sum(0).div_(samples * positions).sub_(mean * mean)
    uncertain = ~(variance * ONE_PASS_LIMIT >= mean * mean)  # NaN is
    if bool(uncertain.any()):
        variance[uncertain] = _two_pass(view[:, uncertain], channel_axis=1)[1].to(variance.dtype)
    # B and V are two roundings of nearby sums: where nothing varies within a sample, V must not fall below B.
    return mean, torch.maximum(variance, between), between


def _on_accelerator(view: torch.Tensor, channels_last: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One fused Welford pass over the signal; the rest works on (N, C) tables."""
    precise = view.to(_precision(view))
    within, sample_means = torch.var_mean(precise, dim=1 if channels_last else 2, correction=0)
    between, mean = torch.var_mean(sample_means, dim=0, correction=0)
    return mean, within.mean(0) + between, between


def _two_pass(x: torch.Tensor, channel_axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and biased variance per channel of (N, C) or (N, C, P), subtracting the mean before squaring."""
    if x.numel() > GRAIN and x.shape[channel_axis] != 1 and hasattr(torch, "batch_norm_update_stats"):
        # torch.var_mean is a scalar Welford loop on CPU; this kernel is 3 to 40 times faster and stable up to mean/std of 1e5, but starts
        # threads whatever the size. Float32 running tensors make it compute and return float32 for half-precision signals.
        zeros = torch.zeros(x.shape[channel_axis], dtype=_precision(x))
        mean, variance = torch.batch_norm_update_stats(x, zeros, zeros.clone(), 0.0)
        return mean, variance
    axes = [axis for axis in range(x.dim()) if axis != channel_axis]
    variance, mean = torch.var_mean(x.double(), dim=axes, correction=0)  # a plain loop: in float32 it rounds too much
    return mean, variance


def _precision(x: torch.Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _zeros_on_cpu(view: torch.Tensor, low: float, high: float) -> int:
    """Count exact zeros. A comparison in torch costs several passes; counting bit patterns costs less than one."""
    if low > 0.0 or high < 0.0:
        return 0
    if not view.is_contiguous() or type(view) is not torch.Tensor:
        return int(view.numel() - torch.count_nonzero(view))
    bits = looked_at(view, f"i{view.element_size()}")
    zeros = int(bits.size - np.count_nonzero(bits))
    negative_zero = np.iinfo(bits.dtype).min  # the least of all integers, so one fast pass tells whether there is any (dropout makes them)
    return zeros + (int(np.count_nonzero(bits == negative_zero)) if bits.min() == negative_zero else 0)


def _extremes_on_accelerator(x: torch.Tensor) -> torch.Tensor:
    low, high = torch.aminmax(x)
    zeros = x.numel() - torch.count_nonzero(x)
    nonfinite = x.numel() - torch.isfinite(x).sum()
    return torch.stack([low.double(), high.double(), zeros.double(), nonfinite.double()])


def _is_tiny(low: float, high: float) -> bool:
    """Whether squares of deviations could fall below the range of float32: a vanished gradient is to be small, not zero."""
    return 0.0 < max(-low, high) < TINY


def _rescaled(view: torch.Tensor, channels_last: bool, size: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, variance and between-sample part, in float64, of a signal whose squares leave the range of its type."""
    scale = 2.0 ** math.frexp(size)[1]  # a power of two: scaling rounds nothing
    small = (view.to(torch.float64) / scale).to(_precision(view))
    mean, variance, between = (part.double() for part in _on_cpu(small, channels_last))
    return mean * scale, variance * scale**2, between * scale**2


def _shifted(view: torch.Tensor, channels_last: bool, centre: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, in float64, variance and between-sample part of a signal that varies little around its means."""
    centre = centre.to(_precision(view))
    offset, variance, between = _on_cpu(view.to(_precision(view)) - (centre if channels_last else centre[:, None]), channels_last)
    return centre.double() + offset.double(), variance, between


def _not_finite(view: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """Describe a signal that holds NaN or infinity: its finite values, and how many are not."""
    kept = view[torch.isfinite(view)]
    extremes = [math.nan, math.nan, 0.0, float(view.numel() - kept.numel())]
    if kept.numel():
        extremes[:3] = [float(kept.min()), float(kept.max()), float(kept.numel() - torch.count_nonzero(kept))]
    infinite = torch.full((view.shape[2 if channels_last else 1],), math.inf)
    return _pack(infinite, infinite, infinite, extremes)
