"""Calls of torch's losses: which loss, of what, and its mean.

A module such as ``nn.CrossEntropyLoss`` and the function of ``nn.functional`` both end in one function of C, which is what is replaced:
nothing that a script holds, pickles or compiles becomes another object.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import LOSS_FUNCTIONS, LossFunction, holds_numbers

_MEAN, _SUM = 1, 2  # what torch's functions of C are given for a reduction
_IGNORED = -100  # what torch's functions ignore unless they are told otherwise
OF_LABELS = ("cross_entropy_loss", "nll_loss_nd")
#: Above what output a sample is of class one, by the loss that it is given to.
_THRESHOLDS = {"binary_cross_entropy": 0.5, "binary_cross_entropy_with_logits": 0.0}


@dataclass(frozen=True)
class LossCall:
    """One call of a loss.

    Attributes:
        kind: name of torch's function of C.
        output: what it was given of the network.
        target: what that is compared with.
        result: what it returned.
        reduction: torch's number of it.
        ignored: the label that does not count.
    """

    kind: str
    output: torch.Tensor
    target: torch.Tensor
    result: torch.Tensor
    reduction: int
    ignored: int

    @property
    def has_labels(self) -> bool:
        """Whether its target are classes by number."""
        return self.kind in OF_LABELS and not self.target.is_floating_point()

    def weight(self) -> int:
        """How many numbers the loss is, or would be, a mean over."""
        if self.has_labels:
            return int((self.target != self.ignored).sum())
        return self.output.shape[0] if self.kind in ("cross_entropy_loss", "kl_div") and self.output.dim() > 1 else self.target.numel()

    def mean(self, weight: int) -> float:
        """The loss as a mean, however the script asked for it."""
        if self.reduction == _MEAN:
            return float(self.result)
        return float(self.result.sum()) / weight if weight else float("nan")

    @property
    def threshold(self) -> float | None:
        """Above what output a sample is of class one; None for other losses."""
        return _THRESHOLDS.get(self.kind)


def attach(patches: Patches, on_call: Callable[[LossCall], None]) -> None:
    """Tell of every call of a loss of torch's.

    Args:
        patches: what takes the replacements back.
        on_call: must raise nothing.
    """
    for function in LOSS_FUNCTIONS:
        patches.replace(function.owner, function.name, functools.partial(_seeing, function, on_call))


def _seeing(function: LossFunction, on_call: Callable[[LossCall], None], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def loss(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if not torch.compiler.is_compiling() and len(args) > function.reduction:
            output, target, reduction = args[0], args[1], args[function.reduction]
            ignored = args[function.ignored] if function.ignored is not None and len(args) > function.ignored else _IGNORED
            if all(isinstance(one, torch.Tensor) and holds_numbers(one) for one in (output, target, result)):
                on_call(LossCall(function.name, output, target, result, reduction, ignored))
        return result

    return loss
