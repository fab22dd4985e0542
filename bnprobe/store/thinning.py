"""A run file written anew without the detail that the rule of ``keeping`` gives up.

The thinned file is made beside the old one and put into its place in one move: whoever kills the recording finds one of the two, whole, and
whoever is reading goes on reading the old one. Rows are copied a block at a time, so that it takes little memory. Where the disk has no
room for both, nothing is thinned.
"""

from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from bnprobe.store.draft import Draft
from bnprobe.store.hdf5_session import LIBRARY_VERSIONS, create_variables, place_block
from bnprobe.store.keeping import FIRST_STEPS, SNAPSHOT_STEPS, WHOLE_SNAPSHOTS, kept, moments_of, near
from bnprobe.store.schema import DIMENSIONS, PASSED, TEXT, VARIABLES
from bnprobe.store.superseded import valid

#: Bytes of a variable that are in memory at a time.
BLOCK_BYTES = 4 * 2**20


class Thinned(NamedTuple):
    """What a thinned file is.

    Attributes:
        end: where it ends.
        lengths: rows of every axis.
    """

    end: int
    lengths: dict[str, int]


def thin(path: Path, whole: int) -> Thinned:
    """Thin a run file that nobody is writing to.

    Args:
        path: the file; a link is followed.
        whole: how many of the last steps keep all.

    Returns:
        What is in its place now.

    Raises:
        OSError: it cannot be read, or no other one can be made beside it; then it is as it was.
    """
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name}.{os.getpid()}.thinned")
    for left in place.parent.glob(f".{glob.escape(place.name)}.*.thinned"):
        left.unlink()  # of a recording that was killed meanwhile
    try:
        draft = Draft(beside, place.stat().st_size)
        try:
            with h5py.File(place, "r", locking=False) as old, h5py.File(draft, "w", libver=LIBRARY_VERSIONS) as new:
                for name, value in old.attrs.items():
                    new.attrs[name] = value
                lengths = _copy(old, new, whole, draft)
            draft.check()
        finally:
            draft.close()
        shutil.copymode(place, beside)
        end = beside.stat().st_size
        os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)
    return Thinned(end, lengths)


def _copy(old: h5py.File, new: h5py.File, whole: int, draft: Draft) -> dict[str, int]:
    lengths = {name: len(old[name]) for name in DIMENSIONS}
    counts, detailed = _rows(old, whole)
    rows: dict[str, NDArray[np.int64]] = {
        "step": np.flatnonzero(counts & detailed),
        "snapshot": _snapshots(old, whole),
    }
    gone = np.flatnonzero(counts & ~detailed)
    before = len(old["passed"])
    lengths |= {name: len(chosen) for name, chosen in rows.items()} | {"passed": before + len(gone)}
    create_variables(new, lengths)
    for name, variable in VARIABLES.items():
        shape = tuple(lengths[dimension] for dimension in variable.dims)
        new[name].resize(shape)
        chosen = rows.get(variable.dims[0])
        _copy_rows(old[name], new[name], np.arange(len(old[name])) if chosen is None else chosen, draft)
    for name, source in PASSED.items():
        if len(gone):
            new[name][before:] = old[source][:][gone]
    for axis, chosen in rows.items():
        name = f"resumption_rows_{axis}"
        new[name][...] = np.searchsorted(chosen, old[name][:])
    return lengths


def _rows(old: h5py.File, whole: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say of each row of the step axis whether it counts, and whether it keeps its detail."""
    steps, loss = old["step"][:], old["loss"][:]
    counts = valid(steps, old["resumption_rows_step"][:], old["resumption_step"][:])
    measured = old["layers_observed"][:] == 1
    detailed = np.zeros(len(steps), dtype=bool)
    detailed[counts] = kept(steps[counts], measured[counts], whole)
    kinds = [text.decode("utf-8", "replace") for text in old["event_kind"][:]]
    moments = moments_of(old["event_step"][:], kinds)
    broken = np.flatnonzero(counts & (~np.isfinite(loss) | (np.nanmax(_or_empty(old["activation_nonfinite"][:]), axis=1) > 0)))
    moments += [int(steps[row]) for row in broken[:1]]
    began = int(steps[counts].min()) if counts.any() else 0
    return counts, detailed | near(steps, moments) | (steps < began + FIRST_STEPS)


def _or_empty(values: NDArray[Any]) -> NDArray[Any]:
    """Return rows that have at least one number each, 0 where nothing was observed."""
    return np.concatenate([np.zeros((len(values), 1), dtype=values.dtype), values], axis=1)


def _snapshots(old: h5py.File, whole: int) -> NDArray[np.int64]:
    """Return the rows of snapshots that are kept: the first of each power of ten with 1, 2 and 5, and by age in blocks of a thousand."""
    steps = old["snapshot"][:]
    counts = valid(steps, old["resumption_rows_snapshot"][:], old["resumption_step"][:])
    leading = steps / 10.0 ** np.floor(np.log10(np.maximum(steps, 1)))
    taken = old["step"][:]
    taken = taken[valid(taken, old["resumption_rows_step"][:], old["resumption_step"][:])]
    last = int(taken.max()) if len(taken) else 0
    kinds = [text.decode("utf-8", "replace") for text in old["event_kind"][:]]
    by_age = np.zeros(len(steps), dtype=bool)
    ones = np.ones(int(counts.sum()), dtype=bool)
    by_age[counts] = kept(steps[counts], ones, max(WHOLE_SNAPSHOTS * SNAPSHOT_STEPS, whole), SNAPSHOT_STEPS, now=last)
    chosen = by_age | np.isin(leading, (1, 2, 5)) | (steps == 0) | near(steps, moments_of(old["event_step"][:], kinds))
    return np.flatnonzero(counts & chosen)


def _copy_rows(source: h5py.Dataset, target: h5py.Dataset, rows: NDArray[np.int64], draft: Draft) -> None:
    if not len(rows) or not source.id.get_storage_size():
        return
    width = int(np.prod(source.shape[1:], initial=1))
    count = max(1, BLOCK_BYTES // max(1, width * source.dtype.itemsize))
    is_text = h5py.check_string_dtype(source.dtype) is not None
    written = 0
    for begin in range(0, len(source), count):
        chosen = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, begin + count)]
        if len(chosen):
            block = source[int(chosen[0]) : int(chosen[-1]) + 1][chosen - chosen[0]]
            if is_text or not _is_missing(block, target.fillvalue):
                place_block(target.id, written, block, TEXT if is_text else "")
                draft.check()
            written += len(chosen)


def _is_missing(block: NDArray[Any], missing: Any) -> bool:
    return bool(np.isnan(block).all() if block.dtype.kind == "f" else (block == missing).all())
