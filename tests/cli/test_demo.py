from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

import bnprobe as package
from bnprobe.cli import demo
from bnprobe.errors import BnprobeError, UsageError
from tests.cli.test_app import bnprobe


@pytest.mark.slow
def test_demo(tmp_path):
    result = bnprobe("demo", "--output-dir", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["batch_norm.h5", "demo.html", "plain.h5"]
    assert "1 of 2: " in result.stdout and "2 of 2: " in result.stdout
    told = [line for line in result.stdout.splitlines() if line.startswith("out")]
    verdicts = {line.split(": ")[0]: line for line in told if "what if" not in line}
    answers = [line.partition("what if: ")[2] for line in told if "what if" in line]
    remedies = {line.partition(":")[0]: line for line in answers if "trains at" in line}
    assert list(remedies) == ["no remedy", "msr"]
    assert all(" at 0." in line for line in remedies.values())
    assert "healthy" in verdicts["out/batch_norm.h5"]
    assert "healthy" not in verdicts["out/plain.h5"]
    assert (tmp_path / "out" / "demo.html").as_uri() in result.stdout


def test_scripts_are_found_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    checkout = demo.sample_runs_folder()
    assert (checkout / "deep_residual_plain.py").is_file()

    installed = tmp_path / "bnprobe"
    shutil.copytree(checkout, installed / "sample_runs")
    monkeypatch.setattr(package, "__file__", str(installed / "__init__.py"))
    assert demo.sample_runs_folder() == installed / "sample_runs"

    shutil.rmtree(installed / "sample_runs")
    with pytest.raises(UsageError, match="not installed"):
        demo.sample_runs_folder()


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "taken").write_text("")
    result = bnprobe("demo", "--output-dir", "taken", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("bnprobe: cannot make the folder 'taken': ")


def test_script_that_fails_is_said_to(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 3))
    with pytest.raises(BnprobeError, match=r"train\.py ended with status 3") as caught:
        demo._record(tmp_path / "train.py", tmp_path / "run.h5")
    assert sys.executable in caught.value.hint
