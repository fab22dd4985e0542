"""A network for each fold: what the script has let go is gone before the next one is built."""

from __future__ import annotations

import gc
import sys
import weakref

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

form = sys.argv[1]


def fold(number: int) -> list[weakref.ref]:
    model = small_network()
    optimizer = None
    if form != "hand":
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1) if form == "closure" else torch.optim.Adam(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", enabled=form == "scaled")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for x, y in batches(2):
        if form == "closure":
            optimizer.step(closure)
            continue
        if optimizer is None:
            gradients = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= 0.1 * gradient
            continue
        optimizer.zero_grad()
        loss = scaler.scale(F.cross_entropy(model(x), y))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    digest(model)
    kept = [model, model[0], model[0].weight, *(p.grad for p in model.parameters() if p.grad is not None)]
    if optimizer is not None:
        kept.append(optimizer)
        kept += [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    return [weakref.ref(one) for one in kept]


for number in range(3):
    references = fold(number)
    gc.collect()
    print("alive after fold", number, [type(one).__name__ for reference in references if (one := reference()) is not None])
