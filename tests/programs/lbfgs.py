"""LBFGS evaluates its closure several times within one step."""

import torch
from common import batches, digest, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4, line_search_fn="strong_wolfe")
((x, y),) = batches(1)
for _ in range(3):
    losses = []

    def closure(losses=losses):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    optimizer.step(closure)
    print("loss", losses[0])
    print("micro", len(losses))
digest(model)
