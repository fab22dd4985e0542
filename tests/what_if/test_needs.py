"""A what-if takes no more memory than was promised, in a process of its own; where the promise is too small for an answer it says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from bnprobe.analyse.what_if import WhatIf, what_if_of
from bnprobe.store.reader import read_run
from bnprobe.what_if import kept_memory
from bnprobe.what_if.kept_memory import Holes
from bnprobe.what_if.needs import Needs, needs_of
from bnprobe.what_if.stretch_tape import StretchTape

MIB = 2**20
#: Batches, and random numbers of dropout, are kept between signals that go: the heap would grow by all of these.
SCRIPT = """
import hashlib
import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
layers = [part for _ in range(4) for part in (nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.1))]
model = nn.Sequential(nn.Linear(32, 256), *layers, nn.Linear(256, 2))
optimizer = torch.optim.Adam(model.parameters(), 1e-4)
for _ in range(30):
    x = torch.randn(512, 32)
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    optimizer.step()
print(hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest())
"""
#: Runs the command line, and writes the peak of its process.
RUNNER = """
import sys
from pathlib import Path
from bnprobe.cli import main
try:
    main()
finally:
    lines = Path("/proc/self/status").read_text().splitlines()
    Path(sys.argv[-1]).with_name("peak").write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


class Recorded(NamedTuple):
    """What a recording in a process of its own came to: its answers, the peak in bytes, the digest of the weights."""

    answers: WhatIf | None
    peak: int
    digest: str


def recorded(folder: Path, *options: str) -> Recorded:
    """Record the script."""
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "runner.py").write_text(RUNNER)
    command = [sys.executable, str(folder / "runner.py"), "record", *options, "-o", str(folder / "run.h5"), str(folder / "train.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    digest = next(line for line in done.stdout.splitlines() if len(line) == 64)
    return Recorded(what_if_of(read_run(folder / "run.h5")), 1024 * int((folder / "peak").read_text()), digest)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_a_promise_of_memory_is_kept(tmp_path: Path) -> None:
    plain = recorded(tmp_path / "plain")
    found = recorded(tmp_path / "promised", "--what-if", "30", "--what-if-memory", "32", "--what-if-remedy", "clip-norm")
    assert found.answers is not None
    assert found.answers.proved, found.answers.refused
    assert found.peak - plain.peak <= 32 * MIB
    assert found.digest == plain.digest


@pytest.mark.slow
def test_a_promise_that_does_not_suffice_is_refused_with_what_would(tmp_path: Path) -> None:
    plain = recorded(tmp_path / "plain")
    found = recorded(tmp_path / "less", "--what-if", "30", "--what-if-memory", "4")
    assert found.answers is not None
    assert not found.answers.proved
    (reason,) = [one.why for one in found.answers.refused]
    assert "--what-if-memory 4 MiB is below the" in reason
    assert found.digest == plain.digest


def test_what_a_rerun_needs() -> None:
    model = torch.nn.Linear(1000, 500)
    optimizer = torch.optim.Adam(model.parameters())
    tape = StretchTape()
    for parameter in model.parameters():
        tape.leaf(parameter)
    weights = 4 * (1000 * 500 + 500)
    before = needs_of(tape, [optimizer], 2**30)
    assert before.kept == weights
    model(torch.zeros(2, 1000)).sum().backward()
    optimizer.step()
    assert needs_of(tape, [optimizer], 2**30).rerun - before.rerun == 2 * weights + 2 * 4, "two averages and a count for each"


def test_what_more_steps_need() -> None:
    assert Needs(kept=30, rerun=100, slack=5).of_steps(3, 20) == 305


class Told:
    """Stands for a function of the C library, whose result has a type that is set."""

    restype: type = int

    def __init__(self, heap: Heap) -> None:
        self._heap = heap

    def __call__(self) -> kept_memory._Mallinfo:
        return kept_memory._Mallinfo(fordblks=self._heap.free)


class Heap:
    """Stands for the C library."""

    def __init__(self) -> None:
        self.free, self.trims = 0, 0
        self.mallinfo2 = Told(self)

    def malloc_trim(self, pad: int) -> None:
        self.trims += 1


def test_holes_are_given_back_when_they_have_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    heap = Heap()
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("ctypes.CDLL", lambda name: heap)
    holes = Holes(100)
    for free, trims in ((1000, 0), (1100, 0), (1101, 1), (1201, 1), (1202, 2)):
        heap.free = free
        holes.give_back()
        assert heap.trims == trims, free
