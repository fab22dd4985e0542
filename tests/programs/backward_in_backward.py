"""A reversible block: its backward computes the forward again and goes backward through it by itself, adding to gradients."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

calls = []


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, first, second, *weights):
        one, other = x.chunk(2, dim=1)
        one = one + first(other)
        other = other + second(one)
        ctx.parts, ctx.weights = (first, second), len(weights)
        ctx.save_for_backward(one, other)
        return torch.cat([one, other], dim=1)

    @staticmethod
    def backward(ctx, gradient):
        calls.append("backward")
        first, second = ctx.parts
        one, other = ctx.saved_tensors
        to_one, to_other = gradient.detach().chunk(2, dim=1)
        with torch.enable_grad():
            one = one.detach().requires_grad_()
            moved = second(one)
            moved.backward(to_other)
        to_one = to_one + one.grad
        with torch.enable_grad():
            other = (other - moved).detach().requires_grad_()
            first(other).backward(to_one)
        return torch.cat([to_one, to_other + other.grad], dim=1), None, None, *[None] * ctx.weights


class Reversible(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return Reversed.apply(x, self.first, self.second, *self.parameters())


model = nn.Sequential(nn.Linear(6, 8), Reversible(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches(5):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    say_loss(loss)
    say_norms(model)
    optimizer.step()
    print(calls)
digest(model)
