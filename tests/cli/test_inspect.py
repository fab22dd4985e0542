from __future__ import annotations

import pytest

from tests.cli.test_app import bnprobe
from tests.synthetic_runs import BUILDERS


@pytest.mark.parametrize("kind", ["healthy", "zero_steps", "killed"])
def test_every_kind_of_run(tmp_path, kind):
    BUILDERS[kind](tmp_path / "run.h5")
    result = bnprobe("inspect", "run.h5", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "run.h5" in result.stdout


def test_several_runs(tmp_path):
    for name in ("one", "two"):
        BUILDERS["healthy"](tmp_path / f"{name}.h5")
    result = bnprobe("inspect", "one.h5", "two.h5", cwd=tmp_path)
    assert result.stdout.index("one.h5") < result.stdout.index("two.h5")


def test_missing_file(tmp_path):
    result = bnprobe("inspect", "run.h5", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("bnprobe: cannot read run.h5: ")


def test_reader_that_leaves_early(tmp_path):
    """``bnprobe inspect run.h5 | head -1`` ends quietly."""
    import subprocess
    import sys

    BUILDERS["healthy"](tmp_path / "run.h5")
    many = ["run.h5"] * 60  # more than a pipe holds
    process = subprocess.Popen(
        [sys.executable, "-m", "bnprobe", "inspect", *many], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=240)
