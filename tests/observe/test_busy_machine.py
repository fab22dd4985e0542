"""What is measured, and so the verdict, does not depend on how busy the machine is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bnprobe.diagnose import diagnose
from bnprobe.store.reader import Run, read_run
from tests.faults.manifest import PROGRAMS
from tests.observe.program_server import Job, ProgramServer

BY_NAME = {program.name: program for program in PROGRAMS}
#: Busy processes beside a recording, on each of which the scheduler spends as much time as on it.
OTHERS = 4


@contextmanager
def other_load() -> Iterator[None]:
    """Keep the machine busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(OTHERS)]
    try:
        yield
    finally:
        for one in others:
            one.kill()
            one.wait()


def recorded(server: ProgramServer, name: str, folder: Path) -> Run:
    folder.mkdir()
    job = Job(str(BY_NAME[name].path), str(folder), str(folder / "run.h5"), {"budget": 0.05, "free_seconds": 0.1}, ["--seed", "0"])
    [outcome] = server.run(job, timeout=300.0)
    assert outcome.status == 0, outcome.stderr
    return read_run(folder / "run.h5")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean_shift_mlp", "learning_rate_too_low_cnn"])
def test_five_recordings_two_of_them_beside_other_load_give_the_same_first_finding(
    server: ProgramServer, tmp_path: Path, name: str
) -> None:
    """With a tenth of a second of free measuring, so that thinning has its say in programs as short as these."""
    runs = [recorded(server, name, tmp_path / f"quiet{number}") for number in range(3)]
    with other_load():
        runs += [recorded(server, name, tmp_path / f"busy{number}") for number in range(2)]
    first = [next(iter(diagnose(run))) for run in runs]
    measured = [int(np.count_nonzero(run["layers_observed"] == 1)) for run in runs]
    print(name, measured, [(one.id, one.layers[:1], one.step) for one in first])
    assert len({one.id for one in first}) == 1
    assert len({one.layers[:1] for one in first}) == 1
