"""The wheel installs into an empty environment and works there, away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.platforms import wheels

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a program without what this environment knows of the checkout; return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tools = folder / "tools"
    run(sys.executable, "-m", "venv", tools, cwd=folder)
    run(tools / "bin" / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    [built] = folder.glob("bnprobe-*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"bnprobe"}
    for needed in ("py.typed", "report/templates/page.html", "sample_runs/deep_residual_plain.py", "sample_runs/digits.csv.gz"):
        assert f"bnprobe/{needed}" in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    run(sys.executable, "-m", "venv", empty, cwd=tmp_path)
    run(empty / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    run(empty / "bin" / "pip", "check", cwd=tmp_path)
    bnprobe = empty / "bin" / "bnprobe"
    assert run(bnprobe, "--version", cwd=tmp_path).startswith("bnprobe ")
    where = run(empty / "bin" / "python", "-c", "import bnprobe; print(bnprobe.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(empty)
    run(empty / "bin" / "python", ROOT / "tests" / "platforms" / "smoke.py", cwd=tmp_path)
    # What the demo trains is in the wheel.
    shipped = Path(where.strip()).parent / "sample_runs" / "deep_residual_plain.py"
    run(bnprobe, "record", "-o", "demo.h5", "--max-steps", "3", shipped, cwd=tmp_path)
    assert "3 steps" in run(bnprobe, "inspect", "demo.h5", cwd=tmp_path)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux" or sys.version_info < (3, 11):
        pytest.skip("cibuildwheel runs on Python 3.11 or newer; wheels for manylinux are named on Linux")
    return wheels.tools_in(tmp_path_factory.mktemp("tools"))


def test_cibuildwheel_reads_for_what_wheels_are_built(tools: Path, tmp_path: Path) -> None:
    versions = ("cp310", "cp311", "cp312", "cp313")
    for platform, machine, place in (("linux", "x86_64", "manylinux_x86_64"), ("macos", "arm64", "macosx_arm64")):
        assert wheels.identifiers(tools, tmp_path, platform, machine) == [f"{version}-{place}" for version in versions]


def test_a_wheel_has_a_tag_that_an_index_accepts_and_the_pure_one_is_for_all(
    wheel: Path, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".so")} >= {"bnprobe/measure/_fused.so"}
    assert f"-{version}-{version}-manylinux" in wheels.repaired(wheel, tools, tmp_path).name
    monkeypatch.setenv("BNPROBE_PURE", "1")
    pure = wheels.built(sys.executable, tmp_path)
    assert pure.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(pure).namelist() if name.endswith(".so")]
