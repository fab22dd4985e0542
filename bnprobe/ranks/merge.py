"""Several ranks of one training as one run: what one process would have recorded that saw all their samples.

Whatever is along layers or parameters is merged some steps at a time: every step is merged by itself, and all ranks of all steps at once,
in double precision, would take several times what the files do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.ranks import rules, shards, signals
from bnprobe.ranks.aligned import Aligned, align
from bnprobe.ranks.batches import groups_of
from bnprobe.ranks.missing import as_dtype, floats
from bnprobe.ranks.passed import passed_of
from bnprobe.ranks.told import attributes_of, events_of, gaps_of, name_of
from bnprobe.store.reader import Layer, Parameter, Run
from bnprobe.store.schema import TEXT, VARIABLES

Array = NDArray[Any]
#: One variable of all ranks, in double precision, takes so many bytes at most while it is merged; seven are at hand at once.
BLOCK_BYTES = 4 * 2**20
#: Axes along which the first rank's values stand: looks at its own batch, which no other rank has.
_ASIDE = (
    "curvature",
    "audit",
    "figure",
    "bin",
    "logit",
    "singular",
    "probe",
    "probe_point",
    "what_if",
    "what_if_point",
    "what_if_layer",
    "resumption",
)


def merge(runs: Sequence[Run]) -> Run:
    """Merge ranks.

    Args:
        runs: two or more ranks of one training, by number. One that ended early is merged as far as it goes: ``ranks_merged`` says of each
            step how many were there.

    Returns:
        The run, with the ranks in ``ranks``. Gradients are those of the mean of the ranks' losses, as DistributedDataParallel averages.
    """
    aligned = align(runs)
    groups = groups_of(aligned)
    variables = _aside(runs[0])
    snapshots = _common_snapshots(aligned, groups)
    variables |= _of_steps(aligned, groups)
    variables |= _of_parts(aligned.only(variables["layers_observed"] == 1), groups, snapshots)
    variables |= _of_groups(aligned)
    variables |= _of_lists(aligned)
    variables |= passed_of(aligned, groups)
    events, gaps = events_of(runs), gaps_of(runs)
    lengths = {name: len(runs[0][name]) for name in _ASIDE}
    lengths |= {"step": len(aligned.steps), "layer": len(aligned.layers), "parameter": len(aligned.parameters)}
    lengths |= {"group": len(runs[0].groups), "channel": len(aligned.channel_layer), "snapshot": len(variables["snapshot"])}
    lengths |= {"event": len(events), "coverage": len(gaps), "passed": len(variables["passed"])}
    problems = [f"{name_of(run)}: {problem}" for run in runs for problem in run.problems] + aligned.problems
    attributes = attributes_of(runs)
    return Run(
        runs[0].path,
        attributes,
        aligned.layers,
        aligned.parameters,
        list(runs[0].groups),
        events,
        gaps,
        variables,
        problems,
        lengths,
        list(runs),
        groups,
    )


def _of_steps(aligned: Aligned, groups: list[list[int]]) -> dict[str, Array]:
    """Variables along ``step``, one value of each group of ranks."""
    present = signals.by_group(groups, aligned.stacked("step").astype(np.float64), missing=-1.0)
    shares = signals.shares_of(signals.by_group(groups, aligned.stacked("batch_size")), present)
    found: dict[str, Array] = {"step": aligned.steps}
    for name, rule in rules.STEP.items():
        variable = VARIABLES[name]
        values = signals.by_group(groups, floats(aligned.stacked(name)))
        found[name] = as_dtype(variable.dtype, rules.applied(rule, values, shares, present))
    found["ranks_merged"] = np.sum(aligned.stacked("step") >= 0, axis=0).astype(np.int32)
    return found


def _of_parts(aligned: Aligned, groups: list[list[int]], snapshots: NDArray[np.int64]) -> dict[str, Array]:
    """Variables along layers, channels and parameters, merged a stretch of steps at a time."""
    parts = _parts(aligned, snapshots)
    is_split = np.zeros(len(aligned.layers), dtype=bool)
    for part, _ in parts:
        is_split |= _are_split(part, groups)
    found: dict[str, Array] = {}
    for part, rows in parts:
        own = snapshots[rows]
        for name, values in (_of_layers(part, groups, own, is_split) | _of_parameters(part, own)).items():
            is_of_steps = VARIABLES[name].dims[0] == "step"
            if name not in found:
                found[name] = np.empty((len(aligned.steps) if is_of_steps else len(snapshots), *values.shape[1:]), dtype=values.dtype)
            found[name][slice(part.first, part.first + len(part.steps)) if is_of_steps else rows] = values
    return found


def _parts(aligned: Aligned, snapshots: NDArray[np.int64]) -> list[tuple[Aligned, slice]]:
    """Cut the steps so that one variable of all ranks takes ``BLOCK_BYTES`` at most, and say which snapshots are in each part."""
    width = np.full(len(aligned.steps), max(len(aligned.layers), len(aligned.parameters), 1), dtype=np.int64)
    width[np.searchsorted(aligned.steps, snapshots)] += len(aligned.channel_layer)
    cost = np.cumsum(width) * (8 * len(aligned.runs))
    cuts = np.flatnonzero(np.diff(cost // BLOCK_BYTES)) + 1
    bounds = [0, *cuts.tolist(), len(aligned.steps)]
    parts = []
    for first, stop in itertools.pairwise(bounds):
        part = aligned.part(first, stop)
        rows = np.searchsorted(snapshots, (part.steps[0], part.steps[-1] + 1)) if len(part.steps) else (0, 0)
        parts.append((part, slice(int(rows[0]), int(rows[1]))))
    return parts


def _of_layers(aligned: Aligned, groups: list[list[int]], snapshots: NDArray[np.int64], is_split: NDArray[np.bool_]) -> dict[str, Array]:
    """Variables along ``step`` and ``layer``, and every channel of the snapshots that all ranks kept."""
    count_of_groups = len(groups)
    count = count_of_groups * _world_size(aligned.runs) / len(aligned.runs)  # those whose file is missing were averaged, too
    values = signals.by_group(groups, aligned.stacked("activation_values"))
    measured = signals.side_by_side(groups, aligned.stacked("activation_rms"))
    is_counted = ~(np.isnan(values) & ~np.isnan(measured)).any(axis=0)
    shares = signals.weights(np.where(np.isnan(measured), np.nan, np.where(is_counted, values, 1.0)))
    rows = np.searchsorted(aligned.steps, snapshots)
    found: dict[str, Array] = {"snapshot": snapshots}
    for prefix, channels, scale in (("activation", "channel", 1.0), ("activation_gradient", "channel_gradient", 1.0 / count)):
        means = _channels(aligned, groups, f"{channels}_mean", snapshots)
        variances = _channels(aligned, groups, f"{channels}_variance", snapshots)
        own = np.where(np.isnan(signals.side_by_side(groups, aligned.stacked(f"{prefix}_rms"))), 0.0, shares)
        own = signals.weights(np.where(own > 0, own, np.nan))
        apart = np.full(own.shape[1:], np.nan)
        apart[rows] = signals.distance(own[:, rows], means, aligned.channel_layer, len(aligned.layers))
        apart[(own > 0).sum(axis=0) == 1] = 0.0  # of one group alone nothing is apart
        if count_of_groups > 1:
            apart[:, is_split] = np.nan
        found |= _energies(aligned, groups, prefix, own, apart, scale)
        mean, variance = signals.merged_channels(own[:, rows], means, variances, aligned.channel_layer)
        mean[:, is_split[aligned.channel_layer]] = variance[:, is_split[aligned.channel_layer]] = np.nan
        found[f"{channels}_mean"] = (mean * scale).astype(np.float32)
        found[f"{channels}_variance"] = (variance * scale**2).astype(np.float32)
        for part in ("min", "max"):
            name = f"{prefix}_{part}"
            found[name] = (rules.STEP_LAYER[name](aligned.stacked(name), own) * scale).astype(np.float32)
    for name, rule in rules.STEP_LAYER.items():
        if name not in found:
            found[name] = as_dtype(VARIABLES[name].dtype, rule(signals.side_by_side(groups, aligned.stacked(name)), shares))
    made = _from_channels(aligned, groups, found, rows)
    for values in made.values():
        values[:, is_split] = np.nan
    return found | made


def _are_split(aligned: Aligned, groups: list[list[int]]) -> NDArray[np.bool_]:
    """Layers whose channels are spread over ranks that saw the same data: each rank has others, and no rank the whole."""
    rms = aligned.stacked("activation_rms")
    found = np.zeros(len(aligned.layers), dtype=bool)
    for group in groups:
        own = rms[group]
        with np.errstate(invalid="ignore"):
            found |= (np.fmax.reduce(own) > np.fmin.reduce(own)).any(axis=0)
    return found


def _energies(aligned: Aligned, groups: list[list[int]], prefix: str, shares: Array, apart: Array, scale: float) -> dict[str, Array]:
    parts = {
        part: signals.weighted(shares, signals.side_by_side(groups, aligned.stacked(f"{prefix}_{part}_energy")))
        for part in ("common", "between", "within")
    }
    with np.errstate(invalid="ignore", over="ignore"):
        whole = parts["common"] + parts["between"] + parts["within"]
        is_infinite = np.isinf(whole)
        common = np.maximum(parts["common"] - apart, 0.0)
        between = parts["between"] + apart
    common[is_infinite], between[is_infinite], parts["within"][is_infinite] = np.inf, np.inf, np.inf
    return {
        f"{prefix}_common_energy": common * scale**2,
        f"{prefix}_between_energy": between * scale**2,
        f"{prefix}_within_energy": parts["within"] * scale**2,
        f"{prefix}_rms": (np.sqrt(whole) * scale).astype(np.float32),
    }


def _from_channels(aligned: Aligned, groups: list[list[int]], found: dict[str, Array], rows: Array) -> dict[str, Array]:
    """What follows from every channel's mean and variance; missing at other steps, but where a single group measured it."""
    result = {}
    shape = (len(aligned.steps), len(aligned.layers))
    mean, variance = found["channel_mean"].astype(np.float64), found["channel_variance"].astype(np.float64)
    own = {name: signals.side_by_side(groups, aligned.stacked(name)) for name in rules.FROM_CHANNELS}
    for name in rules.FROM_CHANNELS:
        values = np.full(shape, np.nan)
        alone = (~np.isnan(own[name])).sum(axis=0) == 1
        values[alone] = rules.first(own[name], own[name])[alone]
        result[name] = values
    result["activation_dead"][(own["activation_dead"] == 0).any(axis=0)] = 0.0  # a channel that lives on one rank lives
    for layer in range(len(aligned.layers)) if len(rows) else ():
        where = aligned.channel_layer == layer
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            energy = mean[:, where] ** 2 + variance[:, where]
            known = np.isfinite(energy).all(axis=1) & (where.sum() > 0)
            result["activation_dead"][rows[known], layer] = np.mean(energy[known] == 0, axis=1)
            top = energy.max(axis=1, initial=0.0)
            known &= (top > 0) & (where.sum() > 1)
            share = energy[known] / top[known, None]
            result["activation_kurtosis"][rows[known], layer] = np.mean(share**2, axis=1) / np.mean(share, axis=1) ** 2
            result["activation_outlier_channel"][rows[known], layer] = energy[known].argmax(axis=1) if known.any() else []
    return {name: values.astype(np.float32) for name, values in result.items()}


