"""A page that is served while its run is recorded: `report --follow` and `record --follow`, with real processes."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
import urllib.request
from urllib.error import URLError

import pytest

from tests import synthetic_runs

SCRIPT = textwrap.dedent("""
    import os, time
    import torch
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
        time.sleep(0.2)
    try:
        os.wait()
    except ChildProcessError:
        print("no child of mine")
    print([p.sum().item().hex() for p in model.parameters()])
""")
COMMAND = [sys.executable, "-m", "bnprobe"]


def asked(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_a_run_that_has_ended_is_written(tmp_path):
    run = synthetic_runs.exploding(tmp_path / "run.h5")
    done = subprocess.run([*COMMAND, "report", "--follow", str(run)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["not live: the run has ended", f"wrote {tmp_path / 'run.html'}"]
    assert 'id="live"' not in (tmp_path / "run.html").read_text()


@pytest.mark.slow
def test_a_port_without_a_page(tmp_path):
    run = synthetic_runs.exploding(tmp_path / "run.h5")
    done = subprocess.run([*COMMAND, "report", "--port", "8000", str(run)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["bnprobe: --port is where --follow serves the page", "hint: add --follow"]


@pytest.mark.slow
def test_a_recording_is_served_while_it_goes_on(tmp_path):
    """The script trains the same, sees no child that it did not start, and nothing is left when it has ended."""
    (tmp_path / "train.py").write_text(SCRIPT)
    plain = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    with subprocess.Popen(
        [*COMMAND, "record", "--follow", "-o", "run.h5", "train.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as recording:
        assert recording.stderr and recording.stdout
        recording.stderr.readline()
        found = re.search(r"live page: (http://127\.0\.0\.1:\d+/\S+/)", recording.stderr.readline())
        assert found is not None
        address = found[1]
        seen = {len(page) > 1000 and _step(page) for page in _pages(address, recording)}
        assert recording.stdout.read() == plain.stdout
        assert recording.wait(60) == 0
    assert len(seen - {False, None}) > 1  # it was renewed
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            asked(address)
        except (URLError, OSError):
            return
        time.sleep(0.5)
    raise AssertionError("the page is still served")


@pytest.mark.slow
def test_report_follows_to_the_end(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    with (
        subprocess.Popen([*COMMAND, "record", "-q", "-o", "run.h5", "train.py"], cwd=tmp_path, stdout=subprocess.DEVNULL) as recording,
        subprocess.Popen([*COMMAND, "report", "--follow", "run.h5"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as report,
    ):
        assert report.stdout
        address = report.stdout.readline().split()[-1]
        assert 'data-ended="no"' in asked(address)
        said = report.stdout.read()
        assert (recording.wait(60), report.wait(60)) == (0, 0)
    assert said.splitlines()[-1] == "wrote run.html"
    assert "live page" not in said


def _pages(address, recording):
    while recording.poll() is None:
        try:
            yield asked(address)
        except (URLError, OSError):
            return
        time.sleep(0.5)


def _step(page):
    found = re.search(r'id="live"[^>]*>\w+ · step (\d+)', page)
    return int(found[1]) if found else None
