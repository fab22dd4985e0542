"""The writer on a bad day: disk full, folder gone, no permission, quotas, locks. The training goes on and nothing is lost."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from bnprobe.errors import RunFileError
from bnprobe.store import in_memory, journal, writer
from bnprobe.store.axis import Axis
from bnprobe.store.earlier import read_earlier
from bnprobe.store.hdf5_session import Hdf5Session
from bnprobe.store.in_memory import InMemory
from bnprobe.store.reader import read_run
from bnprobe.store.writer import RunWriter
from tests.store.numbered_runs import NumberedRun
from tests.suites import shortened


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    run = NumberedRun(folder / "run.h5")
    run.add_steps(10)
    run.add_snapshot()
    assert run.writer.burst()
    return run


def recovers(run, capsys):
    """The fault is over: everything is written, and the user has been told once that it stopped and once that it goes on."""
    run.add_steps(5)
    assert run.writer.burst()
    run.writer.close(status="finished")
    assert run.wrong(read_run(run.writer.path)) == []
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "cannot write" in told[0] and "tried again" in told[0]
    assert "can be written again" in told[1]


def fails(run, times=3):
    for _ in range(times):
        run.add_steps(5)
        run.add_layer()
        run.add_snapshot()
        assert run.writer.burst() is False


FAULTS = {"disk full": errno.ENOSPC, "quota": errno.EDQUOT, "no locks (NFS)": errno.ENOLCK, "i/o": errno.EIO, "stale (NFS)": errno.ESTALE}


@pytest.mark.parametrize("number", shortened(FAULTS.values(), 2), ids=FAULTS.keys())
@pytest.mark.parametrize("call", ["write", "open", "ftruncate"])
def test_a_fault_of_the_file_system(run, capsys, monkeypatch, call, number):
    def faulty(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, call, faulty)
        fails(run)
    recovers(run, capsys)


def test_a_write_that_stops_half_way(run, capsys, monkeypatch):
    real, left = os.write, [5000]

    def running_full(descriptor, data):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[: min(len(data), left[0])])
        left[0] -= written
        return written

    before = run.writer.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "write", running_full)
        fails(run)
    assert run.writer.path.read_bytes() == before
    recovers(run, capsys)


def test_a_disk_nearly_full_is_left_to_the_script(run, capsys, monkeypatch):
    real = os.fstatvfs

    class NearlyFull:
        def __init__(self, descriptor):
            self.f_blocks, self.f_frsize, self.f_bavail = 1000, real(descriptor).f_frsize, 1

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fstatvfs", NearlyFull)
        fails(run)
    recovers(run, capsys)


def test_hdf5_itself_fails_in_the_middle(run, capsys, monkeypatch):
    real, calls = Hdf5Session._write_block, []

    def faulty(self, name, first, block):
        calls.append(name)
        if len(calls) % 7 == 0:
            raise RuntimeError("Can't allocate")
        real(self, name, first, block)

    with monkeypatch.context() as patch:
        patch.setattr(Hdf5Session, "_write_block", faulty)
        fails(run)
    recovers(run, capsys)


def test_the_page_cache_fails_after_the_journal_is_complete(run, capsys, monkeypatch):
    """The one fault after which the file already holds the rows: writing them once more changes nothing."""

    def faulty(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_apply", faulty)
        run.add_steps(5)
        assert not run.writer.burst()
    assert read_run(run.writer.path).steps == 15
    recovers(run, capsys)


def test_a_folder_that_comes_back(run, capsys):
    folder = run.writer.path.parent
    folder.rename(folder.with_name("away"))
    fails(run)
    folder.with_name("away").rename(folder)
    recovers(run, capsys)


def test_a_reader_that_holds_a_lock_is_no_hindrance(run, capsys):
    with run.writer.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        run.add_steps(5)
        assert run.writer.burst()
    with subprocess.Popen(
        [sys.executable, "-c", f"import h5py; f = h5py.File({str(run.writer.path)!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as notebook:
        notebook.stdout.readline()
        run.add_steps(5)
        assert run.writer.burst()
        notebook.communicate(b"\n")
    run.writer.close()
    assert run.wrong(read_run(run.writer.path)) == []
    assert capsys.readouterr().err == ""


def test_permission_lost(run, capsys):
    run.writer.path.chmod(0o400)
    if os.access(run.writer.path, os.W_OK):
        pytest.skip("who runs this may write everything")
    fails(run)
    run.writer.path.chmod(0o600)
    recovers(run, capsys)


def recovered(run, capsys, expected_steps):
    """Close a run whose file cannot be written: what was in memory is in another file, with all names."""
    fails(run)
    target = run.writer.close(status="crashed")
    assert target != run.writer.path
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and str(target) in told[1]
    read = read_run(target)
    assert (read.status, read.problems, read.attributes["recovered_from"]) == ("crashed", [], str(run.writer.path))
    assert read["step"].tolist() == expected_steps
    assert [layer.name for layer in read.layers] == [f"layer {index} é" for index in range(run.lengths["layer"])]
    assert len(read.parameters) == 2 and len(read.groups) == 1
    assert read["channel_layer"].tolist() == [index // 3 for index in range(run.lengths["channel"])]
    assert read["loss"].tolist() == [float(int(value)) for value in expected_losses(run, expected_steps)]
    return target


def expected_losses(run, steps):
    from bnprobe.store.schema import VARIABLES
    from tests.store.numbered_runs import value

    return [value(VARIABLES["loss"], step) for step in steps]


def test_a_file_that_stays_unwritable_is_continued_beside(run, capsys, tmp_path):
    before = run.writer.path.read_bytes()
    (tmp_path / "other").write_bytes(b"another program's")
    os.replace(tmp_path / "other", run.writer.path)
    target = recovered(run, capsys, list(range(10, 25)))
    assert target.parent == run.writer.path.parent
    assert run.writer.path.read_bytes() == b"another program's"
    assert len(before) > 0


def test_a_folder_that_is_gone_for_good(run, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(writer.tempfile, "gettempdir", lambda: str(tmp_path))
    shutil.rmtree(run.writer.path.parent)
    target = recovered(run, capsys, list(range(10, 25)))
    assert target.parent == tmp_path
    target.unlink()


def test_a_run_given_up_after_its_file_was_replaced_dies_quietly(tmp_path):
    program = f"""
