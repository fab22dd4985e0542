"""Starts of one training in one file, each killed in the middle of it: the file opens, and the next one goes on."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from bnprobe.store.earlier import read_earlier
from bnprobe.store.reader import Run, read_run
from bnprobe.store.writer import RunWriter

STARTS, MOST_STEPS, BURST_EVERY, SNAPSHOT_EVERY, WHOLE = 12, 240, 4, 16, 64


def row(start: int, step: int) -> dict[str, object]:
    """What a start records of a step: each number says by which of the starts it was written."""
    own = float(1000 * step + start)
    return {"step": step, "loss": own, "layers_observed": 1, "activation_rms": np.full(3, own), "weight_norm": np.array([own])}


def go_on(path: Path, start: int, begin: int, count: int, keep: int | None, told: mmap.mmap) -> None:
    """Record steps from one on, and say how many were handed over; the last of them is waited at."""
    if start == 0:
        writer = RunWriter(path, {}, keep=keep)
        for layer in ("a", "b", "c"):
            writer.add_layer(channels=2, layer=layer, layer_kind="linear")
        writer.add_parameter(parameter="weight")
        writer.add_group("group")
    else:
        writer = RunWriter(path, {}, keep=keep, earlier=read_earlier(path))
        writer.begin_resumption(begin, "given")
    for step in range(begin, begin + count + BURST_EVERY):
        writer.append_step(row(start, step))
        if step % SNAPSHOT_EVERY == 0:
            writer.append_snapshot({"snapshot": step, "channel_mean": np.full(6, float(1000 * step + start))})
        struct.pack_into("<q", told, 0, step - begin + 1)
        if step % BURST_EVERY == 0:
            writer.burst()
    time.sleep(600)


def kill(path: Path, start: int, begin: int, count: int, keep: int | None, rest: float) -> None:
    """Kill a start when it has handed over so many steps and gone on for a moment."""
    told = mmap.mmap(-1, 8)
    pid = os.fork()
    if pid == 0:
        try:
            go_on(path, start, begin, count, keep, told)
        finally:
            os._exit(1)
    while struct.unpack_from("<q", told, 0)[0] < count:
        assert os.waitpid(pid, os.WNOHANG)[0] == 0, "it has ended by itself"
        time.sleep(0.0005)
    time.sleep(rest)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def check(run: Run, begins: list[int], reached: list[int]) -> None:
    """Each step that counts was recorded by the last start that began at or before it, and all its numbers are of that start."""
    assert not run.problems
    steps, losses = run.every_loss
    np.testing.assert_array_equal(steps, np.arange(len(steps)))
    start = (losses - 1000 * steps).astype(int)
    last = len(begins) - 1
    assert (np.diff(start) >= 0).all()
    assert all(begins[one] <= step for one, step in zip(start.tolist(), steps.tolist(), strict=True))
    # What the last start had handed over a burst before its last step is there; of its step on, nothing of others.
    is_begun = any(one.step == begins[last] for one in run.resumptions) or last == 0
    assert is_begun or reached[last] < 2 * BURST_EVERY
    if is_begun:
        assert len(steps) >= begins[last] + reached[last] - 2 * BURST_EVERY
        assert set(start[begins[last] :].tolist()) <= {last}
    own = run["loss"]
    np.testing.assert_array_equal(run["activation_rms"], np.repeat(own[:, None].astype(np.float32), 3, axis=1))
    np.testing.assert_array_equal(run["weight_norm"][:, 0], own.astype(np.float32))
    by_step = dict(zip(steps.tolist(), losses.tolist(), strict=True))
    for step, mean in zip(run["snapshot"].tolist(), run["channel_mean"][:, 0].tolist(), strict=True):
        assert mean == np.float32(by_step[step]) if step in by_step else step >= len(steps)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked writers")
@pytest.mark.parametrize("keep", [None, WHOLE])
@pytest.mark.slow
def test_starts_that_are_killed_in_one_file(tmp_path: Path, keep: int | None) -> None:
    rng = random.Random(0)
    path = tmp_path / "run.h5"
    begins: list[int] = []
    reached: list[int] = []
    for start in range(STARTS):
        last = read_earlier(path).last_step if start else -1
        begins.append(rng.randint(max(last - 100, 0), last + 1) if start else 0)
        reached.append(rng.randint(1, MOST_STEPS) if start else MOST_STEPS)
        kill(path, start, begins[-1], reached[-1], keep, rng.uniform(0.0, 0.003))
        check(read_run(path), begins, reached)
    run = read_run(path)
    assert len(run.resumptions) > 1 and run.status == "running"
