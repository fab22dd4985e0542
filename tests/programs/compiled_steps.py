"""torch.compile around more than a model: the optimizer's step, the whole training step, clipping. Counts what the compiler did."""

from __future__ import annotations

import sys

import torch
from common import batches, digest, say_loss, small_network
from torch._dynamo.utils import counters
from torch.nn import functional as F

form = sys.argv[1]
model = small_network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


class Doubled(torch.autograd.Function):
    """Its backward is Python, which the compiler sees where it runs inside a compiled function."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 2


def training_step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(Doubled.apply(model(x)), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


step = optimizer.step
if form == "optimizer":
    step = torch.compile(lambda: optimizer.step(), backend="aot_eager")
elif form == "method":
    step = torch.compile(optimizer.step, backend="aot_eager")
elif form == "whole":
    training_step = torch.compile(training_step, backend="aot_eager")
clip = torch.nn.utils.clip_grad_norm_
if form == "clipping":
    clip = torch.compile(lambda parameters, limit: torch.nn.utils.clip_grad_norm_(parameters, limit), fullgraph=True, backend="aot_eager")

for x, y in batches(6):
    before = model[0].weight.detach().clone()
    if form == "whole":
        loss = training_step(x, y)
    else:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        clip(list(model.parameters()), 1.0)
        step()
    say_loss(loss)
    print("moved", float((model[0].weight.detach() - before).double().norm()))
print("graphs", counters["stats"]["unique_graphs"], "breaks", sum(counters["graph_break"].values()), "frames", dict(counters["frames"]))
print("recompiles", dict(counters["recompiles"]), "calls", counters["stats"]["calls_captured"])
digest(model)
