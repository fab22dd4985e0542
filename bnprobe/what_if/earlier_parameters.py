"""Parameters that were there when a stretch began: what is first met later may be as it was then, or come from the training.

A slow copy of the weights is often read before the first forward with gradient, and written to after the first update. That its first value
is not a thing of the training is known where it was alive when the stretch began and has not been written to since.
"""

from __future__ import annotations

import gc
import weakref

import torch

from bnprobe.identity import OwnReference
from bnprobe.torch_private import version


class EarlierParameters:
    """All parameters that are alive now, by weak reference, with what tells whether they have been written to."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[torch.Tensor], int, torch.Tensor]] = {}
        for one in gc.get_objects():
            # type() and not isinstance(): an object of the script's may answer for its class with code.
            if issubclass(type(one), torch.nn.Parameter) and _is_plain(one):
                self._known[id(one)] = OwnReference(one), version(one), _sums(one)

    def as_it_was(self, parameter: torch.Tensor) -> bool:
        """Whether a parameter was there, and has not been written to."""
        known = self._known.get(id(parameter))
        if known is None or known[0]() is not parameter:
            return False
        return version(parameter) == known[1] and torch.equal(_sums(parameter), known[2])


def _is_plain(parameter: torch.Tensor) -> bool:
    return type(parameter) is torch.nn.Parameter and parameter.layout is torch.strided and parameter.device.type != "meta"


def _sums(parameter: torch.Tensor) -> torch.Tensor:
    """Writing through ``.data`` counts no version: it changes these."""
    values = torch.view_as_real(parameter.detach()) if parameter.is_complex() else parameter.detach().float()
    return torch.stack([values.sum(), values.square().sum()])
