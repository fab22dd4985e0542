"""Kernels that can be differentiated twice, for the steps of a probe and no other.

Fused attention, the recurrent layers of cuDNN and oneDNN and compiled code have no second derivative; their plain counterparts have one and
round differently. The switch must be thrown before the forward, and the script's own settings come back after the backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.patches import Compilation


class DifferentiableKernels:
    """Switches kernels and puts them back. Does nothing until ``use``."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def use(self, recurrent: bool) -> None:
        """Use kernels with a second derivative until ``restore``.

        Args:
            recurrent: whether there are recurrent layers: their switch turns off all of cuDNN and oneDNN.
        """
        self.restore()
        cuda: Any = torch.backends.cuda
        for enabled, enable in (
            (cuda.flash_sdp_enabled(), cuda.enable_flash_sdp),
            (cuda.mem_efficient_sdp_enabled(), cuda.enable_mem_efficient_sdp),
            (cuda.cudnn_sdp_enabled(), cuda.enable_cudnn_sdp),
        ):
            self._switch(enabled, enable)
        if not cuda.math_sdp_enabled():
            cuda.enable_math_sdp(True)
            self._undo.append(lambda: cuda.enable_math_sdp(False))
        if recurrent:
            self._switch(torch._C._get_cudnn_enabled(), torch._C._set_cudnn_enabled)
            self._switch(torch._C._get_mkldnn_enabled(), torch._C._set_mkldnn_enabled)
        if Compilation.in_use:
            torch.compiler.set_stance("force_eager")
            self._undo.append(lambda: torch.compiler.set_stance("default"))

    def restore(self) -> None:
        """Put back what the script had."""
        while self._undo:
            self._undo.pop()()

    def _switch(self, enabled: bool, enable: Callable[[bool], object]) -> None:
        if enabled:
            enable(False)
            self._undo.append(lambda: enable(True))