import shutil
from pathlib import Path
from tests.store.numbered_runs import NumberedRun
folder = Path({str(tmp_path / "runs")!r})
folder.mkdir()
runs = [NumberedRun(folder / "run.h5", overwrite=True) for _ in range(3)]
for run in runs[2:]:
    run.add_steps(100)
    assert run.writer.burst()
    run.add_steps(3)
runs.append(NumberedRun(folder / "run.h5", overwrite=True))
shutil.rmtree(folder)
del run, runs[2]
"""
    result = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_two_recovered_files_of_the_same_name(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(writer.tempfile, "gettempdir", lambda: str(tmp_path))
    targets = set()
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = NumberedRun(folder / "run.h5")
        run.add_steps(number + 1)
        shutil.rmtree(folder)
        targets.add(run.writer.close())
    assert sorted(read_run(target).steps for target in targets) == [1, 2]


def test_nowhere_to_write_is_said_and_survived(run, capsys, monkeypatch):
    monkeypatch.setattr(writer.tempfile, "gettempdir", lambda: "/nonexistent")
    shutil.rmtree(run.writer.path.parent)
    run.add_steps(1)
    assert run.writer.close() == run.writer.path
    assert "its last rows are lost" in capsys.readouterr().err


def test_a_script_that_closes_all_files_of_hdf5_closes_nothing_for_good(run, capsys):
    for _ in range(2):
        open_files = [thing for thing in gc.get_objects() if type(thing) is h5py.File and thing]
        assert open_files
        for file in open_files:
            file.close()
        run.add_steps(5)
        run.add_layer()
        run.add_snapshot()
        assert run.writer.burst()
    run.writer.close(status="finished")
    assert run.wrong(read_run(run.writer.path)) == []
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_memory_is_bounded_while_nothing_can_be_written(run, capsys, monkeypatch):
    monkeypatch.setattr(in_memory, "PENDING_LIMIT_BYTES", 200_000)
    real = journal.Overlay.commit
    monkeypatch.setattr(journal.Overlay, "commit", lambda self: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    for _ in range(40):
        run.add_steps(50)
        run.add_snapshot()
        assert not run.writer.burst()
        assert run.writer._memory.pending_bytes < 250_000
    monkeypatch.setattr(journal.Overlay, "commit", real)
    run.writer.close()
    read = read_run(run.writer.path)
    (gap,) = read.gaps
    assert gap.subject == "steps"
    assert read.steps + gap.times == run.lengths["step"]
    assert read["step"][:10].tolist() == list(range(10))
    assert read["step"][-50:].tolist() == list(range(run.lengths["step"] - 50, run.lengths["step"]))  # the latest are kept
    assert (read["loss"] == expected_losses(run, read["step"].tolist())).all()


def test_a_broken_stderr_does_not_stop_the_training(run, monkeypatch):
    class Broken:
        def write(self, _):
            raise BrokenPipeError

        flush = write

    monkeypatch.setattr(sys, "stderr", Broken())
    shutil.rmtree(run.writer.path.parent)
    assert run.writer.burst() is False


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_that_is_really_full(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        run = NumberedRun(disk / "run.h5")
        run.add_steps(10)
        assert run.writer.burst()
        ballast = disk / "checkpoint"
        with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        fails(run)
        ballast.unlink()
        recovers(run, capsys)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_too_small_to_begin_with(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        with pytest.raises(RunFileError, match="no space left"):
            NumberedRun(disk / "run.h5")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_ctrl_c_waits_for_the_burst(run):
    real = Hdf5Session._write_block
    arrived = []

    def interrupted(self, name, first, block):
        os.kill(os.getpid(), signal.SIGINT)
        arrived.append(name)
        real(self, name, first, block)

    Hdf5Session._write_block = interrupted
    try:
        run.add_steps(5)
        with pytest.raises(KeyboardInterrupt):
            run.writer.burst()
    finally:
        Hdf5Session._write_block = real
    assert len(arrived) > 10
    assert read_run(run.writer.path).steps == 15
    run.add_steps(5)
    run.writer.close()
    assert run.wrong(read_run(run.writer.path)) == []


def test_a_handler_that_closes_the_recording_in_the_middle_of_a_burst(run):
    """As the recorder's own handler of SIGTERM does."""
    real = Hdf5Session._write_block

    def interrupted(self, name, first, block):
        os.kill(os.getpid(), signal.SIGTERM)
        real(self, name, first, block)

    before = signal.signal(signal.SIGTERM, lambda *_: run.writer.close(status="interrupted"))
    Hdf5Session._write_block = interrupted
    try:
        run.add_steps(5)
        assert run.writer.burst()
    finally:
        Hdf5Session._write_block = real
        signal.signal(signal.SIGTERM, before)
    read = read_run(run.writer.path)
    assert (read.status, read.steps) == ("interrupted", 15)
    assert run.wrong(read) == []
    assert Path(run.writer.path).parent.exists()


