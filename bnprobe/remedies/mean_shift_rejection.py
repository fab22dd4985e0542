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

Ours, not the paper's: ``linear`` treats linear layers as 1x1 kernels are treated, the mean over their inputs, at the start and in every
step, but for the network's first layer, which is set and not projected, and those that give an answer. What is common to all inputs of a
layer, as the mean that a ReLU makes is, then does not pass. A ReLU halves the signal's energy and its mean is rejected: gain ``relu``,
1.714, keeps the variance.

What a kernel of zero slice means rejects is exact in the interior of an image; zero padding makes an edge, which is no constant. What
varies in space passes, and the magnitude of the kernels is not held: mean shift rejection bounds the mean, not the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies.answers import linear_answers
from bnprobe.remedies.linear_layers import is_linear, unit_axis
from bnprobe.remedies.noise import Noise
from bnprobe.remedies.remedy import Added, Changes, Remedy, Step, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import CONVOLUTIONS, TRANSPOSED, Scope
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
        weight: the weight, (O, I, *K), or (I, O) of a linear layer that keeps it so.
        start: s before training.
        exponential: learn t = ln s.
        units: the axis of the filters.
    """

    def __init__(self, weight: torch.Tensor, start: float, exponential: bool, units: int = 0) -> None:
        super().__init__()
        self.exponential = exponential
        shape = [size if axis == units else 1 for axis, size in enumerate(weight.shape)]
        value = torch.full(shape, start, dtype=weight.dtype, device=weight.device)
        self.scale = nn.Parameter(value.log() if exponential else value)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight that convolves."""
        return weight * (self.scale.exp() if self.exponential else self.scale)


class MeanShiftRejection(Remedy[MeanShiftRejectionSettings]):
    """The remedy ``msr``, or the part of another one.

    Args:
        settings: what was asked for; the defaults if None.
        asked: the remedy that was asked for, which has none of these settings; None for ``msr`` itself.
    """

    changes = Changes.STRUCTURE
    acts_in_steps = True

    def __init__(self, settings: MeanShiftRejectionSettings | None = None, asked: str | None = None) -> None:
        super().__init__(settings)
        self._asked = asked
        self._kernels: list[Kernel] = []
        self._before: dict[int, torch.Tensor] = {}
        self._noise: Noise | None = None
        self._begun = False

    @property
    def name(self) -> str:
        """What was typed after ``--remedy``."""
        return self._asked or super().name

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

    def look(self, scope: Scope) -> list[Kernel]:
        """Return the kernels that are projected.

        Raises:
            RemedyError: there are none, or weights were loaded that would be lost.
        """
        kernels = projected_kernels(scope, self.settings)
        if not kernels:
            convolutions = scope.convolutions()
            found = f"{len(convolutions)} convolutions are trained, none beyond the first has a kernel larger than 1x1"
            raise self.nothing(found, self._wider(bool(convolutions)))
        lost = None if self.settings.keep_weights else self._would_be_lost(scope, kernels)
        if lost is not None:
            raise RemedyError(
                f"remedy {self.name} sets the weights anew, and weights were loaded into this {lost}",
                f"to go on from them: --remedy msr:keep-weights{self._alone}",
            )
        return kernels

    @property
    def _alone(self) -> str:
        """What a hint at other settings has to say besides."""
        return f", without the other parts of {self._asked}" if self._asked else ""

    def _wider(self, has_convolutions: bool) -> str:
        if self.settings.linear:
            return "with linear layers, too, it leaves the first and the last layer alone; msr:linear,first widens its scope"
        wider = "msr:first and msr:pointwise widen its scope" if has_convolutions else "msr:linear centres linear layers over their inputs"
        return wider + self._alone

    def _would_be_lost(self, scope: Scope, kernels: list[Kernel]) -> str | None:
        """Name what weights were loaded into that would be set anew; those whose slice means are zero this remedy has made, and keeps."""
        layers = [one for _, one in projectable_layers(scope, self.settings) if _mean_axes(one) is not None]
        loaded = [one for one in layers if scope.loaded_into(one) is not None]
        ids = {id(one.get_parameter("weight")) for one in loaded}
        projected = [kernel for kernel in kernels if id(kernel.weight) in ids]
        if not loaded or (projected and all(_has_zero_means(kernel.weight, kernel.axes) for kernel in projected)):
            return None
        return scope.loaded_into(loaded[0])

    def prepare(self, scope: Scope) -> Touched:
        """Set the kernels, and note which are projected."""
        layers = projectable_layers(scope, self.settings)
        branches = {id(c) for branch in residual_branches(scope) for c in branch.convolutions()} if self.settings.branch != 1.0 else set()
        names: list[str] = []
        added: list[Added] = []
        self._kernels = self.look(scope)
        for name, convolution in layers:
            axes = _mean_axes(convolution)
            if axes is None:
                continue
            names.append(name)
            start = self.settings.branch if id(convolution) in branches else 1.0
            weight = convolution._parameters["weight"]
            assert weight is not None
            if not self.settings.keep_weights and scope.loaded_into(convolution) is None:
                _set_kernel(weight, axes, unit_axis(convolution), self.settings.gain * (start if self.settings.scale == "fixed" else 1.0))
            if self.settings.scale != "fixed":
                added.append(self._scale(name, convolution, weight, start))
        if self.settings.noise > 0.0:
            self._noise = Noise(NoiseSettings(d=self.settings.noise))
            names += self._noise.prepare(scope).names
        what = "weights of convolutions and linear layers" if self.settings.linear else "convolution kernels"
        return Touched(what, tuple(names), tuple(added), {TRANSPOSED: scope.transposed()})

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
            if not _has_zero_means(kernel.weight, kernel.axes):
                worst = float(kernel.mean(kernel.weight).abs().max())
                raise RemedyError(
                    f"remedy {self.name}: '{kernel.name}' has a slice mean of {worst:.2g} before the first step: "
                    "other weights were loaded over its zero-mean kernels",
                    f"to go on from weights that were trained without it: msr:keep-weights{self._alone}",
                )

    def _scale(self, name: str, convolution: nn.Module, weight: nn.Parameter, start: float) -> Added:
        scale = FilterScale(weight, start, self.settings.scale == "exp", unit_axis(convolution))
        self.parametrise(convolution, scale)
        return Added(f"{name}.scale", scale.scale, beside=weight)


