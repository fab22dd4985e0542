"""How far a merged run is from one process that saw all samples."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from bnprobe.ranks.rules import STEP, unknown
from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES

#: What says how long something took, or what the batch of one rank by itself was.
LEFT_OUT = (
    "wall_time",
    "step_seconds",
    "observer_seconds",
    "ranks_merged",
    "parameter_local_gradient_norm",
    "batch_norm_values",
    "batch_norm_gap",
    "loss_rows",
)

#: What a comparison that means anything has compared.
AT_LEAST = {
    *("loss", "parameter_gradient_norm", "weight_norm", "update_norm"),
    *(
        f"{signal}_{part}"
        for signal in ("activation", "activation_gradient")
        for part in ("rms", "common_energy", "between_energy", "min", "max")
    ),
    *("channel_mean", "channel_variance"),
}


def disagreements(merged: Run, whole: Run, but: Collection[str] = ()) -> dict[str, float]:
    """Return by variable how far the two are apart at most, relative to the quantity's own size; infinite where one of them has no value.

    Steps whose layers one of the two did not measure are left out, and snapshots that one did not keep.
    """
    found = {}
    both = (merged["layers_observed"] == 1) & (whole["layers_observed"][: merged.steps] == 1)
    common = sorted(set(merged["snapshot"].tolist()) & set(whole["snapshot"].tolist()))
    for name, variable in VARIABLES.items():
        if name in LEFT_OUT or name in but or not variable.dtype.startswith("f") or variable.dims[0] not in ("step", "snapshot"):
            continue
        if variable.dims[0] == "step":
            mine, its = merged[name][both], whole[name][: merged.steps][both]
        else:
            mine, its = (run[name][np.searchsorted(run["snapshot"], common)] for run in (merged, whole))
        mine, its = mine.astype(np.float64), its.astype(np.float64)
        missing = np.isnan(mine) & ~np.isnan(its)
        known = np.isfinite(mine) & np.isfinite(its)
        if STEP.get(name) is unknown and missing.all():
            continue
        if known.any() or missing.any():
            size = _size(name, whole, its, both, common)
            with np.errstate(invalid="ignore", divide="ignore"):
                apart = np.where(size > 0, np.abs(mine - its) / size, np.abs(mine - its))
            found[name] = float("inf") if missing.any() else float(apart[known].max())
    return found


def worst_disagreement(merged: Run, whole: Run, but: Collection[str] = ()) -> tuple[tuple[float, str], set[str]]:
    """Return the variable that is furthest off, and which were compared."""
    found = disagreements(merged, whole, but)
    return max((value, name) for name, value in found.items()), set(found)


def _size(name: str, whole: Run, its: np.ndarray, both: np.ndarray, common: list[int]) -> np.ndarray:
    """The size of a quantity: of a part of an energy the whole of it, of a mean with a deviation the larger of the two."""
    if name.endswith("_energy"):
        rms = whole[f"{name.rsplit('_', 2)[0]}_rms"][: len(both)][both].astype(np.float64)
        return np.asarray(rms**2)
    if name.startswith("channel") and name.endswith("_mean"):
        variance = whole[name.replace("_mean", "_variance")][np.searchsorted(whole["snapshot"], common)].astype(np.float64)
        return np.maximum(np.abs(its), np.sqrt(variance))
    return np.abs(its)
