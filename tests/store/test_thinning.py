"""``record --keep``: a file whose older steps are thinned, that loses no loss, and is whole whenever its writer is killed."""

from __future__ import annotations

import errno
import gc
import os
import random
import resource
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from bnprobe.store import thinning
from bnprobe.store.earlier import read_earlier
from bnprobe.store.keeping import kept, moments_of
from bnprobe.store.reader import Run, read_run
from bnprobe.store.writer import RunWriter

WHOLE = 64


def opened(path: Path, **options: object) -> RunWriter:
    writer = RunWriter(path, {}, keep=WHOLE, **options)  # type: ignore[arg-type]
    if "earlier" not in options:
        for layer in ("a", "b", "c"):
            writer.add_layer(channels=2, layer=layer, layer_kind="linear")
        writer.add_parameter(parameter="weight")
        writer.add_group("group")
    return writer


def append(writer: RunWriter, steps: range, every: int = 16) -> None:
    for step in steps:
        row = {"step": step, "loss": float(step), "layers_observed": 1, "step_seconds": 0.5, "gradient_norm": 2.0 * step}
        writer.append_step({**row, "activation_rms": np.full(3, float(step)), "weight_norm": np.array([float(step)])})
        if step % 100 == 0:
            writer.append_snapshot({"snapshot": step, "channel_mean": np.full(6, float(step))})
        if step % every == 0:
            writer.burst()


def check(run: Run, least: int = 0) -> None:
    """Every loss is there, and every row holds what was measured at its step."""
    steps, losses = run.every_loss
    assert not run.problems and run.trained_steps >= least
    np.testing.assert_array_equal(steps, np.arange(run.trained_steps))
    np.testing.assert_array_equal(losses, steps.astype(float))
    np.testing.assert_array_equal(run["activation_rms"], np.repeat(run["step"][:, None].astype(np.float32), 3, axis=1))
    np.testing.assert_array_equal(run["passed_gradient_norm"], 2.0 * run["passed"])
    np.testing.assert_array_equal(run["channel_mean"][:, 4], run["snapshot"].astype(np.float32))


def test_the_rule() -> None:
    steps, measured = np.arange(1000), np.ones(1000, dtype=bool)
    chosen = steps[kept(steps, measured, 100)]
    ages = 999 - chosen
    assert [int(((ages >= low) & (ages < high)).sum()) for low, high in ((0, 100), (100, 200), (200, 400), (400, 800))] == [100, 50, 50, 50]
    assert (chosen[(ages >= 400) & (ages < 800)] % 8 == 0).all()


def test_of_a_block_the_first_that_was_measured_is_kept() -> None:
    steps = np.arange(400)
    chosen = steps[kept(steps, steps % 7 == 0, 100)]
    assert chosen[chosen < 16].tolist() == [0, 7, 8, 14]  # blocks of 4; in the third none was measured


def test_what_is_kept_later_was_kept_before() -> None:
    rng = np.random.default_rng(0)
    measured = rng.random(5000) < 0.3
    steps = np.arange(1)
    for now in range(0, 5000, 37):
        fresh = np.arange(steps[-1] + 1, now + 1)
        steps = np.concatenate([steps, fresh])
        steps = steps[kept(steps, measured[steps], WHOLE)]
    direct = np.arange(steps[-1] + 1)
    assert set(direct[kept(direct, measured[direct], WHOLE)].tolist()) == set(steps.tolist())


def test_looks_are_no_moments() -> None:
    assert moments_of(np.array([3, 9, 12]), ["warning", "schedule", "divergence"]) == [3, 12]


def test_a_long_recording_stays_small_and_loses_no_loss(tmp_path: Path) -> None:
    writer = opened(tmp_path / "run.h5")
    append(writer, range(1500))
    writer.add_event(1500, "warning", "the loss is 8")
    append(writer, range(1500, 3000))
    writer.close(status="finished")
    run = read_run(tmp_path / "run.h5")
    check(run, 3000)
    assert run.trained_steps == 3000 and run.steps < 600
    assert set(range(1495, 1506)) <= set(run["step"].tolist())  # next to the event
    assert set(range(10)) <= set(run["step"].tolist())
    assert (run["step_seconds"].sum() + run["passed_seconds"].sum()) == 1500.0