def projected_kernels(scope: Scope, settings: MeanShiftRejectionSettings) -> list[Kernel]:
    """Return the kernels whose gradients and updates are projected."""
    kernels: list[Kernel] = []
    for name, layer in projectable_layers(scope, settings):
        axes = _mean_axes(layer)
        if axes is None:
            continue
        is_pointwise = len(axes) == 1 and isinstance(layer, CONVOLUTIONS) and layer.get_parameter("weight")[0, 0].numel() == 1
        if settings.pointwise if is_pointwise else settings.first or not scope.is_first(layer, linear=settings.linear):
            kernels.append(Kernel(name, layer.get_parameter("weight"), axes))
    return kernels


def projectable_layers(scope: Scope, settings: MeanShiftRejectionSettings) -> list[tuple[str, nn.Module]]:
    """Return convolutions, and with ``linear`` linear layers but those that give an answer, the classifiers."""
    convolutions: list[tuple[str, nn.Module]] = list(scope.convolutions())
    if not settings.linear:
        return convolutions
    spared = set(map(id, linear_answers(scope)))
    return convolutions + [(name, one) for name, one in scope.weight_layers() if is_linear(one) and id(one) not in spared]


def _mean_axes(layer: nn.Module) -> tuple[int, ...] | None:
    """Return the axes of the mean; None for a weight with one input and no positions, from which nothing would be left."""
    weight = layer.get_parameter("weight")
    if weight[0, 0].numel() > 1:
        return tuple(range(2, weight.dim()))
    inputs = 1 - unit_axis(layer)
    return (inputs,) if weight.shape[inputs] > 1 else None


@torch.no_grad()
def _has_zero_means(weight: torch.Tensor, axes: tuple[int, ...]) -> bool:
    return float(weight.mean(axes).abs().max()) <= MEAN_TOLERANCE * float(weight.square().mean().sqrt())


@torch.no_grad()
def _set_kernel(weight: torch.Tensor, axes: tuple[int, ...], units: int, magnitude: float) -> None:
    weight.uniform_(-1.0, 1.0)
    weight.sub_(weight.mean(axes, keepdim=True))
    lengths = torch.linalg.vector_norm(weight, dim=[axis for axis in range(weight.dim()) if axis != units], keepdim=True)
    weight.mul_(magnitude / lengths)
