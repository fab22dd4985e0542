"""Factors that an optimizer takes out of its gradients itself, in its own kernel."""

from __future__ import annotations

import torch

from bnprobe.observe.instruments.instrument import Instrument, Surroundings, Update
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.torch_private import at_hand


class GradientScaling(Instrument):
    """Notes what a gradient scaler leaves to a fused optimizer: unscaling, and skipping the update.

    Args:
        around: not needed.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        del around

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Look at what the scaler has told the optimizer."""
        told = vars(update.optimizer) if update.optimizer is not None else {}
        scale, refused = told.get("grad_scale"), told.get("found_inf")
        step.fused_scale = at_hand(scale) if isinstance(scale, torch.Tensor) else None
        if isinstance(refused, torch.Tensor):
            step.skipped = at_hand(refused)
