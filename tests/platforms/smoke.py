"""Whether an installed bnprobe records, diagnoses and reports: for a wheel in an empty environment, with what python has by itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

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
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.py").write_text(SCRIPT, encoding="utf-8")

        def typed(*command: str, status: int = 0) -> str:
            done = subprocess.run([sys.executable, "-m", "bnprobe", *command], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != status:
                sys.exit(f"bnprobe {' '.join(command)} ended with {done.returncode}, expected {status}\n{done.stdout}\n{done.stderr}")
            return done.stdout + done.stderr

        recorded = typed("record", "-o", "run.h5", "train.py")
        if "recorded 30 steps" not in recorded:
            sys.exit(f"bnprobe record said at its end:\n{recorded}")
        if "learning-rate-too-high" not in typed("diagnose", "run.h5", "--fail-on", "error", status=3):
            sys.exit("bnprobe diagnose did not name the cause")
        typed("report", "run.h5")
        if (folder / "run.html").stat().st_size < 100_000:
            sys.exit("bnprobe report wrote no page")


if __name__ == "__main__":
    main()
