"""Optimizers whose ``step`` takes something else than a closure, calls it in its own way, or is left by an exception."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

form = sys.argv[1]
model = small_network()


class Descent(torch.optim.Optimizer):
    def __init__(self, parameters, lr=0.1):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def descend(self, rate=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(parameter.grad, alpha=-(rate or group["lr"]))


class StepsByLoss(Descent):
    def step(self, loss):
        self.descend(min(0.1, float(loss.detach())))


class StepsByRate(Descent):
    def step(self, rate, *, closure=None):
        self.descend(rate)


class StepsWithModel(Descent):
    def step(self, model):
        assert isinstance(model, torch.nn.Module) and model[0].weight.grad is not None
        self.descend()


class SearchesLine(Descent):
    """Calls its closure with an argument, and looks at what it is first."""

    def step(self, closure):
        assert closure.tag == "mine", closure
        loss = closure()
        before = [parameter.detach().clone() for group in self.param_groups for parameter in group["params"]]
        self.descend(1.0)
        if closure(backward=False) > loss:
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter, old in zip(group["params"], before, strict=True):
                        parameter.copy_(old)
            self.descend(0.1)
        return loss


class Refuses(Descent):
    calls = 0

    def step(self, closure=None):
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("refused")
        self.descend()


@dataclass(eq=True)
class DataClass(torch.optim.Optimizer):
    parameters: list
    lr: float = 0.1
    seen: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(self.parameters, {"lr": self.lr})

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.parameters:
            parameter.add_(parameter.grad, alpha=-self.lr)


class Closure:
    """A closure that is an object, with more to it than being called."""

    tag = "mine"

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __call__(self, backward=True):
        loss = F.cross_entropy(model(self.x), self.y)
        if backward:
            optimizer.zero_grad()
            loss.backward()
            say_norms(model)
        self.loss = loss.detach()
        return float(self.loss)


kinds = {"loss": StepsByLoss, "rate": StepsByRate, "model": StepsWithModel, "refuses": Refuses, "unhashable": DataClass}
optimizer = kinds.get(form, SearchesLine)(list(model.parameters()))
for x, y in batches(4):
    if form in ("object", "function"):
        closure = Closure(x, y)
        if form == "function":
            closure = functools.wraps(closure.__call__)(lambda *args, _run=closure, **kwargs: _run(*args, **kwargs))
            closure.tag = "mine"
        print("loss", optimizer.step(closure))
        continue
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    argument = {"loss": (loss,), "rate": (0.05,), "model": (model,)}.get(form, ())
    try:
        optimizer.step(*argument)
    except RuntimeError as error:
        print(error)
        optimizer.step()
digest(model)
