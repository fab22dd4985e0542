from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: A training that a test changes: a model, what its optimizer is, and what happens between backward and step.
TEMPLATE = """
import hashlib
import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
{model}
optimizer = {optimizer}
generator = torch.Generator().manual_seed(1)
templates = torch.randn(4, 1, 8, 8, generator=generator)
{setup}
for step in range({steps}):
    labels = torch.randint(4, (16,), generator=generator)
    images = templates[labels] + 0.5 * torch.randn(16, 1, 8, 8, generator=generator)
{body}
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
"""
MODEL = """
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 4)
)
"""
OPTIMIZER = "torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)"
BODY = """
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


class Training:
    """A script that can be recorded with its what-if, and really trained at other rates and with remedies, each in a process of its own."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.run_file = script.with_suffix(".h5")

    def plain(self) -> str:
        """Train it; return what it prints."""
        return _python(str(self.script))

    def record(self, *options: str, check: bool = True) -> str:
        """Record it with its what-if; return what the script prints."""
        return _python("-m", "bnprobe", "record", "-q", "-f", "-o", str(self.run_file), *options, str(self.script), check=check)

    def answers(self) -> dict[str, Any]:
        """Return what was found out."""
        found: dict[str, Any] = json.loads(_python("-m", "bnprobe", "what-if", "--json", str(self.run_file)))
        return found

    def losses(self, factor: float, remedy: str, steps: int) -> list[float]:
        """Really train it at a factor on its rates, with a remedy."""
        from bnprobe.store.reader import read_run

        file = self.script.with_suffix(".direct.h5")
        file.unlink(missing_ok=True)
        _python("-m", "tests.what_if.direct", str(file), repr(factor), str(steps), remedy, str(self.script), check=False)
        found: list[float] = read_run(file)["loss"].tolist()
        return found


def _python(*arguments: str, check: bool = True) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], env=environment, check=check, capture_output=True, text=True).stdout


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., Training]:
    """Write a script: ``training(optimizer=..., body=...)``."""

    def write(*, model: str = MODEL, optimizer: str = OPTIMIZER, setup: str = "", body: str = BODY, steps: int = 24) -> Training:
        script = tmp_path / "train.py"
        script.write_text(TEMPLATE.format(model=model, optimizer=optimizer, setup=setup, body=body, steps=steps), encoding="utf-8")
        return Training(script)

    return write
