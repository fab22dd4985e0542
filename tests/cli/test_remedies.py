from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnprobe.remedies.catalogue import names
from bnprobe.store.reader import read_run

SCRIPT = """
import torch
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Conv2d(2, 2, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(3):
    model(torch.randn(4, 1, 8, 8)).square().mean().backward()
    optimizer.step()
print(float(model[2].weight.mean((2, 3)).abs().max()) < 1e-7)
"""


def bnprobe(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(SCRIPT)
    return subprocess.run([sys.executable, "-m", "bnprobe", *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


class TestList:
    def test_every_remedy_with_its_settings_and_source(self, tmp_path: Path) -> None:
        done = bnprobe(tmp_path, "remedies")
        assert done.returncode == 0
        assert [line for line in done.stdout.splitlines() if line and not line.startswith(" ")] == names()
        assert "setting  gain=1 (unit or he or relu): magnitude ||W[o]||" in done.stdout
        assert "source   Ruff, Beck, Bach 2019, arXiv 1911.13173" in done.stdout

    def test_one_of_them(self, tmp_path: Path) -> None:
        assert bnprobe(tmp_path, "remedies", "agc").stdout.startswith("agc\n  adaptive gradient clipping")

    def test_one_that_is_not(self, tmp_path: Path) -> None:
        done = bnprobe(tmp_path, "remedies", "adc")
        assert (done.returncode, done.stderr) == (2, "bnprobe: no remedy 'adc'\nhint: did you mean 'agc'?\n")


class TestRecord:
    @pytest.mark.slow
    def test_the_training_is_changed_and_the_user_told(self, tmp_path: Path) -> None:
        done = bnprobe(tmp_path, "record", "--remedy", "msr", "--remedy", "clip-norm:max=2", "train.py")
        assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
        assert "bnprobe: remedy msr acts on 2 convolution kernels\n" in done.stderr
        assert "bnprobe: remedy clip-norm:max=2 acts on 4 parameters\n" in done.stderr

    @pytest.mark.slow
    def test_the_file_tells_whether_the_condition_held(self, tmp_path: Path) -> None:
        for options in (["--remedy", "msr"], []):
            done = bnprobe(tmp_path, "record", *options, "-o", f"run{len(options)}.h5", "train.py")
            assert done.returncode == 0, done.stderr
        bare, kept = (read_run(tmp_path / f"run{count}.h5") for count in (0, 2))
        assert [parameter.name for parameter in kept.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
        for run in (bare, kept):
            for name in ("kernel_slice_mean", "kernel_cmrr"):
                assert np.isnan(run[name]).tolist() == [[False, True, False, True]] * 3
        assert (kept["kernel_slice_mean"][:, 2] < 1e-6).all()
        assert (kept["kernel_cmrr"][:, 2] > 1e6).all()
        # The first convolution starts without a mean and is left free to learn one.
        assert (kept["kernel_slice_mean"][:, 0] > 1e-6).all()
        assert (bare["kernel_slice_mean"][:, [0, 2]] > 1e-2).all()
        assert (bare["kernel_cmrr"][:, [0, 2]] < 100).all()

    @pytest.mark.parametrize(
        ("remedy", "message"),
        [("mrs", "bnprobe: no remedy 'mrs'\nhint: did you mean 'msr'?\n"), ("msr:q", "bnprobe: remedy msr has no setting 'q'\n")],
    )
    def test_a_mistyped_remedy_never_starts_the_script(self, tmp_path: Path, remedy: str, message: str) -> None:
        done = bnprobe(tmp_path, "record", "--remedy", remedy, "train.py")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(message)
        assert not list(tmp_path.glob("*.h5"))

    @pytest.mark.slow
    def test_a_remedy_without_anything_to_act_on_is_a_message_and_no_traceback(self, tmp_path: Path) -> None:
        done = bnprobe(tmp_path, "record", "--remedy", "no-norm", "train.py")
        assert (done.returncode, done.stdout) == (2, "")
        assert "bnprobe: remedy no-norm found nothing to act on: no normalisation\n" in done.stderr
        assert "Traceback" not in done.stderr

    def test_part_of_a_distributed_run_cannot_be_changed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", "2")
        done = bnprobe(tmp_path, "record", "--ranks", "0", "--remedy", "msr", "train.py")
        assert done.returncode == 2
        assert "leave the other processes as they are\nhint: leave out --ranks 0\n" in done.stderr
