"""What a step costs the recorder as a network gets deeper: calls made by its code, which no busy machine changes, and their ratio.

python -m tests.benchmarks.depth 250 500 1000 2000
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

import bnprobe
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recorder import Recorder

PACKAGE = str(Path(bnprobe.__file__).parent)
STEPS = 4


def loose(depth: int) -> tuple[list[nn.Module], Callable[[torch.Tensor], torch.Tensor]]:
    """Layers in a list of the script's own, with an activation made anew at each call."""
    layers: list[nn.Module] = [nn.Linear(8, 8) for _ in range(depth)]

    def forward(x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            x = nn.Tanh()(layer(x))
        return x

    return layers, forward


def paired(depth: int) -> tuple[list[nn.Module], Callable[[torch.Tensor], torch.Tensor]]:
    """Blocks within one model, put in from the front so that each renames all others."""
    model = nn.Sequential()
    for _ in range(depth):
        model.insert(0, nn.Sequential(nn.Linear(8, 8), nn.Tanh()))
    return [model], model


def calls(build: Callable[[int], Any], depth: int) -> list[int]:
    """Return how many calls the recorder's code made in each step of a training, and in its end."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    counts = [0]

    def count(frame: Any, event: str, _: object) -> None:
        counts[-1] += event in ("call", "c_call") and frame.f_code.co_filename.startswith(PACKAGE)

    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "run.h5", RecordOptions(budget=1e9), {})
        recorder.install()
        modules, forward = build(depth)
        optimizer = torch.optim.SGD([p for module in modules for p in module.parameters()], lr=0.01)
        sys.setprofile(count)
        try:
            for _ in range(STEPS):
                optimizer.zero_grad()
                forward(torch.linspace(-1.0, 1.0, 32).reshape(4, 8)).mean().backward()
                optimizer.step()
                counts.append(0)
            recorder.finish(SimpleNamespace(status="finished", detail="", exit_status=0))
        finally:
            sys.setprofile(None)
    return counts


def main() -> None:
    depths = [int(text) for text in sys.argv[1:]] or [250, 500, 1000]
    for build in (paired, loose):
        before: list[int] | None = None
        for depth in depths:
            counts = calls(build, depth)
            ratios = "" if before is None else "  ratio " + " ".join(f"{new / old:.2f}" for new, old in zip(counts, before, strict=True))
            print(f"{build.__name__:7} {depth:5} layers: calls {counts}{ratios}", flush=True)
            before = counts


if __name__ == "__main__":
    main()