def _of_parameters(aligned: Aligned, snapshots: NDArray[np.int64]) -> dict[str, Array]:
    """Norms of parameters, and the norm of all gradients where they are sharded."""
    held = [_texts(aligned, rank, "parameter_shard") for rank in range(len(aligned.runs))]
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, how in enumerate(zip(*held, strict=True)):
        alike.setdefault(how, []).append(place)
    found: dict[str, Array] = {}
    for name in ("parameter_gradient_norm", "weight_norm", "update_norm"):
        values = aligned.stacked(name)
        found[name] = np.empty(values.shape[1:], dtype=np.float32)
        for how, places in alike.items():
            found[name][:, places] = shards.merged_norm(values[:, :, places], how)
    is_cut = np.array([any("S" in own for own in how) for how in zip(*held, strict=True)], dtype=bool)
    lost = aligned.stacked("update_lost")
    found["update_lost"] = np.where(is_cut, np.nan, rules.first(lost, lost)).astype(np.float32)
    if is_cut.any():
        norms = found["parameter_gradient_norm"].astype(np.float64)
        has_all = ~np.isnan(norms).all(axis=1)
        whole = np.where(has_all, np.sqrt(np.nansum(norms**2, axis=1)), np.nan)
        found["gradient_norm"] = whole
    for name in ("kernel_slice_mean", "kernel_cmrr", "row_difference"):
        found[name] = _at_snapshots(aligned, name, snapshots, is_cut)
    for name in ("frozen_elements", "forgotten_elements"):
        found[name] = _at_snapshots(aligned, name, snapshots)
    return found


