"""A run's variables as attributes: ``view.loss``, ``view.activation.rms``. A name that the schema lacks fails when this file is imported.

Axes: S steps, L layers, P parameters, G parameter groups, N snapshots, C channels, K curvature probes, A audits, Q line probes, R points of
these.
What the schema says of each variable (unit, formula, source) stands there and not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES

Signal = Literal["activation", "activation_gradient"]
SIGNALS: tuple[Signal, ...] = ("activation", "activation_gradient")
Quantity = TypeVar("Quantity")


class Variable:
    """A variable of the run file under the attribute's own name, looked up once a view."""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute
        if attribute not in VARIABLES:
            raise KeyError(f"{owner.__name__}.{attribute} is no variable of the schema")

    def __get__(self, view: RunView, owner: type) -> NDArray[Any]:
        values = view[self._attribute]
        view.__dict__[self._attribute] = values  # found before this descriptor from now on
        return values


class SignalVariable:
    """A variable that the schema has of every kind of signal, by the last part of its name."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __set_name__(self, owner: type, attribute: str) -> None:
        self._attribute = attribute
        for signal in SIGNALS:
            if f"{signal}_{self._part}" not in VARIABLES:
                raise KeyError(f"{owner.__name__}.{attribute}: the schema has no {signal}_{self._part}")

    def __get__(self, view: SignalView, owner: type) -> NDArray[Any]:
        values = view.run[f"{view.signal}_{self._part}"]
        view.__dict__[self._attribute] = values
        return values


class SignalView:
    """One kind of signal, (S, L) each."""

    def __init__(self, run: Run, signal: Signal) -> None:
        self.run, self.signal = run, signal

    common_energy = SignalVariable("common_energy")
    between_energy = SignalVariable("between_energy")
    within_energy = SignalVariable("within_energy")
    rms = SignalVariable("rms")
    smallest = SignalVariable("min")
    largest = SignalVariable("max")
    nonfinite = SignalVariable("nonfinite")
    zeros = SignalVariable("zeros")


class RunView(Run):
    """A recorded run whose variables are attributes."""

    # one value a step, (S,)
    step = Variable()
    loss = Variable()
    step_seconds = Variable()
    observer_seconds = Variable()
    batch_size = Variable()
    micro_steps = Variable()
    repeated_backwards = Variable()
    evaluations = Variable()
    skipped = Variable()
    evaluation_batch_size = Variable()
    loss_scale = Variable()
    stale_gradient_norm = Variable()
    modules_training = Variable()
    modules_evaluating = Variable()
    model_training = Variable()
    softmax_twice = Variable()
    half_results = Variable()
    clip_norm = Variable()
    clip_limit = Variable()
    loss_cut_off = Variable()
    loss_pairs_all = Variable()
    loss_rectified = Variable()
    loss_of_one_class = Variable()
    loss_of_probabilities = Variable()
    target_smallest = Variable()
    target_largest = Variable()
    softmax_trivial = Variable()
    softmax_over_samples = Variable()
    samples_mixed = Variable()
    sequences_over_samples = Variable()
    views_over_samples = Variable()
    attention_logit_bound = Variable()
    attention_logit_deviation = Variable()
    attention_logit_deviation_least = Variable()
    flat_second_derivatives = Variable()
    target_rms = Variable()
    target_variance = Variable()
    output_variance = Variable()
    prediction_error = Variable()
    target_labels = Variable()
    target_classes = Variable()
    target_class = Variable()
    target_entropy = Variable()
    cross_entropy = Variable()
    constant_cross_entropy = Variable()
    error_target_smallest = Variable()
    error_target_largest = Variable()
    output_floor = Variable()
    output_ceiling = Variable()
    unreachable_error = Variable()
    # (S, G)
    learning_rate = Variable()
    momentum = Variable()
    weight_decay = Variable()
    # (S, L)
    activation_dead = Variable()
    batch_norm_values = Variable()
    batch_norm_gap = Variable()
    batch_norm_evaluation_gap = Variable()
    # (S, P)
    parameter_gradient_norm = Variable()
    weight_norm = Variable()
    update_norm = Variable()
    update_lost = Variable()
    parameter_local_gradient_norm = Variable()
    # snapshots: (N,), (N, C), (N, P), (N, L)
    snapshot = Variable()
    channel_mean = Variable()
    channel_variance = Variable()
    kernel_slice_mean = Variable()
    kernel_cmrr = Variable()
    row_difference = Variable()
    frozen_elements = Variable()
    forgotten_elements = Variable()
    # (L,), (P,), (C,), (G,)
    layer_dtype = Variable()
    layer_made_by = Variable()
    layer_repeat = Variable()
    parameter_dtype = Variable()
    channel = Variable()
    channel_layer = Variable()
    # curvature probes, (K,)
    curvature = Variable()
    curvature_sharpness = Variable()
    curvature_residual = Variable()
    curvature_lowest = Variable()
    curvature_preconditioned = Variable()
    curvature_preconditioned_residual = Variable()
    curvature_threshold = Variable()
    curvature_learning_rate = Variable()
    curvature_limit = Variable()
    curvature_settled = Variable()
    curvature_reason = Variable()
    # audits, (A,) and (A, L)
    audit = Variable()
    audit_loss = Variable()
    audit_loss_running = Variable()
    audit_loss_evaluation = Variable()
    audit_samples = Variable()
    audit_reason = Variable()
    audit_evaluation_gap = Variable()
    audit_coupling = Variable()
    audit_dropout_gap = Variable()
    audit_values = Variable()
    audit_time = Variable()
    audit_memory = Variable()
    # figures, (F,) and (F, P), and tables of one value after another
    figure = Variable()
    sign_coherence = Variable()
    gradient_noise = Variable()
    gradient_noise_samples = Variable()
    gradient_noise_square = Variable()
    gradient_kurtosis = Variable()
    gradient_tail_exponent = Variable()
    gradient_tail_low = Variable()
    gradient_tail_high = Variable()
    gradient_rms = Variable()
    gradient_largest = Variable()
    bin_step = Variable()
    bin_parameter = Variable()
    bin_place = Variable()
    bin_count = Variable()
    logit_step = Variable()
    logit_samples = Variable()
    logit_sample = Variable()
    logit_class = Variable()
    logit_gradient = Variable()
    singular_step = Variable()
    singular_of = Variable()
    singular_sample = Variable()
    singular_value = Variable()
    # line probes, (Q,), and their points, (R,) and (R, C)
    probe_step = Variable()
    probe_optimizer = Variable()
    probe_variant = Variable()
    probe_learning_rate = Variable()
    probe_loss = Variable()
    probe_reason = Variable()
    probe_critical_low = Variable()
    probe_critical_high = Variable()
    probe_divergence_low = Variable()
    probe_divergence_high = Variable()
    probe_point_probe = Variable()
    probe_point_s = Variable()
    probe_point_ratio = Variable()
    probe_channel_mean = Variable()
    probe_channel_variance = Variable()

    @classmethod
    def of(cls, run: Run) -> RunView:
        """Return a view of a run that shares its arrays; a view is its own."""
        if isinstance(run, cls):
            return run
        return cls(**{name: getattr(run, name) for name in Run.__dataclass_fields__})

    @cached_property
    def _channels(self) -> dict[int, slice]:
        found, first, count = np.unique(self.channel_layer, return_index=True, return_counts=True)
        return {int(layer): slice(int(start), int(start + length)) for layer, start, length in zip(found, first, count, strict=True)}

    def channel_slice(self, layer: int) -> slice:
        """Return the channels of one layer, which lie end to end, as a slice of the ``channel`` axis."""
        return self._channels.get(layer, slice(0, 0))

    @cached_property
    def activation(self) -> SignalView:
        """What layers gave out, or received where no layer produced it."""
        return SignalView(self, "activation")

    @cached_property
    def activation_gradient(self) -> SignalView:
        """The gradient of the loss by that."""
        return SignalView(self, "activation_gradient")

    def once(self, quantity: Callable[[RunView], Quantity]) -> Quantity:
        """Return a quantity of this run, computed the first time it is asked for.

        Args:
            quantity: a function of a run, which also is the key.
        """
        known: dict[Callable[[RunView], Any], Any] = self.__dict__.setdefault("_known", {})
        if quantity not in known:
            known[quantity] = quantity(self)
        found: Quantity = known[quantity]
        return found

    def signal(self, signal: Signal) -> SignalView:
        """Return the signal of that name."""
        return self.activation if signal == "activation" else self.activation_gradient
