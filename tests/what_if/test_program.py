"""What a stretch says of itself."""

from __future__ import annotations

import pytest
import torch

from bnprobe.what_if.program import Move, Program


@pytest.mark.parametrize(
    ("moves", "rates"),
    [
        ([(0, 0.4), (1, 0.1), (0, 0.4), (1, 0.1)], (0.4, 0.4)),  # two optimizers, no schedule
        ([(0, 0.1), (0, 0.2), (0, 0.3)], (0.1, 0.3)),
        ([(0, 0.1), (1, 0.4), (0, 0.2), (1, 0.8)], (0.4, 0.8)),
    ],
)
def test_a_schedule_is_one_optimizers_own(moves: list[tuple[int, float]], rates: tuple[float, float]) -> None:
    items = [Move(optimizer, [{"lr": rate}], [], [], step) for step, (optimizer, rate) in enumerate(moves)]
    assert Program([*items], {}, {}, 0, len(items), 0.8, torch.get_rng_state(), True).own_rates == rates
