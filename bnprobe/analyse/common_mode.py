"""Common mode: how much of a signal is the same for every input, and so says nothing about any of them.

The energy of a signal x with batch n, channel c and positions p splits exactly into mean x^2 = A + B + W, with A = mean_c m_c^2
common to the whole batch, B = mean_c var_n(m_nc) constant in space but different by sample, W = mean_{n,c} var_p(x) varying in
space. The split follows the mean shift of Ruff, Beck, Bach 2019 (arXiv 1911.13173); 1 - A / (A + B + W) is the input-dependent
share of Luther and Seung.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.views import RunView, Signal
from bnprobe.store.reader import Run

Array = NDArray[np.float64]
Rows = NDArray[np.int64] | slice

#: All rows of the step axis.
EVERY = slice(None)


def common_mode_fraction(run: Run, signal: Signal = "activation", rows: Rows = EVERY) -> Array:
    """Fraction kappa = A / (A + B + W), (S, L) or at some rows of the step axis, dimensionless in [0, 1].

    NaN where nothing was observed or the signal is zero throughout.
    """
    common, between, within = _energies(run, signal, rows)
    return _ratio(common, common + between + within)


def spatial_common_mode_fraction(run: Run, signal: Signal = "activation", rows: Rows = EVERY) -> Array:
    """Fraction kappa_s = (A + B) / (A + B + W), (S, L) or at some rows: the share that is constant in space.

    It is what a kernel of zero spatial mean rejects (1911.13173).
    """
    common, between, within = _energies(run, signal, rows)
    return _ratio(common + between, common + between + within)


def has_space(run: Run, signal: Signal = "activation") -> NDArray[np.bool_]:
    """Which layers have an image or a sequence to be constant over, (L,): all but those that never varied within a sample, to the last bit.

    Such are a classifier's outputs and a table of positions. What overflowed tells nothing. A signal that was never seen is taken to have
    space.
    """
    within = RunView.of(run).signal(signal).within_energy
    never: NDArray[np.bool_] = (within == 0).any(axis=0) & ~((within > 0) & np.isfinite(within)).any(axis=0)
    return ~never


def mean_shift_in_sigmas(run: Run, signal: Signal = "activation") -> Array:
    """Shift s = sqrt(mean_c m_c^2 / mean_c v_c) = sqrt(A / (B + W)), (S, L): channel means in units of deviations.

    v_c = mean x^2 - m_c^2 for each channel, so mean_c v_c = (A + B + W) - A. Infinite where the signal is the same for every input.
    """
    common, between, within = _energies(run, signal)
    return np.sqrt(_ratio(common, between + within))


def drift(run: Run, signal: Signal = "activation") -> Array:
    """kappa(step) - kappa(first observed step), (S, L): common-mode drift in the course of training."""
    kappa = common_mode_fraction(run, signal)
    change: Array = kappa - robust.first_finite(kappa)
    return change


def input_dependent_rms(run: Run, signal: Signal = "activation") -> Array:
    """sqrt(B + W), (S, L): the size of what differs between inputs or positions, which is what a layer can learn from."""
    _, between, within = _energies(run, signal)
    rms: Array = np.sqrt(between + within)
    return rms


def common_rms(run: Run, signal: Signal = "activation") -> Array:
    """sqrt(A), (S, L): the size of what is the same for every input."""
    rms: Array = np.sqrt(_energies(run, signal)[0])
    return rms


def _energies(run: Run, signal: Signal, rows: Rows = EVERY) -> tuple[Array, Array, Array]:
    recorded = RunView.of(run).signal(signal)
    return recorded.common_energy[rows], recorded.between_energy[rows], recorded.within_energy[rows]


def _ratio(part: Array, whole: Array) -> Array:
    """Divide part by whole: NaN for 0 / 0 and for what is not finite, infinite for x / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = np.where(np.isfinite(part) & np.isfinite(whole), part / whole, np.nan)
    return ratio
