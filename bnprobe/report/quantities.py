"""What the page draws for every layer and step, each with its title, its unit, and what in it was not finite.

The numbers come from ``bnprobe.analyse``. Here they are only told apart: a value, a value that is not finite, and nothing observed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.common_mode import common_mode_fraction, has_space, spatial_common_mode_fraction
from bnprobe.analyse.depth_profile import log10, log10_rms
from bnprobe.analyse.stability import divergence
from bnprobe.analyse.units import dead_share
from bnprobe.analyse.updates import layer_gradient_norm, layer_update_ratio, layer_was_stepped
from bnprobe.analyse.views import SIGNALS, RunView, Signal
from bnprobe.store.reader import Run

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Quantity:
    """One number per step and layer.

    Attributes:
        key: identifier, also in the page's anchors.
        title: what it is, in words.
        meaning: how a newcomer reads it, a sentence.
        symbol: its formula or symbol with its unit, for the colour bar's title.
        logarithmic: whether the values are decimal logarithms, so that the colour bar writes powers of ten.
        limits: ends of the colour bar where the quantity has some by definition, else None.
        values: the function that computes it, (S, L).
        nonfinite: the function that says where it was observed but not finite, (S, L).
        of_weights: whether only layers with weights have it.
        of_space: whether only layers over an image or a sequence have it; the others are left hatched.
        is_compared: whether the page draws how far it differs between runs.
    """

    key: str
    title: str
    meaning: str
    symbol: str
    logarithmic: bool
    limits: tuple[float, float] | None
    values: Callable[[RunView], Array]
    nonfinite: Callable[[RunView], Mask]
    of_weights: bool = False
    of_space: bool = False
    is_compared: bool = True


@dataclass(frozen=True)
class Field:
    """A quantity of one run.

    Attributes:
        quantity: which.
        values: NaN where there is none, (S, L).
        nonfinite: where that is because it was not finite, (S, L).
        diverged: the row of the step axis at which training diverged; past the last one where it did not.
    """

    quantity: Quantity
    values: Array
    nonfinite: Mask
    diverged: int

    @cached_property
    def known_rows(self) -> NDArray[np.int64]:
        """Rows of the step axis at which any layer has a value or was not finite."""
        known: NDArray[np.int64] = np.flatnonzero((~np.isnan(self.values) | self.nonfinite).any(axis=1))
        return known

    @property
    def known(self) -> tuple[Array, Mask]:
        """Values, and where they were not finite, at the known rows, (R, L) each."""
        if len(self.known_rows) == len(self.values):  # nothing to copy
            return self.values, self.nonfinite
        return self.values[self.known_rows], self.nonfinite[self.known_rows]


def signal_nonfinite(run: Run, signal: Signal) -> Mask:
    """Where a signal held NaN or infinite values, (S, L); a layer that was not observed at a step is not among them."""
    return RunView.of(run).once(_NONFINITE[signal])


def _signal_nonfinite(run: RunView, signal: Signal) -> Mask:
    recorded = run.signal(signal)
    count = recorded.nonfinite
    observed = np.isfinite(count)
    broken: Mask = (observed & ((count > 0) | np.isnan(recorded.rms))) | np.isinf(recorded.rms)
    return broken


_NONFINITE = {signal: partial(_signal_nonfinite, signal=signal) for signal in SIGNALS}


def _update_nonfinite(run: RunView) -> Mask:
    """A norm is never missing where a step was observed and its optimizer trains the layer, so a gap there is a NaN of the training."""
    norm = run.once(layer_gradient_norm)
    known = np.logical_or.accumulate(np.isfinite(norm), axis=0)
    seen = run.observed()[:, None] & known & layer_was_stepped(run) & ~_are_inputs(run)
    return seen & ~np.isfinite(norm) | np.isinf(norm)


def _log10_update_ratio(run: RunView) -> Array:
    return np.where(_are_inputs(run), np.nan, log10(run.once(layer_update_ratio)))


def _are_inputs(run: Run) -> Mask:
    """Which layers stand for what a module received, (L,): the weights are the module's, which has a row of its own."""
    return np.array([layer.role == "input" for layer in run.layers], dtype=bool)


