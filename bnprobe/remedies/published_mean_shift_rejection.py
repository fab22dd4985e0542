"""Mean shift rejection as its authors' public code trains with it, all parts together.

Ruff, Beck, Bach 2019, arXiv 1911.13173, public code. Which of its variants the paper's tables used is not known; this is the later one.

    kernels        W ~ U(-1, 1), slice means subtracted, ||W[o]|| = 1; 1x1 kernels centred over their input channels
    scales         y = conv(x, s W), s learnable for each filter, 0.8 at the start in residual branches
    gradients      g <- (1 + m) g - m mean_{y,x} g, m = 10, for kernels larger than 1x1 without the first convolution: 1 + m times the
                   gradient of ``msr:w=m/(1+m)``
    decay          5e-4 sum_o (||W[o]|| - 1)^2 in place of the optimizer's weight decay, which is 0 during its steps
    biases         none but the first convolution's and the classifier's: the others are set to zero and stay there
    classifier     Xavier, uniform
    rates          biases and classifier a quarter of the script's rate, as 0.1 beside 0.4 in the authors' saved run
    noise          x u, u ~ U(0.9, 1.1) at the inputs of residual blocks, where there are such

The rate, its schedule and the momentum stay the script's. The authors' run has 0.4, a tenth of it at epochs 100 and 150 of 200, momentum
0.9 and batches of 128. Ours: under optimizers that scale element by element the update is projected, as by ``msr``, and so are the
quarter rates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.errors import RemedyError
from bnprobe.identity import IdentityMap
from bnprobe.remedies.answers import linear_answers
from bnprobe.remedies.mean_shift_rejection import MeanShiftRejection
from bnprobe.remedies.remedy import Changes, Remedy, Step, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import MeanShiftRejectionSettings, PublishedMeanShiftRejectionSettings


class PublishedMeanShiftRejection(Remedy[PublishedMeanShiftRejectionSettings]):
    """The remedy ``msr-published``."""

    changes = Changes.STRUCTURE
    acts_in_steps = True

    def __init__(self, settings: PublishedMeanShiftRejectionSettings | None = None) -> None:
        super().__init__(settings)
        self._inner: MeanShiftRejection | None = None
        self._kernels: list[nn.Parameter] = []
        self._projected: list[nn.Parameter] = []
        self._silent: list[nn.Parameter] = []
        self._slow: list[nn.Parameter] = []
        self._before: list[tuple[nn.Parameter, torch.Tensor]] = []
        self._decay: IdentityMap[Optimizer, list[Any]] = IdentityMap()

    def prepare(self, scope: Scope) -> Touched:
        """Set kernels, biases and classifier, and add scales and noise."""
        m = self.settings.m
        blocks = [one for one in residual_branches(scope) if one.block not in scope.models]
        noise = self.settings.noise if blocks else 0.0
        inner = MeanShiftRejection(MeanShiftRejectionSettings(w=m / (1.0 + m), scale="linear", branch=0.8, noise=noise), self.name)
        convolutions = scope.convolutions()
        self._kernels = [one.get_parameter("weight") for _, one in convolutions]
        self._projected = [kernel.weight for kernel in inner.look(scope)]
        self._refuse_shared(scope, convolutions)
        touched = inner.prepare(scope)
        self._inner = inner
        self._set_the_rest(scope, convolutions)
        without = () if blocks or not self.settings.noise else tuple(type(model).__name__ for model in scope.models)
        left = {
            **touched.left,
            "trained without noise, for it has no residual block whose code torch.fx can follow": without,
            "left as it is, for this optimizer does not train it": self._others(scope, convolutions),
        }
        return Touched(touched.what, touched.names, touched.added, left)

    def before_step(self, step: Step) -> None:
        """Edit the gradients, take the optimizer's weight decay away, and remember what moves at a quarter of the rate."""
        assert self._inner is not None
        for kernel in step.mine(self._kernels):
            if kernel.grad is not None:
                kernel.grad.add_(self._penalty(kernel) * step.scale)
        self._inner.before_step(step)
        for kernel in step.mine(self._projected):
            if kernel.grad is not None:
                kernel.grad.mul_(1.0 + self.settings.m)
        for bias in step.mine(self._silent):
            if bias.grad is not None:
                bias.grad.zero_()
        if self._decay.get(step.optimizer) is None:  # a closure may come here several times in one step
            self._decay[step.optimizer] = [group.get("weight_decay") for group in step.optimizer.param_groups]
            self._before = [(one, one.detach().clone()) for one in step.mine(self._slow)]
        for group in step.optimizer.param_groups:
            if "weight_decay" in group:
                group["weight_decay"] = 0.0

    def after_step(self, step: Step) -> None:
        """Project the update, shorten the quarter rates', and give the optimizer its weight decay back."""
        assert self._inner is not None
        self._inner.after_step(step)
        for parameter, before in self._before:
            parameter.copy_(torch.lerp(before, parameter, self.settings.slow))
        self._before = []
        for group, decay in zip(step.optimizer.param_groups, self._decay.pop(step.optimizer) or [], strict=False):
            if decay is not None:
                group["weight_decay"] = decay

    def remove(self) -> None:
        """Take off scales and noise."""
        if self._inner is not None:
            self._inner.remove()
        super().remove()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _refuse_shared(self, scope: Scope, convolutions: list[tuple[str, Any]]) -> None:
        """Refuse kernels whose biases another optimizer trains: they would not stay zero."""
        for name, one in convolutions:
            if one.bias is not None and one.bias.requires_grad and id(one.bias) not in scope.trained:
                raise RemedyError(
                    f"remedy {self.name}: the optimizer of the kernel of '{name}' does not train its bias, which would not stay zero",
                    "train kernels and biases by one optimizer, in two parameter groups if they differ",
                )

    def _others(self, scope: Scope, convolutions: list[tuple[str, Any]]) -> tuple[str, ...]:
        """Name biases that are frozen, and classifiers that are frozen, or trained by another optimizer."""
        biases = [f"{name}.bias" for name, one in convolutions if one.bias is not None and id(one.bias) not in scope.trained]
        classifiers = set(map(id, linear_answers(scope)))
        without = [name for name, one in scope.modules() if id(one) in classifiers and id(one.weight) not in scope.trained]
        return (*biases, *without)

    @torch.no_grad()
    def _set_the_rest(self, scope: Scope, convolutions: list[tuple[str, Any]]) -> None:
        """Biases and classifier; what was loaded from a checkpoint of this remedy is as it shall be already."""
        for _, one in convolutions:
            if one.bias is None or id(one.bias) not in scope.trained:
                continue
            if scope.is_first(one):
                self._slow.append(one.bias)
            else:
                self._silent.append(one.bias)
                if scope.loaded_into(one) is None:
                    one.bias.zero_()
        for classifier in (one for one in linear_answers(scope) if id(one.weight) in scope.trained):
            if scope.loaded_into(classifier) is None:
                nn.init.xavier_uniform_(classifier.get_parameter("weight"))
            self._slow += [p for p in classifier._parameters.values() if p is not None and id(p) in scope.trained]

    def _penalty(self, kernel: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the norm penalty."""
        lengths: torch.Tensor = torch.linalg.vector_norm(kernel, dim=tuple(range(1, kernel.dim())), keepdim=True)
        return 2.0 * self.settings.penalty * (1.0 - 1.0 / lengths.clamp(min=1e-12)) * kernel
