"""A critic with a gradient penalty; without an argument the penalty is left out, and the activation gradients of the two must agree
where the penalty's weight is zero."""

import sys

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn

critic = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
weight = float(sys.argv[1])
for real, _ in batches(4):
    fake = torch.ones(8, 6)
    optimizer.zero_grad()
    loss = critic(fake).mean() - critic(real).mean()
    if sys.argv[2] == "penalty":
        between = (0.5 * real + 0.5 * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        loss = loss + weight * (gradient.norm(dim=1) - 1).square().mean()
    loss.backward()
    say_loss(loss)
    say_norms(critic)
    optimizer.step()
digest(critic)
