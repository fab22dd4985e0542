"""Jacobians by batched backward passes between the forward and the backward: the hooks meet tensors with a hidden axis."""

import sys

import torch
from common import batches, digest, say_loss, say_norms, small_network
from torch.nn import functional as F

model = small_network()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(3):
    optimizer.zero_grad()
    scores = model(x)
    loss = F.cross_entropy(scores, y)
    if sys.argv[1] == "measured":
        directions = torch.eye(3)[:, None].expand(3, 8, 3)
        (rows,) = torch.autograd.grad(scores, [model[0].weight], directions, retain_graph=True, is_grads_batched=True)
        print("jacobian", float(rows.norm()))
        print("vectorised", float(torch.autograd.functional.jacobian(model, x[:2], vectorize=True).norm()))
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
digest(model)