def resumed(run):
    """Go on with a run of ten steps at its eighth, in a file that cannot be written any more."""
    run.writer.close(status="crashed")
    writer = RunWriter(run.writer.path, {"script": "train.py"}, earlier=read_earlier(run.writer.path))
    writer.begin_resumption(8, "given")
    return writer


def steps_taken(writer, *steps):
    for step in steps:
        writer.append_step({"step": step, "loss": float(step)})
        writer.add_event(step, "schedule", f"of {step}")


@pytest.mark.parametrize("is_written", [False, True])
def test_what_a_resumed_training_had_in_memory_counts_in_the_recovered_file(run, is_written):
    writer = resumed(run)
    steps_taken(writer, 8, 9)
    assert not is_written or writer.burst()
    shutil.rmtree(writer.path.parent)
    writer.path.parent.mkdir()
    steps_taken(writer, 10, 11)
    read = read_run(writer.close(status="crashed"))
    assert read["step"].tolist() == ([10, 11] if is_written else [8, 9, 10, 11])
    assert read["event_step"].tolist() == [8, 9, 10, 11]
    assert read.problems == []


def test_a_step_that_was_taken_again_is_void_in_the_recovered_file_as_well(run):
    steps_taken(run.writer, 10, 11)
    run.writer.begin_again(11)
    shutil.rmtree(run.writer.path.parent)
    run.writer.path.parent.mkdir()
    steps_taken(run.writer, 11, 12)
    read = read_run(run.writer.close(status="crashed"))
    assert (read["step"].tolist(), read["loss"].tolist()) == ([10, 11, 12], [10.0, 11.0, 12.0])
    assert read["event_step"].tolist() == [10, 11, 12]