def test_the_first_loss_that_is_not_finite_keeps_its_neighbours(tmp_path: Path) -> None:
    writer = opened(tmp_path / "run.h5")
    append(writer, range(500))
    writer.append_step({"step": 500, "loss": float("nan"), "layers_observed": 1})
    append(writer, range(501, 2000))
    writer.close(status="finished")
    assert set(range(495, 506)) <= set(read_run(tmp_path / "run.h5")["step"].tolist())


def test_a_training_goes_on_in_a_thinned_file(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    append(opened(path), range(1025))
    earlier = read_earlier(path)
    assert sorted(earlier.steps.tolist()) == list(range(1025))
    writer = opened(path, earlier=earlier)
    writer.begin_resumption(700, "given")
    append(writer, range(700, 2000))
    writer.close(status="finished")
    run = read_run(path)
    check(run, 2000)
    assert run.trained_steps == 2000


def test_a_file_that_cannot_be_written_anew_goes_on_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*anything: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(thinning.os, "replace", fail)
    writer = opened(tmp_path / "run.h5")
    append(writer, range(400))
    monkeypatch.undo()
    append(writer, range(400, 1000))
    writer.close(status="finished")
    run = read_run(tmp_path / "run.h5")
    check(run, 1000)
    assert [gap.subject for gap in run.gaps] == ["thinning of older steps"]
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.parametrize("limit", [4096, 120_000, 200_000])
def test_a_file_that_does_not_fit_is_given_up_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str], limit: int) -> None:
    # GIVEN a file, and a system that takes no files of the thinned one's size
    path = tmp_path / "run.h5"
    writer = opened(path)
    writer._rows_to_thin = 10**9
    append(writer, range(300))
    writer.close(status="finished")
    before = path.read_bytes()
    # WHEN another process thins it, as HDF5 would take this one with it
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            thinning.thin(path, WHOLE)
        except OSError as error:
            status = 0 if error.errno == errno.EFBIG else 2
        finally:
            gc.collect()
            os._exit(status)
    # THEN it is told, and all is as it was
    assert os.waitpid(pid, 0)[1] == 0
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["run.h5"]
    assert capfd.readouterr().err == ""


def test_the_scripts_own_checkpoints_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = opened(tmp_path / "run.h5")
    append(writer, range(100))
    full = os.statvfs_result((4096, 4096, 10**6, 1, 1, 10**6, 1, 1, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: full)
    with pytest.raises(OSError, match="no space left on the disk"):
        thinning.thin(tmp_path / "run.h5", WHOLE)
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]


def test_a_snapshot_that_counts_no_more_keeps_none_from_its_place(tmp_path: Path) -> None:
    # GIVEN snapshots of a stretch, and others of the same stretch since the training was resumed before it
    path = tmp_path / "run.h5"
    opened(path).close()
    writer = opened(path, earlier=read_earlier(path))
    writer._rows_to_thin = 10**9
    writer.begin_resumption(0, "given")
    append(writer, range(60))
    writer.append_snapshot({"snapshot": 20_001, "channel_mean": np.full(6, -1.0)})
    writer.close()
    writer = opened(path, earlier=read_earlier(path))
    writer._rows_to_thin = 10**9
    writer.begin_resumption(60, "given")
    writer.append_snapshot({"snapshot": 20_003, "channel_mean": np.full(6, 20_003.0)})
    writer.append_step({"step": 60_000, "loss": 1.0})
    writer.close(status="finished")
    # WHEN it is thinned
    thinning.thin(path, WHOLE)
    # THEN what is left of their block is the one that counts
    snapshots = read_run(path)["snapshot"].tolist()
    assert 20_003 in snapshots and 20_001 not in snapshots
    with h5py.File(path) as file:
        assert 20_001 not in file["snapshot"][:].tolist()


@pytest.mark.slow
def test_kills_while_it_thins(tmp_path: Path) -> None:
    rng = random.Random(0)
    for number in range(25):
        path = tmp_path / f"{number}.h5"
        pid = os.fork()
        if pid == 0:
            try:
                writer = opened(path)
                for begin in range(0, 100_000, 32):
                    append(writer, range(begin, begin + 32), every=32)
                    time.sleep(0.01)
            finally:
                os._exit(1)
        while not path.exists():
            time.sleep(0.001)
        ends = time.monotonic() + rng.uniform(0.1, 0.9)
        while time.monotonic() < ends:  # a reader beside it
            run = read_run(path)
            if run.steps:
                check(run)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        left = read_run(path)
        assert not left.problems
        if left.steps:
            check(left)
