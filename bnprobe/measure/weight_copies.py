"""Copies of weights from before an update, and norms around it, in one call of compiled code before it and one after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure import fused
from bnprobe.measure.pages import pages

_Vector = NDArray[np.float64]
#: As ``tensors.c`` asks for them: see ``fused.is_walkable``.
_KINDS = (torch.Tensor, torch.nn.Parameter, torch.float32, torch.strided)


class _Memory(NamedTuple):
    """Memory, where it begins, and how many float32 there is room for: in one, as a signal's handler may raise between any two lines."""

    pages: _Vector
    address: int
    numbers: int

    @classmethod
    def of(cls, numbers: int) -> _Memory:
        made = pages((numbers + 1) // 2)
        return cls(made, made.ctypes.data, numbers)


class WeightCopies:
    """Keeps copies end to end, in memory that is used again; those of one update at a time."""

    def __init__(self) -> None:
        self._memory = _Memory.of(0)
        self._held: list[torch.Size] | None = None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return 4 * self._memory.numbers

    def drop(self) -> None:
        """Give the memory back."""
        self._held = None
        self._memory = _Memory.of(0)

    def holds(self, shapes: list[torch.Size]) -> bool:
        """Whether these shapes, which ``before`` returned, are of the present copies: of two updates at once the later has them."""
        return shapes is self._held

    def before(
        self, parameters: Sequence[torch.Tensor], gradients: Mapping[int, torch.Tensor] | None, most_bytes: int
    ) -> tuple[_Vector, list[torch.Size]] | None:
        """Copy parameters, and measure them and their gradients.

        Args:
            parameters: what is updated.
            gradients: by id of the parameter, where they are not stored in ``.grad``.
            most_bytes: how large all copies may be.

        Returns:
            (2 k,) norms of the gradients, NaN without one, and of the parameters; and the parameters' shapes. None where some tensor is not
            ``fused.is_walkable``, copies would be too large, or nothing is compiled.
        """
        if (asking := fused.asks_tensors()) is None:
            return None
        compiled, norms = asking
        found, team = np.empty(2 * len(parameters)), fused.team_address()
        held, self._held = self._held, None
        for _ in range(2):
            room = (self._memory.address, min(self._memory.numbers, most_bytes // 4))
            shapes: Any = compiled.before_update(parameters, gradients, found, *room, norms, team, *_KINDS)
            if type(shapes) is list:
                self._held = shapes
                return found, shapes
            if shapes is None or 4 * shapes > most_bytes:
                self._held = held  # nothing was copied
                return None
            self._memory = _Memory.of(shapes)
        return None

    def after(self, parameters: Sequence[torch.Tensor], shapes: list[torch.Size]) -> _Vector | None:
        """Return (k,), how far parameters have moved from their copies; None where some tensor is no longer as it was.

        Args:
            parameters: those that ``before`` was given last.
            shapes: what it returned of them; copies that it ``holds``.
        """
        if (asking := fused.asks_tensors()) is None:
            return None
        compiled, norms = asking
        found = np.empty(len(parameters))
        is_found = compiled.after_update(parameters, shapes, found, self._memory.address, norms, fused.team_address(), *_KINDS)
        return found if is_found else None

    def tensors(self, shapes: list[torch.Size]) -> list[torch.Tensor]:
        """Return the copies, for whoever goes on without compiled code."""
        whole, end = torch.from_numpy(self._memory.pages.view(np.float32)), 0
        found: list[torch.Tensor] = []
        for shape in shapes:
            begin, end = end, end + shape.numel()
            found.append(whole[begin:end].view(shape))
        return found
