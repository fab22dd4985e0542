"""A script may end by compiling its model with torch.jit.script or torch.export: what a remedy added is compiled with it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from bnprobe.remedies import apply


class Network(nn.Module):
    """Convolutions and a residual branch that ends in one of them, in code that torch.jit.script compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.first(x))
        return self.head((y + self.second(y)).flatten(1))


ADDING = [
    "dropout",
    "dropout:channels",
    "batch-norm",
    "layer-norm:affine",
    "rms-norm",
    "noise:at=convolutions",
    "skip-init:start=0.5",
    "mup-output:base=16",
]
#: torch compiles no parametrisation; it exports them.
PARAMETRISING = ["spectral-norm:mean", "weight-norm", "msr:scale"]


@pytest.mark.parametrize("remedy", ADDING)
def test_a_scripted_model_computes_the_same(remedy: str) -> None:
    torch.manual_seed(0)
    model, x = Network(), torch.randn(8, 1, 4, 4)
    apply(remedy, model)
    model(x)  # statistics
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(model)
    torch.testing.assert_close(scripted(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize("remedy", [*ADDING, *PARAMETRISING])
def test_an_exported_model_computes_the_same(remedy: str) -> None:
    torch.manual_seed(0)
    model, x = Network(), torch.randn(8, 1, 4, 4)
    apply(remedy, model)
    model(x)
    model.eval()
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))
