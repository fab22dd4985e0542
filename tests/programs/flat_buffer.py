"""The optimizer holds one flat buffer whose views are the model's weights."""

import torch
from common import batches, digest, say_loss, small_network
from torch.nn import functional as F

model = small_network()
flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).requires_grad_()
flat.grad = torch.zeros_like(flat)
start = 0
for p in model.parameters():
    p.data = flat.data[start : start + p.numel()].view_as(p)
    p.grad = flat.grad[start : start + p.numel()].view_as(p)
    start += p.numel()
optimizer = torch.optim.SGD([flat], lr=0.1)
for x, y in batches(3):
    flat.grad.zero_()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    optimizer.step()
digest(model)
