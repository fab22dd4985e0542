"""Steps that all ranks of a training choose alike, although none asks another and each has costs of its own.

At level L one step of every 2^L in a row is chosen, and what is chosen at a level is chosen at all below it: a rank that can afford fewer
steps measures a part of those of the others, so that at each of its steps there are numbers of all ranks. Which step of a block it is
changes from block to block, so that what repeats in a training is met in all its phases.
"""

from __future__ import annotations

#: Channels of a training of several ranks are kept at all measured steps as long as these take so many bytes in an octave of steps: from
#: them, and from nothing smaller, the moments of all ranks together follow exactly.
OCTAVE_BYTES = 4 * 2**20
#: What a snapshot takes of a channel: mean and variance, of the signal and of its gradient, in single precision.
BYTES_PER_CHANNEL = 16

_MASK = 2**64 - 1


def is_chosen(step: int, level: int) -> bool:
    """Whether a step is the one chosen of its block of 2^level.

    >>> [sum(is_chosen(step, 3) for step in range(block, block + 8)) for block in (0, 8, 16, 24)]
    [1, 1, 1, 1]
    """
    return all((step >> bit) & 1 == _half(step >> (bit + 1), bit) for bit in range(level))


def level_of(stride: float) -> int:
    """Return the lowest level at which at most one of so many steps is chosen.

    >>> level_of(1), level_of(3), level_of(64)
    (0, 2, 6)
    """
    level = 0
    while 2**level < stride:
        level += 1
    return level


def channel_level(step: int, channels: int) -> int:
    """Return the level at which every channel is kept: it rises with the step, so that an octave of steps takes a fixed number of bytes."""
    rows = max(OCTAVE_BYTES // (BYTES_PER_CHANNEL * max(channels, 1)), 1)
    return level_of(2 ** max(step, 1).bit_length() / (2.0 * rows))


def _half(block: int, bit: int) -> int:
    """Return which half of a block is taken: a bit that looks random, of the block's number and size."""
    mixed = ((block + 1) * 0x9E3779B97F4A7C15 + (bit + 1) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0x94D049BB133111EB) & _MASK
    return mixed >> 63
