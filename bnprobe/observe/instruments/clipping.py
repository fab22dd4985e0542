"""The gradient norm before clipping, as ``torch.nn.utils`` computes it anyway.

``clip_grad_norm_`` is public: scripts import it by name, pickle it and compile it, so it has to stay the object that it is. What it calls
to scale the gradients is told the norm; that one closes over its body, and the body in the closure is replaced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import answers_itself, at_hand, clipping_body, is_imaginary, user_modes_disabled


class Clipping:
    """Tells of gradients that are clipped by their norm.

    Args:
        on_clip: called with the norm before clipping, a number or a copy that lies on an accelerator, and the norm to clip to, None where
            that is no plain number.
        on_gap: called with (subject, reason) where torch has no such place.
    """

    def __init__(self, on_clip: Callable[[torch.Tensor | float, float | None], None], on_gap: Callable[[str, str], None]) -> None:
        self._on_clip = on_clip
        self._on_gap = on_gap

    def attach(self, patches: Patches) -> None:
        """Watch clipping."""
        body = clipping_body()
        if body is None:
            self._on_gap("gradient norms before clipping", f"clip_grad_norm_ of torch {torch.__version__} is built otherwise")
        else:
            patches.replace(body, "cell_contents", self._seeing_clipping)

    def _seeing_clipping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(total_norm, torch.Tensor) and not (is_imaginary(total_norm) or answers_itself(total_norm)):
                with user_modes_disabled():
                    self._on_clip(at_hand(total_norm), float(max_norm) if type(max_norm) in (int, float) else None)
            return original(parameters, max_norm, total_norm, *args, **kwargs)

        return clip_grads_with_norm_
