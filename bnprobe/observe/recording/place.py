"""The place of a recorded process among others, which is known when it has made its first step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from bnprobe.observe import processes
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.recording.unseen import Unseen
from bnprobe.processes import Rank, attributes_of, read_rank
from bnprobe.store.writer import RunWriter

#: Called with which of how many processes this is and whether its weights are in memory that others share; returns the run file and
#: further root attributes.
Placing = Callable[[Rank, bool], tuple[Path, dict[str, str]]]


class Place:
    """Gives the run file its place.

    Args:
        writer: the run file.
        unseen: told how many train together.
        placing: says where the file is to lie, where that is not known from the beginning.
    """

    def __init__(self, writer: RunWriter, unseen: Unseen, placing: Placing | None) -> None:
        self._writer = writer
        self._unseen = unseen
        self._placing = placing

    def find(self, optimizers: Sequence[Optimizer]) -> None:
        """The first step has been made: by now a training in several processes has its group, whoever started them."""
        rank = processes.of_group()
        self._unseen.note_group(rank.world_size)
        if self._placing is not None:
            shares = processes.share_weights(optimizer.param_groups for optimizer in optimizers)
            path, attributes = self._placing(rank, shares)
            self._writer.place(path)
        else:
            attributes = attributes_of(os.environ, rank) if rank.world_size > 1 and read_rank(os.environ) != rank else {}
        for name, value in attributes.items():
            self._writer.set_attribute(name, value)
