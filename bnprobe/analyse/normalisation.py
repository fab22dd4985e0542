"""The layers of a run that normalise, what each received, and the weights whose scale they make irrelevant."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.decay import ADAPTIVE, GATHERING, norms_held
from bnprobe.analyse.layers import is_matrix, module_of
from bnprobe.analyse.views import RunView

Array = NDArray[np.float64]
Family = Literal["batch", "instance", "group", "layer", "rms", "other"]

#: By what a class is called; one that is called otherwise is a batch norm if it was seen to keep running statistics of the batches.
_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("BatchNorm", "batch"),
    ("InstanceNorm", "instance"),
    ("GroupNorm", "group"),
    ("RMSNorm", "rms"),
    ("LayerNorm", "layer"),
)
#: Modules that hand a factor on: of c x they make c f(x), for c > 0.
_HOMOGENEOUS = ("ReLU", "LeakyReLU", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d")


class Norm(NamedTuple):
    """One call of a module that normalises.

    Attributes:
        layer: its index.
        family: over what it takes its statistics.
    """

    layer: int
    family: Family


def norms(run: RunView) -> list[Norm]:
    """Return the calls that normalise, model by model in order of depth."""
    found = []
    for index in _in_order(run):
        layer = run.layers[index]
        family = next((family for name, family in _FAMILIES if name in layer.type), None)
        if family is None and layer.kind == "normalisation":
            family = "batch" if np.isfinite(run.batch_norm_gap[:, index]).any() else "other"
        if layer.role == "output" and family is not None:
            found.append(Norm(index, family))
    return found


def received(run: RunView, layer: int) -> int | None:
    """Return the signal that a layer took in: its measured input, or the output recorded just before it; None where that is not known.

    What modules inside the layer gave, as the activation that a norm holds, was recorded before the layer's own output, and is not that.
    """
    in_order = _in_order(run)
    place = _before(run, in_order, in_order.index(layer))
    if place < 0:
        return None
    before = run.layers[in_order[place]]
    return in_order[place] if before.model == run.layers[layer].model and before.channels == run.layers[layer].channels else None


def scale_free_weights(run: RunView) -> dict[int, int]:
    """Map each weight whose scale a norm takes out again to that norm.

    It belongs to a module whose output went into the norm at once, or through modules that hand a factor on. A sum or another operation
    between the two would have been measured as the norm's own input. For layers after the first call of a module its last norm counts.

    Returns:
        Place of the weight, or of the bias beside it, on the parameter axis -> layer that normalises.
    """
    in_order = _in_order(run)
    owned: dict[str, list[int]] = {}
    for place, parameter in enumerate(run.parameters):
        owned.setdefault(parameter.layer, []).append(place)
    found: dict[int, int] = {}
    for norm, _ in norms(run):
        place = _before(run, in_order, in_order.index(norm))
        while place >= 0 and _hands_on(run, in_order[place], norm):
            place -= 1
        source = run.layers[in_order[place]] if place >= 0 else None
        if (
            source is None
            or source.role != "output"
            or source.model != run.layers[norm].model
            or source.kind not in ("convolution", "linear")
        ):
            continue
        for weight in owned.get(module_of(source.name), ()):
            if is_matrix(run.parameters[weight].shape):
                found[weight] = norm
    return found


class EffectiveRate(NamedTuple):
    """The course of lr / ||w||^2 of one weight.

    Attributes:
        first: at the first step.
        last: at the last step at which it is finite.
        by_weight: the part of last / first that the norm of the weight made, not the schedule: (||w_first|| / ||w_last||)^2.
        by_decay: what weight decay alone would have made of it, exp(2 sum lr wd / (1 - m)); NaN where an adaptive optimizer divides the
            decay by the size of past gradients.
        decay: largest weight decay in use.
    """

    first: float
    last: float
    by_weight: float
    by_decay: float
    decay: float


def effective_rate(run: RunView, parameter: int) -> EffectiveRate | None:
    """Describe the effective learning rate of a weight whose scale does not matter; None where norms or rates are not known.

    With f(c w) = f(w) the gradient is of size 1 / ||w||, and it is the direction of w that learns: at the rate lr / ||w||^2.
    """
    group = run.parameters[parameter].group
    if not 0 <= group < len(run.groups):
        return None
    optimizer = re.split(r"[\[# ]", run.groups[group])[0]
    rate, momentum, decay = (values[:, group].astype(float) for values in (run.learning_rate, run.momentum, run.weight_decay))
    norm = norms_held(run, [parameter])[:, 0]
    known = np.flatnonzero(np.isfinite(norm) & (norm > 0) & np.isfinite(rate))
    if known.size < 2:
        return None
    first, last = int(known[0]), int(known[-1])
    gathered = 1.0 / (1.0 - np.clip(np.nan_to_num(momentum), 0.0, 0.999)) if optimizer in GATHERING else 1.0
    taken = float(np.nansum(rate * decay * gathered))
    with np.errstate(over="ignore"):
        alone = float(np.exp(2.0 * taken)) if optimizer not in ADAPTIVE or optimizer == "AdamW" else float("nan")
    return EffectiveRate(
        first=float(rate[first] / norm[first] ** 2),
        last=float(rate[last] / norm[last] ** 2),
        by_weight=float((norm[first] / norm[last]) ** 2),
        by_decay=alone,
        decay=float(np.nanmax(decay, initial=0.0)),
    )


class Likeness(NamedTuple):
    """How far the means of batches are apart, against what chance makes of independent samples.

    Attributes:
        layer: the data: a signal that no module and no weight made.
        ratio: mean over channels of var over batches of the channel mean, over its expectation sigma^2 / (n - 1).
        degrees: independent numbers that the estimate rests on: channels that vary together count as one.
        batches: how many were compared.
    """

    layer: int
    ratio: float
    degrees: float
    batches: int


def likeness_of_batches(run: RunView) -> Likeness | None:
    """Compare the means of the data in the batches whose channels were stored; None where there are no such data, or too few batches.

    Of n independent samples with between-sample variance B (biased) a channel's mean has variance B / (n - 1), whatever the weights are:
    the data do not depend on them. B is known of every measured step, channels of some. The colours of a grey picture are one channel, so
    that channels are counted by (tr S)^2 / tr S^2 of the covariance S of their means over batches.

    Where optimizers step in turn, a network may be given the data in one turn and what another network made of noise in the other: turns
    are told apart, and the most alike one counts.
    """
    data = next(
        (
            i
            for i in _in_order(run)
            if run.layers[i].role == "input" and not str(run.layer_made_by[i]) and run.layers[i].kind != "normalisation"
        ),
        None,
    )
    data = data if data is not None else next((i for i in _in_order(run)[:1] if run.layers[i].role == "input"), None)
    if data is None or not run.snapshot.size:
        return None
    stored = np.isin(run.snapshot, run.step)
    rows = np.searchsorted(run.step, run.snapshot[stored])
    means = run.channel_mean[stored, run.channel_slice(data)].astype(float)
    samples = run.batch_size / np.maximum(run.micro_steps, 1)
    between = run.activation.between_energy[:, data].astype(float)
    known = np.isfinite(between) & (samples > 1)
    kept = np.isfinite(means).all(axis=1) & known[rows]
    if not means.shape[1]:
        return None
    turn = turns(run)
    found = []
    for one in np.unique(turn):
        batches = kept & (turn[rows] == one)
        if batches.sum() < 3:
            continue
        of_turn = known & (turn == one)
        of_a_sample = float(np.mean(between[of_turn] * samples[of_turn] / (samples[of_turn] - 1)))
        expected = of_a_sample * float(np.mean(1.0 / samples[rows[batches]]))
        apart = float(np.mean(np.var(means[batches], axis=0, ddof=1)))
        degrees = (int(batches.sum()) - 1) * _channels_apart(means[batches])
        found.append(Likeness(data, apart / expected if expected > 0 else float("nan"), degrees, int(batches.sum())))
    return min(found, key=lambda one: one.ratio if np.isfinite(one.ratio) else np.inf, default=None)


def turns(run: RunView) -> NDArray[np.int64]:
    """Number the turn of each step, (S,): steps in which the same optimizers moved weights have one number."""
    _, turn = np.unique(np.isfinite(run.learning_rate), axis=0, return_inverse=True)
    return turn.reshape(-1)


def _channels_apart(means: Array) -> float:
    """Count the channels that vary by themselves, (batches, channels): from 1 to all of them."""
    apart = np.linalg.svd(means - means.mean(axis=0), compute_uv=False) ** 2
    square = float(np.sum(apart**2))
    return float(np.sum(apart)) ** 2 / square if square > 0 else 1.0


def _hands_on(run: RunView, index: int, norm: int) -> bool:
    layer = run.layers[index]
    return layer.model == run.layers[norm].model and layer.role == "output" and (layer.type in _HOMOGENEOUS or layer.kind == "pooling")


def _before(run: RunView, in_order: list[int], place: int) -> int:
    """Return the place before one, those of modules inside its module left out; -1 where there is none."""
    inside = f"{module_of(run.layers[in_order[place]].name)}."
    place -= 1
    while place >= 0 and run.layers[in_order[place]].name.startswith(inside):
        place -= 1
    return place


def _in_order(run: RunView) -> list[int]:
    return run.once(_layers_in_order)


def _layers_in_order(run: RunView) -> list[int]:
    return [i for *_, i in sorted((layer.model, layer.depth, i) for i, layer in enumerate(run.layers))]
