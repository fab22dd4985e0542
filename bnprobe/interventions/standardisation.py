"""Inputs and targets brought to mean 0 and deviation 1, or into a range, by what the first batch says."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention, argument, with_argument
from bnprobe.torch_private import ConvNd

#: A feature of less deviation than this, beside its mean or beside the largest deviation, is taken for constant and only centred.
_CONSTANT = 1e-6
_LAYERS = (nn.Linear, ConvNd, nn.RNNBase, nn.RNNCellBase)
#: What is within these already needs no standardising: root mean square, smallest and largest.
_STANDARD = (0.3, 3.0)


class _Affine:
    """``(x - mean) / deviation``, with both of the first tensor that was seen, feature by feature.

    Args:
        first: that tensor.
        features: the dimension of the features; None where all elements are alike.
    """

    def __init__(self, first: torch.Tensor, features: int | None) -> None:
        values = first.detach().double()
        others = [dim for dim in range(values.dim()) if features is None or dim != features % values.dim()]
        mean, deviation = values.mean(others, keepdim=True), values.std(others, correction=0, keepdim=True)
        largest = deviation.max()
        is_constant = (deviation <= _CONSTANT * mean.abs()) | (deviation <= _CONSTANT * largest) | ~deviation.isfinite()
        self.mean = mean.nan_to_num().to(first)
        self.deviation = torch.where(is_constant, torch.ones_like(deviation), deviation).to(first)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return (values - self.mean) / self.deviation


class StandardiseInputs(Intervention):
    """The intervention ``standardise-inputs``.

    The inputs are what the first layers on the way are given: tensors that ask for no gradient while gradients are enabled.
    """

    what = "layers whose inputs come from the data"
    nothing = "no linear, convolutional or recurrent layer has the data as its input, of another scale than 1"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._scales: weakref.WeakKeyDictionary[nn.Module, _Affine | None] = weakref.WeakKeyDictionary()
        self._is_training = False

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """What was called before was no training."""
        self._is_training = True

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Standardise what a first layer is given."""
        if not isinstance(module, _LAYERS) or not args or not isinstance(args[0], torch.Tensor) or not args[0].is_floating_point():
            return None
        if module not in self._scales:
            if not (self._is_training and torch.is_grad_enabled()):
                return None
            self._scales[module] = self._of(module, args[0])
        scale = self._scales[module]
        return None if scale is None else (scale(args[0]), *args[1:])

    def _of(self, module: nn.Module, values: torch.Tensor) -> _Affine | None:
        if values.requires_grad or values.numel() < 2 or not any(one.requires_grad for one in module.parameters()):
            return None
        size = float(values.double().square().mean().sqrt())
        if _STANDARD[0] <= size <= _STANDARD[1] and abs(float(values.double().mean())) < 1.0:
            return None
        features = 1 if isinstance(module, ConvNd) and values.dim() > 2 else -1
        self.touched[type(module).__name__] += 1
        return _Affine(values, features)


class StandardiseTargets(Intervention):
    """The intervention ``standardise-targets``."""

    what = "targets of squared and absolute errors"
    nothing = "no squared or absolute error of torch has targets of another scale than 1"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._scales: dict[int, _Affine | None] = {}

    def calls(self) -> Mapping[str, Handler]:
        """Stand before the losses."""
        return dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), self._standardised)

    def _standardised(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = argument(args, kwargs, 1, "target")
        features = target.shape[-1] if target.dim() > 1 else 1
        if features not in self._scales and torch.is_grad_enabled():
            size = float(target.detach().double().square().mean().sqrt())
            is_standard = _STANDARD[0] <= size <= _STANDARD[1]
            self._scales[features] = None if is_standard or target.numel() < 2 else _Affine(target, -1 if target.dim() > 1 else None)
        scale = self._scales.get(features)
        if scale is not None:
            self.touched[func.__name__] += 1
            args, kwargs = with_argument(args, kwargs, 1, "target", scale(target))
        return func(*args, **kwargs)


class TargetsInRange(Intervention):
    """The intervention ``targets-in-range``."""

    what = "targets outside 0 to 1"
    nothing = "no target of torch's binary cross entropies lies outside 0 to 1"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._range: tuple[float, float] | None = None

    def calls(self) -> Mapping[str, Handler]:
        """Stand before the losses."""
        return dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits"), self._in_range)

    def _in_range(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = argument(args, kwargs, 1, "target")
        low, high = float(target.min()), float(target.max())
        if self._range is None and (low < 0 or high > 1):
            self._range = low, high
        if self._range is not None:
            self.touched[func.__name__] += 1
            low, high = self._range
            args, kwargs = with_argument(args, kwargs, 1, "target", ((target - low) / (high - low)).clamp(0, 1))
        return func(*args, **kwargs)