def _of_groups(aligned: Aligned) -> dict[str, Array]:
    """Settings of the optimizers: the first rank's, which are everybody's, carried on by the next where it ends."""
    found = {}
    for name in ("learning_rate", "momentum", "weight_decay"):
        width = len(aligned.runs[0].groups)
        stacked = np.full((len(aligned.runs), len(aligned.steps), width), np.nan)
        for rank, run in enumerate(aligned.runs):
            own = run[name]
            stacked[rank, aligned.step_places[rank], : min(own.shape[1], width)] = own[aligned.step_rows[rank], :width]
        found[name] = rules.first(stacked, stacked).astype(VARIABLES[name].dtype)
    return found


def _of_lists(aligned: Aligned) -> dict[str, Array]:
    """What is said of each layer, channel, parameter and group."""
    found: dict[str, Array] = {}
    layer_fields = dict(zip(Layer._fields, ("layer", *(f"layer_{name}" for name in Layer._fields[1:])), strict=True))
    for attribute, name in layer_fields.items():
        found[name] = _array(VARIABLES[name].dtype, [getattr(layer, attribute) for layer in aligned.layers])
    names = ("parameter", "parameter_layer", "parameter_shape", "parameter_size", "parameter_group")
    for attribute, name in zip(Parameter._fields, names, strict=True):
        found[name] = _array(VARIABLES[name].dtype, [getattr(one, attribute) for one in aligned.parameters])
    for name in ("layer_dtype", "layer_made_by", "layer_repeat", "parameter_dtype"):
        places = aligned.layer_places if VARIABLES[name].dims == ("layer",) else aligned.parameter_places
        length = len(aligned.layers) if VARIABLES[name].dims == ("layer",) else len(aligned.parameters)
        values = _array(VARIABLES[name].dtype, [VARIABLES[name].missing] * length)
        for run, own in reversed(list(zip(aligned.runs, places, strict=True))):
            values[own] = run[name]
        found[name] = values
    starts = np.searchsorted(aligned.channel_layer, np.arange(len(aligned.layers)))
    found["channel_layer"] = aligned.channel_layer
    found["channel"] = (np.arange(len(aligned.channel_layer)) - starts[aligned.channel_layer]).astype(np.int32)
    found["group"] = aligned.runs[0]["group"]
    return found