def test_a_start_counts_no_steps_that_were_given_up_before_it(run, monkeypatch):
    monkeypatch.setattr(in_memory, "PENDING_LIMIT_BYTES", 1_000)
    real = journal.Overlay.commit
    monkeypatch.setattr(journal.Overlay, "commit", lambda self: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    for step in range(10, 20):
        run.writer.append_step({"step": step, "loss": float(step), "weight_norm": [1.0, 1.0]})
    run.writer.begin_again(19)
    for step in range(19, 29):
        run.writer.append_step({"step": step, "loss": -float(step), "weight_norm": [1.0, 1.0]})
    assert not run.writer.burst()
    monkeypatch.setattr(journal.Overlay, "commit", real)
    read = read_run(run.writer.close())
    assert read["step"].tolist()[10:] == list(range(19, 29))
    assert read["loss"].tolist()[10:] == [-float(step) for step in range(19, 29)]


def test_figures_are_forgotten_once_written_and_given_up_where_memory_is_short(run, monkeypatch):
    def add_figure(step):
        run.writer.append_figure({"figure": step, "sign_coherence": [0.5] * 2})
        run.writer.add_rows("bin", 50, {"bin_step": step, "bin_parameter": 0, "bin_place": np.arange(50), "bin_count": np.ones(50)})

    def held():
        axes = run.writer._memory.axes
        return [len(axes[name].pending) + len(axes[name].kept) for name in ("figure", "bin")]

    add_figure(3)
    assert held() == [1, 1]
    assert run.writer.burst()
    assert held() == [0, 0]
    monkeypatch.setattr(in_memory, "PENDING_LIMIT_BYTES", 1_000)
    real = journal.Overlay.commit
    monkeypatch.setattr(journal.Overlay, "commit", lambda self: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    add_figure(5)
    assert not run.writer.burst()
    assert held() == [0, 0]
    monkeypatch.setattr(journal.Overlay, "commit", real)
    add_figure(7)
    read = read_run(run.writer.close())
    assert read["figure"].tolist() == [3, 7]
    assert np.unique(read["bin_step"]).tolist() == [3, 7]
    assert "figures of papers" in [gap.subject for gap in read.gaps]


@pytest.mark.parametrize(("taking", "layers"), [(Axis.append, 3), (InMemory.append, 4)])
def test_ctrl_c_before_the_last_line_of_what_takes_a_row(run, taking, layers):
    code = taking.__code__
    last = max(line for _, _, line in code.co_lines() if line)

    def interrupting(frame, event, _):
        if frame.f_code is code and event == "line" and frame.f_lineno == last:
            raise KeyboardInterrupt
        return interrupting if frame.f_code is code else None

    before = sys.gettrace()
    sys.settrace(interrupting)
    try:
        with pytest.raises(KeyboardInterrupt):
            run.writer.add_layer(layer="another", channels=3)
    finally:
        sys.settrace(before)
    read = read_run(run.writer.close())
    assert read.problems == []
    assert read["layer_channels"].tolist() == np.bincount(read["channel_layer"]).tolist() == [3] * layers
