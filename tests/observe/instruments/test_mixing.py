"""Samples that are mixed up by an axis taken for another, and what looks like it on purpose."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnprobe.observe.instruments.mixing import GONE_THROUGH, VIEWED, mixes_samples

SAMPLES, TIMES, WIDTH = 5, 7, 6
X = torch.randn(SAMPLES, TIMES, 4, generator=torch.Generator().manual_seed(0))
CELLS = [nn.LSTM, nn.GRU, nn.RNN]


def states(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    out, last = layer(x)
    return out, last[0] if isinstance(last, tuple) else last


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("both", [False, True])
def test_a_layer_that_went_through_the_samples(cell: type[nn.RNNBase], both: bool) -> None:
    out, _ = states(cell(4, WIDTH, bidirectional=both), X)
    assert mixes_samples(out[:, -1].sum()) == GONE_THROUGH
    out, _ = states(cell(4, WIDTH, bidirectional=both, batch_first=True), X)
    assert mixes_samples(out[:, -1].sum()) == 0
    out, _ = states(cell(4, WIDTH, bidirectional=both), X.transpose(0, 1))
    assert mixes_samples(out[-1].sum()) == 0
    out, _ = states(cell(4, WIDTH, bidirectional=both), X[:1].transpose(0, 1))
    assert mixes_samples(out[:, 0].sum()) == 0  # the only sample


@pytest.mark.parametrize("cell", CELLS)
def test_states_that_were_viewed(cell: type[nn.RNNBase]) -> None:
    layer = cell(4, WIDTH, bidirectional=True, batch_first=True)
    _, last = states(layer, X)
    assert mixes_samples(last.view(SAMPLES, -1).sum()) == VIEWED
    assert mixes_samples(last.transpose(0, 1).reshape(SAMPLES, -1).sum()) == 0
    assert mixes_samples(torch.cat([last[0], last[1]], 1).sum()) == 0
    _, last = states(cell(4, WIDTH, batch_first=True), X)
    assert mixes_samples(last.view(SAMPLES, -1).sum()) == 0  # one layer, one direction


def test_what_is_stacked_and_picked_on_purpose() -> None:
    views = torch.stack([nn.Linear(4, WIDTH)(X[:, place]) for place in range(3)])
    assert mixes_samples(views[:, 0].sum()) == 0
    tokens = nn.Linear(4, WIDTH)(X)
    assert mixes_samples(tokens[:, 0].sum()) == 0
    assert mixes_samples(tokens.view(SAMPLES * TIMES, WIDTH).sum()) == 0
    attention = nn.MultiheadAttention(8, 2)
    given = torch.randn(2, SAMPLES, 8)
    assert mixes_samples(attention(given, given, given)[0].reshape(-1, 8).sum()) == 0