# -- parts ------------------------------------------------------------------------------------------------------------


def _common_snapshots(aligned: Aligned, groups: list[list[int]]) -> NDArray[np.int64]:
    """Steps at which a rank of every group kept its channels, or of every group that was still there."""
    kept = [set().union(*(aligned.runs[rank]["snapshot"].tolist() for rank in group)) for group in groups]
    last = [max((int(aligned.runs[rank]["step"][-1]) for rank in group if aligned.runs[rank].steps), default=-1) for group in groups]
    every = sorted(set().union(*kept) & set(aligned.steps.tolist()))
    chosen = [step for step in every if all(step in own or step > end for own, end in zip(kept, last, strict=True))]
    return np.array(chosen, dtype=np.int64)


def _channels(aligned: Aligned, groups: list[list[int]], name: str, snapshots: NDArray[np.int64]) -> Array:
    """A variable of channels at the common snapshots, of each group: (G, N, C)."""
    found = np.full((len(aligned.runs), len(snapshots), len(aligned.channel_layer)), np.nan)
    for rank, run in enumerate(aligned.runs):
        mine, its = _rows_of(run, snapshots)
        if mine:
            found[rank][np.ix_(np.array(mine), aligned.channel_places[rank])] = run[name][its]
    return np.stack([rules.first(found[group], found[group]) for group in groups])


def _at_snapshots(aligned: Aligned, name: str, snapshots: NDArray[np.int64], is_cut: Array | None = None) -> Array:
    """A variable of layers or parameters at the common snapshots: of the first rank that has it; missing where each holds a part."""
    variable = VARIABLES[name]
    is_of_layers = variable.dims[1] == "layer"
    places = aligned.layer_places if is_of_layers else aligned.parameter_places
    width = len(aligned.layers) if is_of_layers else len(aligned.parameters)
    found = np.full((len(snapshots), width), np.nan)
    for rank, run in enumerate(aligned.runs):
        mine, its = _rows_of(run, snapshots)
        if mine:
            where = np.ix_(np.array(mine), places[rank])
            found[where] = np.where(np.isnan(found[where]), run[name][its], found[where])
    if is_cut is not None:
        found[:, is_cut] = np.nan
    return found.astype(variable.dtype)


def _rows_of(run: Run, snapshots: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Which of some snapshots a rank has: their rows among them, and its own rows."""
    own = {step: row for row, step in reversed(list(enumerate(run["snapshot"].tolist())))}
    pairs = [(row, own[step]) for row, step in enumerate(snapshots.tolist()) if step in own]
    return [row for row, _ in pairs], [row for _, row in pairs]


def _array(dtype: str, values: list[Any]) -> Array:
    return np.array(values, dtype=object if dtype == TEXT else dtype)


def _texts(aligned: Aligned, rank: int, name: str) -> list[str]:
    found = [""] * len(aligned.parameters)
    for place, text in zip(aligned.parameter_places[rank].tolist(), aligned.runs[rank][name].tolist(), strict=True):
        found[place] = str(text)
    return found


def _aside(run: Run) -> dict[str, Array]:
    return {name: values for name, values in run.variables.items() if VARIABLES[name].dims[0] in _ASIDE}


def _world_size(runs: Sequence[Run]) -> int:
    """Return how many ranks there were, at least those that there are."""
    text = str(runs[0].attributes.get("world_size", ""))
    return max(int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0, len(runs))
