"""What the command refuses before it makes a trial; the trials themselves are in tests/experiments/limits."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from bnprobe.cli.app import app
from bnprobe.errors import BnprobeError
from bnprobe.store.limits_file import write_limits
from tests.limit_trials import trials


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a script and the trials that were made of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("import torch\n")
    digest = hashlib.sha256((tmp_path / "train.py").read_bytes()).hexdigest()
    conditions = {"argv": json.dumps(["train.py", "--lr", "1"]), "cwd": os.getcwd(), "steps": 100, "script_digest": digest}
    write_limits(tmp_path / "limits.h5", conditions, trials(), [])
    return tmp_path


def refusal(*arguments: str) -> str:
    error = CliRunner().invoke(app, ["lr-limit", *arguments]).exception
    assert isinstance(error, BnprobeError)
    return str(error)


@pytest.mark.parametrize("rates", ["0.1", "0:1", "1:0.1", "a:b", "0.1:inf", "nan:1"])
def test_rates_that_are_no_range(project: Path, rates: str) -> None:
    assert refusal("--rates", rates, "train.py") == f"--rates is '{rates}', expected two rates, the smaller one first"


def test_an_unknown_remedy(project: Path) -> None:
    assert refusal("--remedy", "NONE", "--remedy", "clip-norm+mrs", "train.py") == "no remedy 'mrs'"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["train.py", "--lr", "2"], "the command line of the script"),
        (["--steps", "50", "train.py", "--lr", "1"], "--steps"),
    ],
)
def test_trials_of_other_conditions_are_not_mixed(project: Path, arguments: list[str], what: str) -> None:
    assert refusal("-o", "limits.h5", *arguments) == f"'limits.h5' holds trials that differ in {what}"


def test_trials_of_another_version_of_the_script_are_not_mixed(project: Path) -> None:
    (project / "train.py").write_text("import torch  # changed\n")
    assert refusal("-o", "limits.h5", "train.py", "--lr", "1") == "'limits.h5' holds trials that differ in the script itself"


def test_a_damaged_file_is_not_written_over(project: Path) -> None:
    with h5py.File(project / "limits.h5", "r+") as file:
        del file["trial_outcome"]
    before = (project / "limits.h5").read_bytes()
    assert "'limits.h5' is damaged: trial_outcome" in refusal("-o", "limits.h5", "train.py", "--lr", "1")
    assert (project / "limits.h5").read_bytes() == before


@pytest.mark.parametrize("name", ["train.py", "run.h5"])
def test_other_files_are_not_written_over(project: Path, name: str) -> None:
    if name == "run.h5":
        with h5py.File(project / name, "w") as file:
            file.attrs["Conventions"] = "bnprobe-1"
    assert refusal("-o", name, "--fresh", "train.py") == f"'{name}' exists and holds no learning-rate trials"
