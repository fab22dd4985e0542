"""``bnprobe watch`` beside a recording in a process of its own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap

import h5py
import pytest

from bnprobe.cli import watch as command
from bnprobe.errors import RunFileError
from bnprobe.store.reader import read_run
from tests import synthetic_runs

SCRIPT = textwrap.dedent("""
    import time
    import torch
    model = torch.nn.Sequential(*[layer for _ in range(6) for layer in (torch.nn.Linear(16, 16), torch.nn.ReLU())])
    optimizer = torch.optim.SGD(model.parameters(), lr=30.0)
    for _ in range(40):
        optimizer.zero_grad()
        (100 * model(torch.ones(4, 16)) - 1).square().mean().backward()
        optimizer.step()
        time.sleep(0.1)
""")


def watching(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "bnprobe", "watch", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def test_a_finished_run_is_told_at_once(tmp_path):
    done = watching(synthetic_runs.exploding(tmp_path / "run.h5"))
    assert done.returncode == 0, done.stderr
    assert "error: exploding-activations" in done.stdout
    assert done.stdout.splitlines()[-1] == "The script ran to its end."


@pytest.mark.slow
@pytest.mark.parametrize("steps", [40, 400])
def test_it_follows_a_recording_to_its_end(tmp_path, steps):
    (tmp_path / "train.py").write_text(SCRIPT.replace("range(40)", f"range({steps})").replace("sleep(0.1)", f"sleep({4 / steps})"))
    command_line = [sys.executable, "-m", "bnprobe", "record", "-q", "--keep", "64", "-o", "run.h5", "train.py"]
    with subprocess.Popen(command_line, cwd=tmp_path) as recording:
        done = watching("run.h5", "--every", "0.3", cwd=tmp_path)
        assert recording.wait(60) == 0
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "The script ran to its end."
    assert "error: " in done.stdout
    run = read_run(tmp_path / "run.h5")
    assert run.trained_steps == steps and (run.steps < steps) == (steps == 400)  # the longer one was thinned while it was watched


def test_on_a_terminal_it_redraws_in_place(tmp_path):
    run = synthetic_runs.exploding(tmp_path / "run.h5")
    own, other = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "bnprobe", "watch", str(run)], stdout=other, stderr=other) as process:
        os.close(other)
        shown = b""
        try:
            while chunk := os.read(own, 65536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        assert process.wait(60) == 0
    os.close(own)
    assert shown.startswith(b"\x1b[H\x1b[J")
    assert "activation rms along depth" in shown.decode()


def test_a_folder_that_is_not_there(tmp_path):
    done = watching(tmp_path / "none" / "run.h5")
    assert done.returncode == 1
    assert "there is no" in done.stderr


def test_what_is_no_run(tmp_path):
    (tmp_path / "run.h5").write_text("text")
    done = watching(tmp_path / "run.h5")
    assert done.returncode == 1
    assert "is not an HDF5 file" in done.stderr


def test_a_file_that_stays_empty_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "run.h5").touch()
    monkeypatch.setattr(command, "PATIENCE", 0.5)
    with pytest.raises(RunFileError, match="is empty"):
        command.watch([tmp_path / "run.h5"], every=0.1)


def test_ctrl_c_ends_it(tmp_path):
    run = synthetic_runs.killed(tmp_path / "run.h5")
    with h5py.File(run, "a") as file:
        file.attrs["pid"] = os.getpid()  # as if it were going on
    command_line = [sys.executable, "-m", "bnprobe", "watch", str(run), "--every", "0.2"]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("error: ")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