#: In the order of the page: what a newcomer looks for first.
QUANTITIES = (
    Quantity(
        "activation-rms",
        "Size of activations",
        "How large a layer's outputs are. It may differ between layers; over steps it should settle.",
        "rms, as the signal",
        True,
        None,
        lambda run: run.once(log10_rms),
        lambda run: signal_nonfinite(run, "activation"),
    ),
    Quantity(
        "gradient-rms",
        "Size of activation gradients",
        "How large a signal the backward pass hands to a layer. Where it fades or grows by decades, some layers do not train.",
        "rms, as the gradient",
        True,
        None,
        lambda run: log10_rms(run, "activation_gradient"),
        lambda run: signal_nonfinite(run, "activation_gradient"),
    ),
    Quantity(
        "update-ratio",
        "Update ratio",
        "How far a step moved a layer's weights, over their size. 1: as far as they are long.",
        "‖Δw‖ / ‖w‖",
        True,
        None,
        _log10_update_ratio,
        _update_nonfinite,
        of_weights=True,
    ),
    Quantity(
        "dead-share",
        "Dead channels",
        "1: every channel was zero for the whole batch, so that nothing passes and nothing is learnt here.",
        "share of channels",
        False,
        (0.0, 1.0),
        dead_share,
        lambda run: signal_nonfinite(run, "activation"),
        is_compared=False,
    ),
    Quantity(
        "common-mode",
        "Common-mode fraction of activations",
        "1: every sample looks the same to this layer.",
        "κ = A / (A + B + W)",
        False,
        (0.0, 1.0),
        lambda run: run.once(common_mode_fraction),
        lambda run: signal_nonfinite(run, "activation"),
    ),
    Quantity(
        "spatial-common-mode",
        "Spatial common-mode fraction of activations",
        "1: what this layer puts out has no detail over an image or a sequence. Hatched: it has neither.",
        "κₛ = (A + B) / (A + B + W)",
        False,
        (0.0, 1.0),
        lambda run: np.where(has_space(run), spatial_common_mode_fraction(run, "activation"), np.nan),
        lambda run: signal_nonfinite(run, "activation") & has_space(run),
        of_space=True,
        is_compared=False,
    ),
)


def field_of(run: Run, quantity: Quantity) -> Field:
    """Compute a quantity of a run. An exact zero of a logarithmic one (-inf) stays; all else that is not finite becomes NaN."""
    view = RunView.of(run)
    values = np.asarray(quantity.values(view), dtype=float)
    nonfinite = quantity.nonfinite(view)
    kept = values < np.inf if quantity.logarithmic else np.isfinite(values)  # NaN is not below anything
    diverged = view.once(divergence)
    return Field(quantity, np.where(kept & ~nonfinite, values, np.nan), nonfinite, view.steps if diverged is None else diverged.row)


def shared_limits(fields: Sequence[Field]) -> tuple[float, float]:
    """Return the ends of the colour scale that the same quantity of several runs shares.

    A logarithmic quantity spans its 2nd to 98th percentile up to the divergence, rounded outwards to whole decades: one step at 10^30
    would else paint all others in one colour. What lies beyond takes the end's colour, and the colour bar says so.
    """
    quantity = fields[0].quantity
    if quantity.limits is not None:
        return quantity.limits
    shown = [field.values[: field.diverged + 1] for field in fields]
    finite = np.concatenate([values[np.isfinite(values)] for values in shown])
    if not finite.size:
        return (0.0, 1.0)
    low, high = np.percentile(finite, [2, 98])
    return float(np.floor(low)), float(max(np.ceil(high), np.floor(low) + 1))
