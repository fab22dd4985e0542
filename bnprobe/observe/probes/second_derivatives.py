"""Kernels that can be differentiated twice, for the steps of a probe and no other.

Fused attention, the recurrent layers of cuDNN and oneDNN and compiled code have no second derivative; their plain counterparts have one and
round differently. The switch must be thrown before the forward, and the script's own settings come back after the backward.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.attaching.patches import Compilation, Patches
from bnprobe.torch_private import RECURRENT_KERNELS, plain_kernels


class DifferentiableKernels:
    """Switches kernels and puts them back. Does nothing until ``use``."""

    def __init__(self) -> None:
        self._in_use = False
        self._undo: list[Callable[[], object]] = []

    def attach(self, patches: Patches) -> None:
        """Watch what has no switch of its own, or none that could be thrown before it is there."""
        patches.replace(torch, "compile", self._seeing_compile)
        for name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
            patches.replace(RECURRENT_KERNELS, name, self._seeing_recurrence)

    def use(self) -> None:
        """Use kernels with a second derivative until ``restore``."""
        self.restore()
        self._in_use = True
        cuda: Any = torch.backends.cuda
        for enabled, enable in (
            (cuda.flash_sdp_enabled(), cuda.enable_flash_sdp),
            (cuda.mem_efficient_sdp_enabled(), cuda.enable_mem_efficient_sdp),
            (cuda.cudnn_sdp_enabled(), cuda.enable_cudnn_sdp),
        ):
            if enabled:
                enable(False)
                self._undo.append(functools.partial(enable, True))
        if not cuda.math_sdp_enabled():
            cuda.enable_math_sdp(True)
            self._undo.append(functools.partial(cuda.enable_math_sdp, False))
        if Compilation.in_use:
            self._run_eagerly()

    def restore(self) -> None:
        """Put back what the script had."""
        self._in_use = False
        while self._undo:
            self._undo.pop()()

    def _run_eagerly(self) -> None:
        torch.compiler.set_stance("force_eager")
        self._undo.append(functools.partial(torch.compiler.set_stance, "default"))

    def _seeing_compile(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The first step's probe begins before anything is compiled."""

        @functools.wraps(original)
        def compile(*args: Any, **kwargs: Any) -> Any:
            first = not Compilation.in_use
            result = original(*args, **kwargs)
            if first and self._in_use:
                self._run_eagerly()
            return result

        return compile

    def _seeing_recurrence(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Only here: turned off for a whole step, cuDNN and oneDNN would be missed by convolutions, too."""

        @functools.wraps(original)
        def recurrence(*args: Any, **kwargs: Any) -> Any:
            if not self._in_use:
                return original(*args, **kwargs)
            with plain_kernels():
                return original(*args, **kwargs)

        return recurrence
