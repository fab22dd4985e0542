"""How much curvature an optimizer stands: the one place of its formulas.

On a quadratic with Hessian H every optimizer here is a linear recursion, and it loses stability where -1 becomes a root: the weights then
flip from side to side. Put w_t = (-1)^t w into the recursion, and what is left is H w = c P w / lr with a number c of the
optimizer alone:

    SGD, momentum b, dampening d    c = (2 + 2b) / (1 - d)        heavy ball; b = 0 is gradient descent with its 2
    SGD with Nesterov's momentum    c = (2 + 2b) / (1 + 2b)
    RMSprop, momentum b             c = 2 + 2b                    P = sqrt(v) + eps
    Adagrad                         c = 2                         P = sqrt(s) + eps, lr divided by its own decay
    Adam                            c = (2 + 2b1) / (1 - b1)      P = sqrt(v_hat) + eps; 38 at b1 = 0.9

(Cohen et al. 2021, arXiv 2103.00065, for SGD; Cohen et al. 2022, arXiv 2207.14484, for Adam, whose P changes slowly enough to be held.)

Weight decay g inside the gradient (L2) turns H into H + g, so without a preconditioner it moves the threshold by -g. Decoupled
decay (AdamW) shrinks the weights by lr g beside the step: the 2 becomes 2 - lr g, which moves the threshold by -g (1 + b1) / (1 - b1).

Each parameter has its own lr, b, g and P. With D = lr / (c P), the flip is where the largest eigenvalue of D^1/2 (H + g) D^1/2 is 1; that
holds for any mixture of groups and optimizers, so this is what is measured. ``load`` is that eigenvalue: how much of the threshold is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Rule:
    """How one parameter is stepped.

    Attributes:
        rate: learning rate.
        constant: c, with lr g of decoupled decay taken off.
        decay: g of a weight decay inside the gradient.
        decoupled: g of a weight decay beside the gradient.
        preconditioner: P, of the parameter's shape; None where it is 1.
        settled: share of its memory that P has seen, t (1 - b2) after t steps: below 1 it is mostly the first few batches; NaN without
            P, and where nothing is forgotten.
    """

    rate: float
    constant: float
    decay: float = 0.0
    decoupled: float = 0.0
    preconditioner: torch.Tensor | None = None
    settled: float = math.nan

    @property
    def threshold(self) -> float:
        """Largest stable eigenvalue of P^-1 H, or of P^-1 (H + g) with decay inside the gradient under a preconditioner."""
        moved = self.decay if self.preconditioner is None else 0.0
        return self.constant / self.rate - moved if self.rate > 0 else math.inf


class UnknownRule(Exception):
    """The optimizer's threshold is not known; the message says why."""


class NoMetricYet(UnknownRule):
    """The optimizer divides its steps by second moments, and has none before its first step."""


def heavy_ball(momentum: float, dampening: float = 0.0) -> float:
    """Return c of SGD with momentum."""
    return (2 + 2 * momentum) / (1 - dampening)


def nesterov(momentum: float) -> float:
    """Return c of SGD with Nesterov's momentum."""
    return (2 + 2 * momentum) / (1 + 2 * momentum)


def adam(beta1: float, shrinkage: float = 0.0) -> float:
    """Return c of Adam; ``shrinkage`` is lr g of decoupled weight decay."""
    return (2 - shrinkage) * (1 + beta1) / (1 - beta1)


def limit_of(load: float, rules: Sequence[Rule]) -> float:
    """Return the learning rate of the first rule at which the load would be 1, all rates scaled together; infinite where nothing curves up.

    Decoupled decay shrinks by lr g, so the load does not quite grow in proportion: lr / (2 - lr g) does. The largest g
    decides, which errs to the safe side where the groups' g differ.
    """
    rate = rules[0].rate
    if not load > 0:
        return math.inf if load <= 0 else math.nan
    decay = max(rule.decoupled * rule.rate for rule in rules) / rate if rate > 0 else 0.0
    held = rate / ((2 - rate * decay) * load)
    return 2 * held / (1 + held * decay)


def rule_of(optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: torch.Tensor) -> Rule:
    """Read how an optimizer will step a parameter, from its settings and its state as they are now.

    Returns:
        The metric of the step and its stability constant.

    Raises:
        NoMetricYet: the optimizer has not stepped yet.
        UnknownRule: the optimizer is none of torch's SGD, Adam, AdamW, RMSprop and Adagrad, or has a step of its own.
    """
    kind = _kind(optimizer)
    if group.get("maximize"):
        raise UnknownRule("the optimizer maximises")
    rate, decay = float(group["lr"]), float(group.get("weight_decay", 0.0))
    if kind is torch.optim.SGD:
        momentum, dampening = float(group["momentum"]), float(group["dampening"]) if group["momentum"] else 0.0
        return Rule(rate, nesterov(momentum) if group["nesterov"] else heavy_ball(momentum, dampening), decay)
    state = optimizer.state.get(parameter, {})
    if not state or float(state["step"]) == 0:
        raise NoMetricYet(f"{type(optimizer).__name__} has no second moments before its first step")
    step, epsilon = float(state["step"]), float(group["eps"])
    if kind is torch.optim.RMSprop:
        mean_square = state["square_avg"] - state["grad_avg"].square() if group["centered"] else state["square_avg"]
        scale = mean_square.clamp(min=0).sqrt().add_(epsilon)
        return Rule(rate, heavy_ball(float(group["momentum"])), decay, preconditioner=scale, settled=step * (1 - float(group["alpha"])))
    if kind is torch.optim.Adagrad:
        return Rule(rate / (1 + step * float(group["lr_decay"])), 2.0, decay, preconditioner=state["sum"].sqrt().add_(epsilon))
    beta1, beta2 = (float(beta) for beta in group["betas"])
    second = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    scale = second.sqrt().div_(math.sqrt(1 - beta2**step)).add_(epsilon)
    settled = step * (1 - beta2)
    if kind is torch.optim.AdamW or group.get("decoupled_weight_decay"):
        return Rule(rate, adam(beta1, rate * decay), 0.0, decay, scale, settled)
    return Rule(rate, adam(beta1), decay, preconditioner=scale, settled=settled)


_KNOWN = (torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad)


def _kind(optimizer: torch.optim.Optimizer) -> type[torch.optim.Optimizer]:
    """Return which of torch's optimizers this is; a subclass with a step of its own is something else."""
    owner = next((kind for kind in type(optimizer).__mro__ if "step" in vars(kind)), None)
    known = next((kind for kind in _KNOWN if isinstance(optimizer, kind)), None)
    if known is None or owner is None or not owner.__module__.startswith("torch.optim."):
        raise UnknownRule(f"no stability threshold is known for {type(optimizer).__name__}")
    return known
