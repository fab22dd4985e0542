"""What stands in a run file that a recording is to go on with."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.errors import RunFileError
from bnprobe.store.reader import agree, check_conventions, look, read_reply
from bnprobe.store.schema import DIMENSIONS
from bnprobe.store.superseded import columns_of, leave_out_superseded

Array = NDArray[Any]


@dataclass
class Earlier:
    """The part of a run file that whoever goes on with it has to know.

    Attributes:
        path: the file.
        attributes: its root attributes.
        lengths: rows of every axis in the file, those included that count no more.
        layers: name of each layer.
        layer_channels: its channels.
        layer_models: number of the model that it belongs to.
        parameters: name of each parameter.
        parameter_shapes: its shape, as text.
        parameter_layers: the module that owns it.
        groups: name of each parameter group.
        coverage: what could not be observed: subject, reason, how often.
        kept: the rows of layers, parameters and groups, as the writer takes them.
        steps: (S,) numbers of the steps that count, in no order.
        skipped: (S,) whether a gradient scaler skipped the update.
        weight_steps: (M,) the steps among them whose weights were measured.
        weight_norms: (M, P) norms of the parameters before the update of those.
        moves: (S', O) whether each optimizer moved its weights at each step that has its detail, in the order of the steps.
        wall_time: seconds from the start of the recording to the last step that was measured in time; 0 before the first.
    """

    path: Path
    attributes: dict[str, str | int | float]
    lengths: dict[str, int]
    layers: list[str]
    layer_channels: list[int]
    layer_models: list[int]
    parameters: list[str]
    parameter_shapes: list[str]
    parameter_layers: list[str]
    groups: list[str]
    coverage: dict[tuple[str, str], int]
    kept: dict[str, list[dict[str, object]]]
    steps: NDArray[np.int64]
    skipped: NDArray[np.bool_]
    weight_steps: NDArray[np.int64]
    weight_norms: NDArray[np.float32]
    moves: NDArray[np.bool_]
    wall_time: float

    @property
    def last_step(self) -> int:
        """The last step that was recorded, -1 where there is none."""
        return int(self.steps.max()) if self.steps.size else -1

    def notes_from(self, step: int) -> dict[str, str]:
        """Return the attributes that tell of something at a step, from one step on, with nothing in their place: it is void."""
        return {name: "null" for name, value in self.attributes.items() if _step_told(value) >= step}

    def seconds_since(self, created: object) -> float:
        """Return the time between the last recorded step and another moment (ISO 8601); NaN where a clock is not known."""
        began, then = _seconds(self.attributes.get("created")), _seconds(created)
        return max(then - began - self.wall_time, 0.0) if began is not None and then is not None else math.nan

    def forget_weights(self) -> None:
        """Give the memory of the norms back."""
        self.weight_steps, self.weight_norms = self.weight_steps[:0], self.weight_norms[:0]


def _step_told(value: object) -> float:
    """Return the step that an attribute tells of, which is then JSON; -1 where it tells of none."""
    if not isinstance(value, str) or not value.startswith("{"):
        return -1
    try:
        told = json.loads(value).get("step", -1)
    except ValueError:
        return -1
    return float(told) if isinstance(told, int | float) else -1


def _seconds(moment: object) -> float | None:
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except (ValueError, OverflowError):
        return None


def read_earlier(path: Path) -> Earlier:
    """Read what a recording that goes on with a run file has to know.

    Args:
        path: the run file.

    Returns:
        That.

    Raises:
        RunFileError: it cannot be read, or part of it is damaged: nothing is appended to such a file.
    """
    reply = read_reply(path, look(path).st_size, "earlier")
    check_conventions(path, reply.attributes)
    problems = list(reply.problems)
    lengths, arrays = agree(reply.arrays, problems)
    if problems:
        raise RunFileError(f"{path} is damaged ({problems[0]}); nothing can be appended to it", "record to another file with -o")
    in_file = {name: lengths.get(name, 0) for name in DIMENSIONS}
    kept = {axis: columns_of(arrays, axis) for axis in ("layer", "parameter", "group")}
    leave_out_superseded(arrays, lengths)

    def texts(name: str) -> list[str]:
        return [str(text) for text in arrays.get(name, ())]

    steps = arrays.get("step", np.zeros(0, dtype=np.int64)).astype(np.int64)
    passed = arrays.get("passed", steps[:0]).astype(np.int64)
    skipped = arrays["skipped"] == 1 if "skipped" in arrays else np.zeros(len(steps), dtype=bool)
    passed_skipped = arrays["passed_skipped"] == 1 if "passed_skipped" in arrays else np.zeros(len(passed), dtype=bool)
    measured = arrays["layers_observed"] == 1 if "layers_observed" in arrays else np.zeros(len(steps), dtype=bool)
    norms = arrays.get("weight_norm")
    times = arrays.get("wall_time", np.zeros(0))
    times = times[np.isfinite(times)]
    coverage = zip(texts("coverage_subject"), texts("coverage_reason"), arrays.get("coverage_count", np.zeros(0)).tolist(), strict=False)
    return Earlier(
        path,
        reply.attributes,
        in_file,
        texts("layer"),
        [int(count) for count in arrays.get("layer_channels", ())],
        [int(model) for model in arrays.get("layer_model", np.zeros(len(arrays.get("layer", ())), dtype=np.int64))],
        texts("parameter"),
        texts("parameter_shape"),
        texts("parameter_layer"),
        texts("group"),
        {(subject, reason): int(count) for subject, reason, count in coverage},
        kept,
        np.concatenate([steps, passed]),
        np.concatenate([skipped, passed_skipped]),
        steps[measured] if norms is not None else steps[:0],
        norms[measured] if norms is not None else np.zeros((0, 0), dtype=np.float32),
        _moves(texts("group"), arrays.get("learning_rate"), skipped)[np.argsort(steps, kind="stable")],
        float(times.max()) if times.size else 0.0,
    )


def _moves(groups: list[str], rates: Array | None, skipped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say at each step of each optimizer whether it moved its weights: the rates of its groups were noted, and no scaler skipped it."""
    owners = [name.rpartition("[")[0] for name in groups]
    if rates is None or rates.shape != (len(skipped), len(owners)):
        return np.zeros((len(skipped), 0), dtype=bool)
    noted = np.isfinite(rates) & ~skipped[:, None]
    columns = [noted[:, [own == owner for own in owners]].any(axis=1) for owner in dict.fromkeys(owners)]
    return np.stack(columns, axis=1) if columns else noted
