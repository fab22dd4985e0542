"""Steps of which a rank gave up the detail (``record --keep``): what is left of them, merged as the steps in detail are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.ranks import rules, signals
from bnprobe.ranks.aligned import Aligned
from bnprobe.ranks.missing import as_dtype, floats
from bnprobe.store.reader import Run
from bnprobe.store.schema import PASSED, VARIABLES

Array = NDArray[Any]


def passed_of(aligned: Aligned, groups: list[list[int]]) -> dict[str, Array]:
    """Return the variables along ``passed``: the steps that were merged in no detail, in order.

    A rank that still has such a step in detail gives what its row says of it. The batch of one that has not is taken to have been as large
    as that of the last step before it that it has.

    Args:
        aligned: the ranks.
        groups: of ranks, by place; those of a group were given the same batches.
    """
    every = np.unique(np.concatenate([run[name] for run in aligned.runs for name in ("step", "passed")])).astype(np.int64)
    steps = np.setdiff1d(every, aligned.steps)
    if not len(steps):
        return {name: np.zeros(0, dtype=VARIABLES[name].dtype) for name in PASSED}

    def of_groups(values: list[Array]) -> Array:
        return signals.by_group(groups, np.stack(values))

    present = of_groups([_laid(run, steps, "passed", "step") for run in aligned.runs])
    shares = signals.shares_of(of_groups([_batch_sizes(run, steps) for run in aligned.runs]), present)
    found: dict[str, Array] = {"passed": steps}
    for name, source in PASSED.items():
        if name != "passed":
            values = of_groups([_laid(run, steps, name, source) for run in aligned.runs])
            found[name] = as_dtype(VARIABLES[name].dtype, rules.applied(rules.STEP[source], values, shares, present))
    if any("S" in str(how) for run in aligned.runs for how in run["parameter_shard"]):
        found["passed_gradient_norm"][:] = np.nan  # each rank's is that of its own shards
    return found


def _laid(run: Run, steps: NDArray[np.int64], name: str, source: str) -> NDArray[np.float64]:
    """A rank's values at some steps, of its rows and of those that it gave up; NaN where it has neither."""
    found = np.full(len(steps), np.nan)
    for own, values in ((run["step"], run[source]), (run["passed"], run[name])):
        is_asked = np.isin(own, steps)
        found[np.searchsorted(steps, own[is_asked])] = floats(values[is_asked])
    return found


def _batch_sizes(run: Run, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    sizes = run["batch_size"].astype(np.float64)
    if not len(sizes):
        return np.full(len(steps), np.nan)
    found: NDArray[np.float64] = sizes[np.maximum(np.searchsorted(run["step"], steps, side="right") - 1, 0)]
    return np.where(np.isnan(_laid(run, steps, "passed", "step")), np.nan, found)
