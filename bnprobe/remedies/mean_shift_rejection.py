"""Mean shift rejection: kernels that let no spatially constant signal through, at the start and ever after.

Ruff, Beck, Bach 2019, "Mean Shift Rejection: Training Deep Neural Networks Without Minibatch Statistics or Normalization",
arXiv 1911.13173, and its authors' public code.

Start: W ~ U(-1, 1); the mean of every slice W[o, i] over its positions is subtracted; every filter is scaled to ||W[o]|| = gain, 1 as
published. A 1x1 kernel has no positions, so the mean over its input channels is subtracted.

Every step, for kernels larger than 1x1 without the first convolution (``first`` and ``pointwise`` widen this):

    g <- g - w mean_{y,x} g

With w = 1 that is the projection onto the kernels of zero slice means: under SGD, momentum, Nesterov and L2 decay, all linear in the
gradient, the means stay zero. Optimizers that scale element by element (Adam, RMSprop) or move weights otherwise leave that plane, so the
update is projected, too, W <- W - w (mean W - mean W_before); the gradient still is, lest their second moments are filled with a common
mode that is thrown away afterwards. For w = 1 the weights themselves are projected, which also keeps rounding errors from adding up.
With w < 1 a share 1-w of the common mode passes at each step.

What a kernel of zero slice means rejects is exact in the interior of an image; zero padding makes an edge, which is no constant. What
varies in space passes, and the magnitude of the kernels is not held: mean shift rejection bounds the mean, not the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies.noise import Noise
from bnprobe.remedies.remedy import Added, Changes, Remedy, Step, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Convolution, Scope
from bnprobe.remedies.settings import MeanShiftRejectionSettings, NoiseSettings

#: Slice means beyond this share of a kernel's rms are no rounding error: weights were loaded over those that had been prepared.
MEAN_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Kernel:
    """A kernel under projection and the axes of its mean."""

    name: str
    weight: nn.Parameter
    axes: tuple[int, ...]

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the mean of every slice of the kernel, its gradient or its update, in a shape that broadcasts."""
        return tensor.mean(self.axes, keepdim=True)


