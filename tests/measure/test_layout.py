"""Which axis is which."""

from __future__ import annotations

import pytest
import torch

from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST, by_samples


@pytest.mark.parametrize(
    ("shape", "layout", "expected", "channels_last"),
    [
        ((5,), CHANNELS_FIRST, (5, 1, 1), False),
        ((5, 4), CHANNELS_LAST, (5, 4, 1), False),
        ((5, 4, 3), CHANNELS_FIRST, (5, 4, 3), False),
        ((5, 4, 3, 2), CHANNELS_FIRST, (5, 4, 6), False),
        ((5, 4, 3), CHANNELS_LAST, (5, 4, 3), True),
        ((5, 4, 3, 2), CHANNELS_LAST, (5, 12, 2), True),
        ((5, 4, 3), TIME_FIRST, (4, 5, 3), True),
    ],
)
def test_positions_are_laid_together(shape, layout, expected, channels_last):
    view, last = by_samples(torch.zeros(shape), layout)
    assert (tuple(view.shape), last) == (expected, channels_last)


def test_a_contiguous_signal_is_not_copied():
    for x, layout in (
        (torch.zeros(5, 4, 3, 2), CHANNELS_FIRST),
        (torch.zeros(5, 4, 3, 2), CHANNELS_LAST),
        (torch.zeros(5, 4, 3, 2).to(memory_format=torch.channels_last), CHANNELS_FIRST),
    ):
        assert by_samples(x, layout)[0].data_ptr() == x.data_ptr()
