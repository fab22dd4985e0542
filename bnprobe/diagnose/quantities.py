"""What several causes ask for of a recording: where to look, and quantities, each computed once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import common_mode, depth_profile, robust, stability, units, updates
from bnprobe.analyse.depth_profile import Span
from bnprobe.analyse.layers import TRANSFORMING, described, profile_layers
from bnprobe.analyse.stability import Deviation, Divergence, LossCourse
from bnprobe.analyse.views import RunView, Signal
from bnprobe.diagnose import thresholds
from bnprobe.store.reader import Run

Array = NDArray[np.float64]


class Quantities:
    """Quantities of a run. Rows are places on the step axis; `step` turns a row into the optimizer step that a person counts.

    Attributes:
        recorded: the recording.
    """

    def __init__(self, run: Run) -> None:
        self.recorded = RunView.of(run)

    @cached_property
    def elapsed(self) -> NDArray[np.int64]:
        """Steps between the first recorded one and each row, (S,): rows may be few of the steps (``record --keep``, restarts)."""
        return np.asarray(self.recorded.step - self.recorded.step[:1])

    @property
    def steps_spanned(self) -> int:
        """Steps from the first recorded one to the last, both included; 0 where there is none."""
        return int(self.elapsed[-1]) + 1 if self.elapsed.size else 0

    # -- its steps, its loss and its batches ---------------------------------------------------------------------------------

    @cached_property
    def divergence(self) -> Divergence | None:
        """Where training diverged."""
        return self.recorded.once(stability.divergence)

    @cached_property
    def course(self) -> LossCourse | None:
        """Where the loss came from and went, before any divergence."""
        return self.recorded.once(stability.loss_course)

    @cached_property
    def has_batches(self) -> bool:
        """Whether most forwards see several samples: of a single one everything is common by definition."""
        samples, micro_steps = robust.median(self.recorded.batch_size), robust.median(self.recorded.micro_steps)
        return not samples <= max(float(micro_steps), 1.0)

    @cached_property
    def classes(self) -> int:
        """Outputs of the deepest layer with weights, 0 where there is none."""
        return self.recorded.layers[self.last_layer].channels if self.last_layer is not None else 0

    # -- where to look --------------------------------------------------------------------------------------------------

    @cached_property
    def profile(self) -> NDArray[np.int64]:
        """Layers whose size is followed along depth."""
        return self.recorded.once(profile_layers)

    @property
    def is_convolutional(self) -> bool:
        """Whether the profile is one of convolutions, which is where batch norm and mean shift rejection belong."""
        return bool(self.profile.size) and self.recorded.layers[self.profile[0]].kind == "convolution"

    @property
    def is_normalised(self) -> bool:
        """Whether any layer normalises."""
        return any(layer.kind == "normalisation" for layer in self.recorded.layers)

    @cached_property
    def deepest_weights(self) -> dict[int, int]:
        """Depth of the deepest layer that carries weights, by model."""
        weighted = [layer for layer in self.recorded.layers if layer.kind in TRANSFORMING]
        return {layer.model: layer.depth for layer in sorted(weighted, key=lambda one: one.depth)}

    @cached_property
    def last_layer(self) -> int | None:
        """The deepest layer of the profile's model that carries weights."""
        if not self.profile.size:
            return None
        model = self.recorded.layers[self.profile[0]].model
        owned = {parameter.layer for parameter in self.recorded.parameters}
        deepest = [
            (layer.depth, i)
            for i, layer in enumerate(self.recorded.layers)
            if (layer.model, layer.role) == (model, "output") and (layer.name in owned or i in self.profile)
        ]
        return max(deepest)[1] if deepest else None

    @cached_property
    def measured_rows(self) -> NDArray[np.int64]:
        """Rows at which activations were measured."""
        return self.recorded.once(stability.measured_rows)

    @cached_property
    def baseline_rows(self) -> NDArray[np.int64]:
        """Early rows, the run's own baseline."""
        return self.recorded.once(stability.baseline_rows)

    @cached_property
    def first_row(self) -> int | None:
        """The first measured row: its forward pass came before the first update if it is step 0."""
        return int(self.measured_rows[0]) if self.measured_rows.size else None

    @cached_property
    def late_row(self) -> int | None:
        """The last measured row up to a divergence, or of all, at which most of the depth profile was still finite."""
        end = self.divergence.row if self.divergence is not None else self.recorded.steps - 1
        rows = self.measured_rows[self.measured_rows <= end]
        if self.profile.size:
            finite = np.isfinite(self.size[np.ix_(rows, self.profile)])
            rows = rows[finite.sum(axis=1) * 2 > self.profile.size]
        return int(rows[-1]) if rows.size else self.first_row

    def step(self, row: int | None) -> int | None:
        """The optimizer step of a row."""
        return None if row is None else int(self.recorded.step[row])

    def name(self, layer: int) -> str:
        """A layer's dotted name."""
        return self.recorded.layers[layer].name

    def place(self, layer: int) -> str:
        """A layer's name as it reads in a sentence: with its type where it is a bare number, as in nn.Sequential."""
        return described(self.recorded.layers[layer])

    # -- quantities ---------------------------------------------------------------------------------------------------

    @cached_property
    def kappa(self) -> Array:
        """Common-mode fraction of the activations, (S, L)."""
        return self.recorded.once(common_mode.common_mode_fraction)

    @cached_property
    def growth_of_parts(self) -> tuple[Array, Array]:
        """Slope along depth of the common part and of the input-dependent part, decades per layer, (S,) each."""
        return self._growth_of_parts(slice(None))

    def growth_of_parts_at(self, row: int) -> tuple[float, float]:
        """The same at one row; slopes at every step take long."""
        common, dependent = self._growth_of_parts(slice(row, row + 1))
        return float(common[0]), float(dependent[0])

    def _growth_of_parts(self, rows: slice) -> tuple[Array, Array]:
        common, dependent = self.recorded.once(common_mode.common_rms)[rows], self.recorded.once(common_mode.input_dependent_rms)[rows]
        return (
            depth_profile.slope_of(depth_profile.log10(common), self.profile),
            depth_profile.slope_of(depth_profile.log10(dependent), self.profile),
        )

    @cached_property
    def size(self) -> Array:
        """log10 rms of the activations, (S, L)."""
        return self.recorded.once(depth_profile.log10_rms)

    @cached_property
    def update_ratio(self) -> Array:
        """||dw|| / ||w|| by layer, (S, L)."""
        return self.recorded.once(updates.layer_update_ratio)

    @cached_property
    def step_size(self) -> Array:
        """||dw|| by layer over ||w|| or, where that is smaller, over the norm of a usual initialisation, (S, L)."""
        return self.recorded.once(updates.layer_step_size)

    @cached_property
    def layer_gradient(self) -> Array:
        """Norm of the gradient over the parameters of each layer's module, (S, L)."""
        return self.recorded.once(updates.layer_gradient_norm)

    @cached_property
    def gradient_norm(self) -> Array:
        """Norm of the gradient over all parameters, (S,)."""
        return updates.total_norm(self.recorded.parameter_gradient_norm)

    @cached_property
    def dead_share(self) -> Array:
        """Share of channels silent over the last steps, (L,)."""
        return units.lasting_dead_share(self.recorded, thresholds.DEAD_STEPS if self.has_batches else thresholds.DEAD_SINGLE_SAMPLES)

    def energy_of_samples(self, layer: int) -> tuple[Array, Array]:
        """A layer's energy that is not common to all samples, and its share of all energy, at the measured rows where both are known."""
        signal = self.recorded.activation
        energy = (signal.between_energy + signal.within_energy)[self.measured_rows, layer]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = energy / (energy + signal.common_energy[self.measured_rows, layer])
        known = np.isfinite(share)
        return energy[known], share[known]

    def span(self, row: int | None, signal: Signal = "activation") -> Span | None:
        """The depth profile at a row."""
        return None if row is None else depth_profile.span(self.recorded, row, signal)

    @cached_property
    def activation_deviations(self) -> list[Deviation]:
        """Layers whose activations left their baseline, first to deviate first."""
        return self.recorded.once(stability.deviations)

    @cached_property
    def first_deviation(self) -> Deviation | None:
        """The layer that deviated from its baseline first: what every sentence and page means by "first"."""
        return stability.first_deviation(self.activation_deviations, self.gradient_deviations)

    @cached_property
    def gradient_deviations(self) -> list[Deviation]:
        """Layers whose activation gradients left their baseline, first to deviate first."""
        return self.recorded.once(stability.gradient_deviations)
