"""What one number of several ranks is, by variable of the schema, where it does not follow from moments or shards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bnprobe.ranks.signals import weighted

Array = NDArray[np.float64]
#: (G, ...) values and shares of groups of ranks -> the value of all.
Rule = Callable[[Array, Array], Array]


def first(values: Array, shares: Array) -> Array:
    """The value of the first rank that has one: all ranks do the same there."""
    del shares
    result = values[0]
    for own in values[1:]:
        result = np.where(np.isnan(result), own, result)
    return np.asarray(result)


def total(values: Array, shares: Array) -> Array:
    """The sum."""
    del shares
    return np.asarray(np.where(np.isnan(values).all(axis=0), np.nan, np.nansum(values, axis=0)))


def mean(values: Array, shares: Array) -> Array:
    """The mean, weighted by samples."""
    return weighted(shares, values)


def root_mean_square(values: Array, shares: Array) -> Array:
    """The root of the mean square, weighted by samples."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt(weighted(shares, np.square(values))))


def smallest(values: Array, shares: Array) -> Array:
    """The smallest."""
    del shares
    return np.asarray(np.fmin.reduce(values))


def largest(values: Array, shares: Array) -> Array:
    """The largest."""
    del shares
    return np.asarray(np.fmax.reduce(values))


def unknown(values: Array, shares: Array) -> Array:
    """Nothing, unless there is one rank alone: it does not follow from the numbers of each."""
    del shares
    return first(values, values) if len(values) == 1 else np.full(values.shape[1:], np.nan)


#: What has a value of several ranks only where each of them has one.
OF_ALL = (total, mean, root_mean_square, smallest)


def applied(rule: Rule, values: Array, shares: Array, present: Array) -> Array:
    """Return what a rule makes of the values of groups; NaN where one that took the step lacks what the rule needs of all.

    Args:
        rule: the rule.
        values: (G, S), NaN where a group has none.
        shares: (G, S) of the groups.
        present: (G, S) NaN where a group did not take the step.
    """
    if rule in OF_ALL:
        values = np.where((np.isnan(values) & ~np.isnan(present)).any(axis=0), np.nan, values)
    return rule(values, shares)


#: Variables along ``step``. What is the same on all ranks, or means nothing of several, is the first's.
STEP: dict[str, Rule] = {
    "loss": mean,
    "wall_time": largest,
    "step_seconds": largest,
    "observer_seconds": largest,
    "batch_size": total,
    "micro_steps": largest,
    "repeated_backwards": largest,
    "skipped": largest,
    "layers_observed": smallest,
    "clip_norm": first,
    "clip_limit": first,
    "gradient_norm": first,
    "loss_rows": total,
    "evaluation_batch_size": total,
    "loss_scale": first,
    "stale_gradient_norm": largest,
    "modules_training": largest,
    "modules_evaluating": largest,
    "model_training": smallest,
    "softmax_twice": largest,
    "loss_cut_off": largest,
    "loss_pairs_all": largest,
    "loss_rectified": largest,
    "loss_of_probabilities": largest,
    "loss_of_one_class": largest,
    "softmax_trivial": largest,
    "softmax_over_samples": largest,
    "samples_mixed": largest,
    "sequences_over_samples": largest,
    "views_over_samples": largest,
    "flat_second_derivatives": largest,
    "target_rms": root_mean_square,
    "target_variance": mean,
    "output_variance": mean,
    "prediction_error": mean,
    "target_smallest": smallest,
    "target_largest": largest,
    "target_labels": total,
    "target_classes": unknown,
    "target_class": unknown,
    "target_entropy": unknown,
    "cross_entropy": unknown,
    "constant_cross_entropy": unknown,
    "error_target_smallest": smallest,
    "error_target_largest": largest,
    "output_floor": first,
    "output_ceiling": first,
    "unreachable_error": mean,
    "attention_logit_bound": largest,
    "attention_logit_deviation": largest,
    "attention_logit_deviation_least": smallest,
    "half_results": largest,
    "evaluations": largest,
}
#: Variables along ``step`` and ``layer`` that are no energies.
STEP_LAYER: dict[str, Rule] = {
    "activation_min": smallest,
    "activation_max": largest,
    "activation_nonfinite": total,
    "activation_zeros": mean,
    "activation_values": total,
    "activation_gradient_min": smallest,
    "activation_gradient_max": largest,
    "activation_gradient_nonfinite": total,
    "activation_gradient_zeros": mean,
    "batch_norm_values": first,
    "batch_norm_gap": root_mean_square,
    "batch_norm_evaluation_gap": root_mean_square,
}
#: Those that need every channel: made from the merged ones, see ``merge``.
FROM_CHANNELS = ("activation_dead", "activation_kurtosis", "activation_outlier_channel")
