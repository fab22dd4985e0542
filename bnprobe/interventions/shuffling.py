"""Samples in random order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from bnprobe.interventions.intervention import Intervention
from bnprobe.observe.attaching.patches import Patches

#: Of the generator that shuffles: the script's own draws stay as they are.
_SEED = 0


class Shuffle(Intervention):
    """The intervention ``shuffle``."""

    what = "data loaders that went through their data in order"
    nothing = "no DataLoader goes through its data in order"

    def attach(self, patches: Patches) -> None:
        """Stand before the constructor of data loaders."""
        patches.replace(DataLoader, "__init__", self._shuffling)

    def _shuffling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(loader: DataLoader[Any], dataset: Any, *args: Any, **kwargs: Any) -> None:
            given = dict(zip(("batch_size", "shuffle", "sampler", "batch_sampler"), args, strict=False)) | kwargs
            is_ordered = not any(given.get(name) for name in ("shuffle", "sampler", "batch_sampler"))
            if is_ordered and not isinstance(dataset, IterableDataset) and len(args) < 2:
                kwargs.pop("shuffle", None)
                kwargs["sampler"] = RandomSampler(dataset, generator=torch.Generator().manual_seed(_SEED))
                self.touched[f"DataLoader of {len(dataset)} samples"] += 1
            original(loader, dataset, *args, **kwargs)

        return __init__
