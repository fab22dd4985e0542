"""What layers of a rerun compute is what those of the real training compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnprobe.what_if.activations import Activations, Layers
from bnprobe.what_if.rerun import Rerun
from tests.what_if.test_rerun import STEPS, Training, cnn, momentum, plain, tape


def test_they_are_those_of_the_real_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taped = tape(cnn, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.built is not None
    layers = Layers(taped.program, taped.built)
    assert layers.names == ["0", "2", "5"]
    seen = Activations(layers)
    Rerun(taped.program).run(3.0, watch=seen.watch)
    rms, common = really()
    np.testing.assert_allclose(seen.rms, rms, rtol=1e-5)
    np.testing.assert_allclose(seen.common, common, rtol=1e-4, atol=1e-7)


def really() -> tuple[Any, Any]:
    """Train at three times the rate, and measure in float64."""
    torch.manual_seed(0)
    model = cnn()
    outputs: list[torch.Tensor] = []
    for name in ("0", "2", "5"):
        dict(model.named_children())[name].register_forward_hook(
            lambda module, args, output: outputs.append(output.detach().double().clone())
        )
    optimizer = momentum(model)
    optimizer.param_groups[0]["lr"] *= 3.0
    plain(Training(model, optimizer, []))
    energies = torch.stack([x.square().mean() for x in outputs]).reshape(STEPS, 3)
    means = [x.mean(tuple(axis for axis in range(x.dim()) if axis != 1)).square().mean() for x in outputs]
    return energies.sqrt().numpy(), (torch.stack(means).reshape(STEPS, 3) / energies).numpy()


def test_batches_of_tokens_have_their_channels_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tokens() -> nn.Module:
        return nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, 6), nn.GELU(), nn.Flatten(), nn.Linear(48, 4))

    taped = tape(tokens, momentum, plain, tmp_path / "run.h5", monkeypatch)
    assert taped.program is not None and taped.built is not None
    layers = Layers(taped.program, taped.built)
    assert layers.names == ["1", "4"]
    seen = Activations(layers)
    Rerun(taped.program).run(watch=seen.watch)
    assert np.isfinite(seen.rms).all() and ((seen.common >= 0) & (seen.common <= 1)).all()
