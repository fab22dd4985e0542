"""Running the command on scripts, as a person would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUADRATIC = """
import sys
import torch

# loss = 1/2 sum_i a_i w_i^2 with curvatures 4 and 1: gradient descent is stable below 2/4, heavy ball below (2 + 2 * momentum)/4
model = torch.nn.Linear(2, 1, bias=False)
torch.nn.init.constant_(model.weight, 1.0)
curvature = torch.tensor([4.0, 1.0])
inputs = torch.diag(curvature.sqrt()) * 2**0.5
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=MOMENTUM)
for step in range(200):
    loss = 0.5 * (model(inputs) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def lr_limit(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``bnprobe lr-limit`` in ``tmp_path``."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bnprobe", "lr-limit", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, **{"cwd": tmp_path, **options})

    return run