class FilterScale(nn.Module):
    """Parametrisation W * s with a learnable s, or s = exp(t), for each filter.

    Args:
        weight: the weight, (O, I, *K).
        start: s before training.
        exponential: learn t = ln s.
    """

    def __init__(self, weight: torch.Tensor, start: float, exponential: bool) -> None:
        super().__init__()
        self.exponential = exponential
        value = torch.full((len(weight), *(1,) * (weight.dim() - 1)), start, dtype=weight.dtype, device=weight.device)
        self.scale = nn.Parameter(value.log() if exponential else value)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight that convolves."""
        return weight * (self.scale.exp() if self.exponential else self.scale)


class MeanShiftRejection(Remedy[MeanShiftRejectionSettings]):
    """The remedy ``msr``."""

    changes = Changes.STRUCTURE
    acts_in_steps = True

    def __init__(self, settings: MeanShiftRejectionSettings | None = None) -> None:
        super().__init__(settings)
        self._kernels: list[Kernel] = []
        self._before: dict[int, torch.Tensor] = {}
        self._noise: Noise | None = None
        self._begun = False

    @property
    def needs(self) -> Changes:
        """The plain remedy sets values; learnable scales and noise add modules; without either, kept weights need neither."""
        if self.settings.scale != "fixed" or self.settings.noise > 0.0:
            return Changes.STRUCTURE
        return Changes.GRADIENTS if self.settings.keep_weights else Changes.WEIGHTS

    @property
    def sets_weights(self) -> bool:
        """Whether weights that were trained before would be lost."""
        return not self.settings.keep_weights

    def prepare(self, scope: Scope) -> Touched:
        """Set the kernels, and note which are projected."""
        convolutions = scope.convolutions()
        branches = {id(c) for branch in residual_branches(scope) for c in branch.convolutions()} if self.settings.branch != 1.0 else set()
        names: list[str] = []
        added: list[Added] = []
        self._kernels = projected_kernels(scope, self.settings)
        for name, convolution in convolutions:
            axes = _mean_axes(convolution)
            if axes is None:
                continue
            names.append(name)
            start = self.settings.branch if id(convolution) in branches else 1.0
            weight = convolution._parameters["weight"]
            assert weight is not None
            if not self.settings.keep_weights:
                _set_kernel(weight, axes, self.settings.gain * (start if self.settings.scale == "fixed" else 1.0))
            if self.settings.scale != "fixed":
                added.append(self._scale(name, convolution, weight, start))
        if not self._kernels:
            found = f"{len(convolutions)} convolutions are trained, none beyond the first has a kernel larger than 1x1"
            raise self.nothing(found, "msr:first and msr:pointwise widen its scope" if convolutions else "it acts on convolutions alone")
        if self.settings.noise > 0.0:
            self._noise = Noise(NoiseSettings(d=self.settings.noise))
            names += self._noise.prepare(scope).names
        return Touched("convolution kernels", tuple(names), tuple(added))

    def before_step(self, step: Step) -> None:
        """Project the gradients."""
        kernels = self._mine(step)
        if not self._begun:
            self._begun = True
            self._check_start()
        self._before = {id(k.weight): k.mean(k.weight) for k in kernels} if self._projects_update(step) else {}
        for kernel in kernels:
            gradient = kernel.weight.grad
            if gradient is not None:
                gradient.sub_(kernel.mean(gradient), alpha=self.settings.w)

    def after_step(self, step: Step) -> None:
        """Project the update, or the weights themselves where their means shall be zero."""
        if self._is_exact:
            for kernel in self._mine(step):
                kernel.weight.sub_(kernel.mean(kernel.weight))
            return
        for kernel in self._mine(step):
            mean = self._before.get(id(kernel.weight))
            if mean is not None:
                kernel.weight.sub_(kernel.mean(kernel.weight).sub_(mean), alpha=self.settings.w)
        self._before = {}

    def remove(self) -> None:
        """Take off parametrisations and noise."""
        if self._noise is not None:
            self._noise.remove()
        super().remove()

    # -- inside -------------------------------------------------------------------------------------------------------

    @property
    def _is_exact(self) -> bool:
        return self.settings.w == 1.0 and not self.settings.keep_weights

    def _projects_update(self, step: Step) -> bool:
        """With w < 1 an update that is linear in the gradient was weighted already; to do it again would pass (1-w)^2."""
        if self._is_exact:
            return False
        return self.settings.w == 1.0 or not isinstance(step.optimizer, torch.optim.SGD)

    def _mine(self, step: Step) -> list[Kernel]:
        mine = {id(parameter) for parameter in step.mine(kernel.weight for kernel in self._kernels)}
        return [kernel for kernel in self._kernels if id(kernel.weight) in mine]

    def _check_start(self) -> None:
        if self.settings.keep_weights:
            return
        for kernel in self._kernels:
            worst, typical = float(kernel.mean(kernel.weight).abs().max()), float(kernel.weight.square().mean().sqrt())
            if worst > MEAN_TOLERANCE * typical:
                raise RemedyError(
                    f"remedy msr: '{kernel.name}' has a slice mean of {worst:.2g} before the first step: "
                    "other weights were loaded over its zero-mean kernels",
                    "to go on from weights that were trained without it: msr:keep-weights",
                )

    def _scale(self, name: str, convolution: Convolution, weight: nn.Parameter, start: float) -> Added:
        scale = FilterScale(weight, start, self.settings.scale == "exp")
        self.parametrise(convolution, scale)
        return Added(f"{name}.scale", scale.scale, beside=weight)


def projected_kernels(scope: Scope, settings: MeanShiftRejectionSettings) -> list[Kernel]:
    """Return the kernels whose gradients and updates are projected."""
    kernels: list[Kernel] = []
    for number, (name, convolution) in enumerate(scope.convolutions()):
        axes = _mean_axes(convolution)
        if axes is None or not (settings.pointwise if axes == (1,) else number > 0 or settings.first):
            continue
        kernels.append(Kernel(name, convolution.get_parameter("weight"), axes))
    return kernels


def _mean_axes(convolution: Convolution) -> tuple[int, ...] | None:
    """Return the axes of the mean; None for a 1x1 kernel with one input, from which nothing would be left."""
    weight = convolution.weight
    if weight[0, 0].numel() > 1:
        return tuple(range(2, weight.dim()))
    return (1,) if weight.shape[1] > 1 else None


@torch.no_grad()
def _set_kernel(weight: torch.Tensor, axes: tuple[int, ...], magnitude: float) -> None:
    weight.uniform_(-1.0, 1.0)
    weight.sub_(weight.mean(axes, keepdim=True))
    lengths = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())), keepdim=True)
    weight.mul_(magnitude / lengths)
