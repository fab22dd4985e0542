"""The writer on a good day: every variable comes back, every axis can grow, other programs can read the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from bnprobe.errors import RunFileError
from bnprobe.store import writer as writer_module
from bnprobe.store.reader import read_run
from bnprobe.store.schema import COORDINATES, DIMENSIONS, TEXT, VARIABLES
from bnprobe.store.writer import BURST_ROWS, RunWriter
from tests.store.numbered_runs import NumberedRun
from tests.suites import shortened


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_every_variable_comes_back(path):
    run = NumberedRun(path)
    for _ in range(3):
        run.add_steps(70)
        run.add_snapshot()
        run.add_probes(2)
        run.add_line_probe(3)
        assert run.writer.burst()
    run.add_steps(1)
    run.writer.close(status="finished", ending="its last line")
    read = read_run(path)
    assert run.wrong(read) == []
    assert read.problems == []
    assert set(read.variables) == set(VARIABLES)
    assert (read.status, read.attributes["ending"], read.attributes["seed"]) == ("finished", "its last line", 7)


def test_every_axis_grows_while_recording(path):
    run = NumberedRun(path, layers=1, parameters=1)
    for _ in range(4):
        run.add_steps(5)
        run.add_snapshot()
        run.writer.burst()
        run.add_layer()
        run.add_parameter()
        run.writer.add_event(run.lengths["step"], "model", "grew")
        run.writer.add_coverage(f"subject {run.lengths['step']}", "reason")
        run.add_steps(5)  # wider rows in the same burst as narrow ones
    run.writer.close()
    read = read_run(path)
    assert run.wrong(read) == []
    assert len(read.layers) == 5 and len(read.parameters) == 5 and len(read.events) == 4 and len(read.gaps) == 4
    assert np.isnan(read["activation_rms"][:5, 1:]).all()
    assert np.isnan(read["channel_mean"][0, 3:]).all()


def test_several_steps_at_once_are_what_they_would_be_one_by_one(path, tmp_path):
    """Between single ones, with values that all of them share, and with an axis that grows in between."""
    losses, rates = [3.0, None, 1.0], [[0.1, 0.2], [0.1, 0.3], [0.1, np.nan]]
    single, together = RunWriter(tmp_path / "single.h5", {}), RunWriter(path, {})
    for writer in (single, together):
        writer.add_group("a")
        writer.add_group("b")
        writer.append_step({"step": 0, "loss": 4.0, "micro_steps": 2, "learning_rate": [0.5]})
    for index in range(3):
        single.append_step({"step": 1 + index, "loss": losses[index], "layers_observed": 0, "learning_rate": rates[index]})
        single.append_step({"step": 4 + index, "wall_time": 7.0, "learning_rate": [0.1]} if index < 2 else {"step": 6, "loss": 2.0})
    together.append_steps(3, {"step": [1, 2, 3], "loss": losses, "layers_observed": 0, "learning_rate": rates})
    together.append_steps(2, {"step": np.array([4, 5]), "wall_time": 7.0, "learning_rate": [0.1]})
    together.append_step({"step": 6, "loss": 2.0})
    single.close()
    together.close()
    one, other = read_run(tmp_path / "single.h5"), read_run(path)
    order = np.argsort(one["step"])
    assert other["step"].tolist() == list(range(7))
    for name in ("loss", "micro_steps", "layers_observed", "wall_time", "learning_rate"):
        np.testing.assert_array_equal(other[name], one[name][order], err_msg=name)


def test_layers_found_after_an_empty_beginning(path):
    run = NumberedRun(path, layers=0, parameters=0)
    run.add_steps(3)
    run.writer.burst()
    for _ in range(20):
        run.add_layer()
    run.add_steps(3)
    run.writer.close()
    assert run.wrong(read_run(path)) == []


def test_what_is_missing_is_nan_or_minus_one(path):
    writer = RunWriter(path, {})
    writer.add_layer(channels=2, layer="a")
    writer.append_step({"step": 0, "activation_rms": np.array([1.0])})
    writer.append_step({"step": 1, "loss": None, "activation_rms": None})
    writer.append_step({"step": 2, "loss": 0.0, "activation_rms": np.array([])})
    writer.close()
    run = read_run(path)
    assert np.array_equal(run["loss"], [np.nan, np.nan, 0.0], equal_nan=True)
    assert np.array_equal(run["activation_rms"], [[1.0], [np.nan], [np.nan]], equal_nan=True)
    assert run["micro_steps"].tolist() == [-1, -1, -1]
    assert run["weight_norm"].shape == (3, 0)
    assert run.layers[0].type == "" and run.layers[0].depth == -1


def test_a_value_of_a_wrong_kind_does_not_hold_up_the_others(path):
    writer = RunWriter(path, {})
    writer.add_layer(channels=1, layer="a")
    writer.append_step({"step": 0, "loss": "not a number", "activation_rms": np.array([1.0, 2.0, 3.0]), "unknown": 3})
    writer.append_step({"step": 1, "loss": 1.0, "activation_rms": np.array([2.0])})
    assert writer.burst()
    writer.close()
    run = read_run(path)
    assert np.array_equal(run["loss"], [np.nan, 1.0], equal_nan=True)
    assert run["activation_rms"].tolist() == [[1.0], [2.0]]


def test_values_beyond_float32_are_infinite_there_and_exact_in_float64(path):
    writer = RunWriter(path, {})
    writer.add_layer(channels=1, layer="a")
    writer.append_step({"step": 0, "activation_common_energy": np.array([1e60]), "activation_rms": np.array([1e60])})
    writer.close()
    run = read_run(path)
    assert run["activation_common_energy"][0, 0] == 1e60
    assert run["activation_rms"][0, 0] == np.inf


@pytest.mark.parametrize("text", ["café.層1", "a\0b", "lone \udcff surrogate", "<script>alert(1)</script>", "x" * 100_000, ""])
def test_any_text_is_stored(path, text):
    writer = RunWriter(path, {"command": text})
    writer.add_layer(channels=1, layer=text)
    writer.add_event(0, "fault", text)
    assert writer.burst()
    writer.close(ending=text)
    run = read_run(path)
    expected = text.replace("\0", "").encode("utf-8", "replace").decode()[:8000]
    assert run.layers[0].name == run.events[0].text == run.attributes["command"] == run.attributes["ending"] == expected


def test_coverage_counts_grow_without_growing_the_file(path):
    writer = RunWriter(path, {})
    sizes = []
    for step in range(60):
        writer.append_step({"step": step})
        writer.add_coverage("layer x" * 100, "reason" * 100)
        writer.burst()
        sizes.append(path.stat().st_size)
    writer.close()
    assert read_run(path).gaps[0].times == 60
    assert sizes[-1] == sizes[5]


@pytest.mark.slow
def test_xarray_opens_it_with_named_coordinates(path):
    run = NumberedRun(path)
    run.add_steps(4)
    run.add_snapshot()
    run.writer.burst()
    run.add_layer()
    run.add_steps(2)
    run.writer.close()
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert set(COORDINATES) <= set(dataset.coords)
        assert dict(dataset.sizes) == {**{name: run.lengths.get(name, 0) for name in DIMENSIONS}}
        name = dataset["layer"].values[1]
        chosen = dataset["activation_rms"].sel(layer=name)
        assert chosen.dims == ("step",)
        assert np.array_equal(chosen, read_run(path)["activation_rms"][:, 1])
        for variable in VARIABLES.values():
            assert dataset[variable.name].dims == variable.dims
            assert dataset[variable.name].attrs["long_name"] == variable.long_name
            if variable.dtype != TEXT:
                assert dataset[variable.name].attrs["units"] == variable.units
        assert dataset["channel_mean"].sel(snapshot=0).shape == (run.lengths["channel"],)


def test_a_file_without_a_burst_is_a_run_without_steps(path):
    RunWriter(path, {"script": "train.py"})
    run = read_run(path)
    assert (run.steps, run.status, run.layers, run["loss"].shape) == (0, "running", [], (0,))


def test_bursts_come_when_enough_rows_or_time_have_gathered(path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(writer_module.Original, "monotonic", lambda: now[0])
    run = NumberedRun(path)
    run.add_steps(BURST_ROWS - 1)
    now[0] = 0.1
    assert not run.writer.burst_if_due()
    run.add_steps(1)
    assert run.writer.burst_if_due()
    run.add_steps(1)
    now[0] = 0.5
    assert not run.writer.burst_if_due()
    now[0] = 0.7
    assert run.writer.burst_if_due()
    assert read_run(path).steps == BURST_ROWS + 1


def test_wide_rows_do_not_wait_for_their_time(path, monkeypatch):
    monkeypatch.setattr(writer_module.Original, "monotonic", lambda: 0.0)
    run = NumberedRun(path)
    run.add_steps(4)
    run.writer.burst()
    with h5py.File(path) as file:
        row = sum(file[name][0].nbytes for name, variable in VARIABLES.items() if variable.dims[0] == "step" and variable.dtype != TEXT)
    monkeypatch.setattr(writer_module, "BURST_BYTES", 5 * row)
    run.add_steps(4)
    assert not run.writer.burst_if_due()
    run.add_steps(2)
    assert run.writer.burst_if_due()
    assert read_run(path).steps == 10


@pytest.mark.parametrize(("seconds", "wait"), [(0.001, 0.5), (0.002, 1.0), (0.1, 2.0)])
def test_a_single_row_waits_for_as_long_as_its_burst_costs(path, monkeypatch, seconds, wait):
    now = [0.0]
    monkeypatch.setattr(writer_module.Original, "monotonic", lambda: now[0])
    run = NumberedRun(path)
    writing = run.writer.burst

    def slow_burst():
        now[0] += seconds
        return writing()

    monkeypatch.setattr(run.writer, "burst", slow_burst)
    run.add_steps(1)
    now[0] = 10.0
    assert run.writer.burst_if_due()
    run.add_steps(1)
    now[0] = run.writer._last_burst + 0.99 * wait
    assert not run.writer.burst_if_due()
    now[0] = run.writer._last_burst + 1.01 * wait
    assert run.writer.burst_if_due()


def test_short_steps_do_not_spend_their_time_on_bursts(path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(writer_module.Original, "monotonic", lambda: now[0])
    run = NumberedRun(path)
    writing = run.writer.burst

    def slow_burst():
        now[0] += 0.006
        return writing()

    monkeypatch.setattr(run.writer, "burst", slow_burst)
    run.add_steps(BURST_ROWS)
    now[0] = 1.0
    assert run.writer.burst_if_due()
    run.add_steps(BURST_ROWS)
    now[0] = 2.9
    assert not run.writer.burst_if_due()
    now[0] = 3.1
    assert run.writer.burst_if_due()


def test_closing_twice_keeps_the_first_end(path):
    run = NumberedRun(path)
    run.add_steps(2)
    assert run.writer.close(status="finished") == path
    assert run.writer.close(status="crashed") == path
    assert read_run(path).status == "finished"


def test_an_existing_file_is_kept_unless_overwriting(path):
    path.write_bytes(b"precious")
    with pytest.raises(RunFileError, match="already exists"):
        RunWriter(path, {})
    assert path.read_bytes() == b"precious"
    RunWriter(path, {}, overwrite=True).close()
    assert read_run(path).status == "running"
    assert os.listdir(path.parent) == ["run.h5"]


def test_a_link_is_followed_and_stays_a_link(path, tmp_path):
    target = tmp_path / "elsewhere.h5"
    target.write_bytes(b"")
    path.symlink_to(target)
    RunWriter(path, {}, overwrite=True).close()
    assert path.is_symlink() and read_run(target).steps == 0


@pytest.mark.parametrize("kind", ["folder", "pipe", "no folder"])
def test_what_cannot_become_a_run_file_is_left_alone(tmp_path, kind):
    place = tmp_path / "run.h5"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place = tmp_path / "missing" / "run.h5"
    with pytest.raises(RunFileError, match=re.escape(str(place))):
        RunWriter(place, {}, overwrite=True)
    if kind == "pipe":
        assert place.is_fifo()


def open_files() -> list[str]:
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_handle_stays_open_between_bursts(path):
    before = len(open_files())
    run = NumberedRun(path)
    for _ in range(5):
        run.add_steps(3)
        run.add_snapshot()
        run.writer.burst()
        assert not [name for name in open_files() if str(path) in name]
    assert len(open_files()) == before
    run.writer.close()
    assert len(open_files()) == before


CHILDREN = ["pass", "run.writer.burst()", "run.writer.close(status='finished')", "run.writer.burst_if_due()", "del run"]
FORKING = """
import os, sys
from pathlib import Path
from tests.store.numbered_runs import NumberedRun
path = Path({path!r})
run = NumberedRun(path)
run.add_steps(5)
run.writer.burst()
run.add_steps(5)
before = path.read_bytes()
pid = os.fork()
if pid == 0:
    {child}
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert path.read_bytes() == before, "the child has written"
run.writer.burst()
run.add_steps(5)
run.writer.close(status="finished")
from bnprobe.store.reader import read_run
assert run.wrong(read_run(path)) == []
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("child", shortened(CHILDREN, 2))
def test_a_forked_child_never_touches_the_parents_file(path, child):
    program = textwrap.dedent(FORKING).format(path=str(path), child=child)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_process_that_ends_without_closing_leaves_what_was_written(path):
    program = f"""
from pathlib import Path
from tests.store.numbered_runs import NumberedRun
run = NumberedRun(Path({str(path)!r}))
run.add_steps(5)
run.writer.burst()
run.add_steps(5)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    run = read_run(path)
    assert (run.steps, run.problems, run.status) == (5, [], "running")


def test_a_wide_snapshot_does_not_cost_a_multiple_of_its_size(path):
    writer = RunWriter(path, {})
    for layer in range(10):
        writer.add_layer(channels=1000, layer=str(layer))
    names = [name for name, variable in VARIABLES.items() if variable.dims == ("snapshot", "channel")]
    for step in range(8):
        writer.append_snapshot({"snapshot": step, **{name: np.ones(10_000, dtype=np.float32) for name in names}})
        writer.append_step({"step": step})
    writer.close()
    payload = 8 * 10_000 * 4 * len(names)
    assert path.stat().st_size < 1.5 * payload


def test_plain_hdf5_and_an_old_format(path):
    """Superblock 0 to 2: later ones carry a mark 'open for writing' that a killed writer leaves behind."""
    run = NumberedRun(path)
    run.add_steps(2)
    run.writer.burst()
    assert path.read_bytes()[8] <= 2
    with h5py.File(path) as file:
        assert file["loss"].shape == (2,)


def test_chunks_of_steps_that_were_not_measured_are_never_made(path):
    """A long run under a budget measures one step of a hundred: the rest of what is measured of layers takes no room, and no time."""
    run = NumberedRun(path)
    run.add_steps(1)
    measured = {130, 131, 500}
    for step in range(1, 640):
        row = {"step": step, "loss": float(step), "layers_observed": int(step in measured)}
        if step in measured:
            row["activation_rms"] = np.array([float(step)])
        run.writer.append_step(row)
    run.writer.burst()
    run.writer.close(status="finished")
    with h5py.File(path) as file:
        rms = file["activation_rms"]
        assert np.flatnonzero(~np.isnan(rms[:, 0])).tolist()[-3:] == sorted(measured)
        assert rms[500, 0] == 500.0 and len(rms) == 640
        assert rms.id.get_num_chunks() == 3
        assert len(file["loss"]) == 640 and not np.isnan(file["loss"][1:]).any()
