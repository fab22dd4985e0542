"""Forwards are not measured, and something will tell that training goes on: gradients are cleared, or a model is put into training mode.

A backward or an update tells so as well, but then a forward has gone by unseen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bnprobe.observe.attaching.patches import Patches


class Rest:
    """Waits for training to go on.

    Args:
        on_end: called once when it does.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._patches: Patches | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is waited."""
        return self._patches is not None

    def begin(self) -> None:
        """Wait. Nothing is replaced otherwise."""
        self._patches = Patches()
        self._patches.replace(torch.optim.Optimizer, "zero_grad", self._ending)
        self._patches.replace(nn.Module, "zero_grad", self._ending)
        self._patches.replace(nn.Module, "train", self._ending)

    def end(self) -> None:
        """Wait no longer."""
        patches, self._patches = self._patches, None
        if patches is not None:
            patches.undo()

    def _ending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_on and (original.__name__ != "train" or (args[1:2] or (kwargs.get("mode", True),))[0]):
                self.end()
                self._on_end()
            return original(*args, **kwargs)

        return call
