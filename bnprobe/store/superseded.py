"""Rows that a resumed training has made void: recorded before it, of steps that it took again.

A run file is only ever appended to. Where a training was killed at step 1,057 and went on from its checkpoint at step 1,000, steps 1,000
to 1,056 stand in the file twice. **The later recording counts**: its weights are those that the training went on with; the earlier ones
are lost with the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.schema import STEP_OF, TEXT, VARIABLES, variables_along

Array = NDArray[Any]


def leave_out_superseded(arrays: dict[str, Array], lengths: dict[str, int]) -> None:
    """Take away rows that a later start has recorded again.

    Args:
        arrays: variables of a run by name; changed in place.
        lengths: length of every axis; changed in place.
    """
    begins = arrays.get("resumption_step", np.zeros(0, dtype=np.int64))
    if not begins.size:
        return
    for axis, name in STEP_OF.items():
        firsts = arrays.get(f"resumption_rows_{axis}")
        if name not in arrays or firsts is None:
            continue
        kept = valid(arrays[name], firsts, begins)
        if not kept.all():
            _keep(axis, kept, arrays, lengths)
    _drop_orphans(arrays, lengths)
    _leave_out_starts(arrays, lengths)


def valid(steps: Array, firsts: Array, begins: Array) -> NDArray[np.bool_]:
    """Say of each row whether no later start has recorded its step again."""
    kept = np.ones(len(steps), dtype=bool)
    for first, begin in zip(firsts.tolist(), begins.tolist(), strict=True):
        kept[: max(first, 0)] &= steps[: max(first, 0)] < begin
    return kept


def _keep(axis: str, kept: NDArray[np.bool_], arrays: dict[str, Array], lengths: dict[str, int]) -> None:
    lengths[axis] = int(kept.sum())
    for variable in variables_along(axis):
        if variable.name in arrays:
            arrays[variable.name] = arrays[variable.name][kept]
    if axis == "probe" and "probe_point_probe" in arrays:
        places = np.where(kept, np.cumsum(kept) - 1, -1)
        owners = arrays["probe_point_probe"].astype(np.int64)
        known = (owners >= 0) & (owners < len(places))
        arrays["probe_point_probe"] = np.where(known, places[np.where(known, owners, 0)], -1).astype(VARIABLES["probe_point_probe"].dtype)
    if axis != STEP_OF[axis] and axis in arrays:  # the axis is numbered, and its step stands beside it
        arrays[axis] = np.arange(lengths[axis], dtype=VARIABLES[axis].dtype)


def _drop_orphans(arrays: dict[str, Array], lengths: dict[str, int]) -> None:
    """Take away the points of line probes that are void."""
    owners = arrays.get("probe_point_probe")
    if owners is not None and (owners < 0).any():
        kept = np.asarray(owners >= 0)
        lengths["probe_point"] = int(kept.sum())
        for variable in variables_along("probe_point"):
            if variable.name in arrays:
                arrays[variable.name] = arrays[variable.name][kept]
        if "probe_point" in arrays:
            arrays["probe_point"] = np.arange(lengths["probe_point"], dtype=VARIABLES["probe_point"].dtype)


def _leave_out_starts(arrays: dict[str, Array], lengths: dict[str, int]) -> None:
    """Take away starts of which nothing counts, as a later one began at their first step or before; what is missing since is missing."""
    begins = arrays["resumption_step"]
    later = np.minimum.accumulate(begins[::-1])[::-1]
    kept = np.append(begins[:-1] < later[1:], True)
    for variable in variables_along("resumption"):
        if variable.name in arrays:
            arrays[variable.name] = arrays[variable.name][kept]
    lengths["resumption"] = int(kept.sum())
    if "resumption" in arrays:
        arrays["resumption"] = np.arange(lengths["resumption"], dtype=VARIABLES["resumption"].dtype)
    steps = [arrays[name] for name in ("step", "passed") if name in arrays]
    if steps and "resumption_before" in arrays:
        counting = np.sort(np.concatenate(steps))
        begins, before = arrays["resumption_step"], arrays["resumption_before"]
        place = np.searchsorted(counting, begins)
        previous = np.where(place > 0, np.append(counting, -1)[np.maximum(place, 1) - 1], -1)
        arrays["resumption_before"] = np.where((before >= begins) & (previous < begins - 1), previous, before).astype(before.dtype)


def columns_of(arrays: Mapping[str, Array], axis: str) -> list[dict[str, object]]:
    """Return the rows of a short axis, each by variable name, as a writer takes them."""
    names = [variable for variable in variables_along(axis) if variable.name in arrays]
    count = min((len(arrays[variable.name]) for variable in names), default=0)
    return [
        {
            variable.name: str(arrays[variable.name][row]) if variable.dtype == TEXT else arrays[variable.name][row].item()
            for variable in names
        }
        for row in range(count)
    ]
