"""macOS and Windows, as far as they can be had on Linux: what they lack is taken away, and what needs Linux says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ELSEWHERE = Path(__file__).with_name("elsewhere.py")
SYSTEMS = ["darwin", "win32"]
SCRIPT = """
import torch

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=50.0)
for _ in range(30):
    inputs = torch.randn(32, 4)
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("weights", sum(float(value.detach().double().sum()) for value in model.parameters()))
"""


def typed(system: str, *command: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ELSEWHERE), system, *command], cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_is_imported(system: str, tmp_path: Path) -> None:
    assert json.loads(typed(system, "everything", cwd=tmp_path).stdout) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_record_report_diagnose(system: str, folder: Path) -> None:
    recorded = typed(system, "record", "-o", "run.h5", "train.py", cwd=folder)
    plain = subprocess.run([sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    assert recorded.stdout == plain.stdout
    assert "recorded 30 steps" in recorded.stderr
    assert sorted(file.name for file in folder.iterdir()) == ["run.h5", "train.py"]
    assert "learning-rate-too-high" in typed(system, "diagnose", "run.h5", "--fail-on", "error", cwd=folder, status=3).stdout
    typed(system, "report", "run.h5", cwd=folder)
    assert (folder / "run.html").stat().st_size > 100_000


@pytest.mark.parametrize("system", SYSTEMS)
def test_trials_say_that_they_need_linux(system: str, folder: Path) -> None:
    refused = typed(system, "lr-limit", "train.py", cwd=folder, status=2)
    assert f"on this system ({system}) nothing keeps them from writing to your files" in refused.stderr


def test_what_needs_a_fork_says_so(folder: Path) -> None:
    refused = typed("win32", "record", "--follow", "-o", "run.h5", "train.py", cwd=folder, status=2)
    assert "--follow leaves a process beside the script, which win32 cannot" in refused.stderr
    assert "in another terminal: bnprobe report --follow run.h5" in refused.stderr


@pytest.mark.parametrize("system", SYSTEMS)
def test_two_recordings_to_one_file_are_refused(system: str, folder: Path) -> None:
    (folder / "twice.py").write_text(
        f"import subprocess, sys\nimport torch\ncommand = [sys.executable, {str(ELSEWHERE)!r}, {system!r}, 'record', '-o', 'run.h5']\n"
        "print(subprocess.run([*command, 'train.py'], capture_output=True, text=True).stderr)\n",
        encoding="utf-8",
    )
    done = typed(system, "record", "-o", "run.h5", "twice.py", cwd=folder)
    assert "is recording to 'run.h5'" in done.stdout
    assert not list(folder.glob(".*.lock"))
