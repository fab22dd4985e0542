"""A GAN whose two losses are computed before either optimizer steps: one step with two optimizers."""

import torch
from common import batches, digest, say_loss, say_norms, say_rates
from torch import nn
from torch.nn import functional as F

netG = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 6))
netD = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
optG = torch.optim.SGD(netG.parameters(), lr=1e-2)
optD = torch.optim.SGD(netD.parameters(), lr=2e-2)
for real, _ in batches(3):
    optG.zero_grad()
    optD.zero_grad()
    fake = netG(torch.randn(8, 2))
    g = F.softplus(-netD(fake)).mean()
    g.backward(inputs=list(netG.parameters()), retain_graph=True)
    d = F.softplus(netD(fake.detach())).mean() + F.softplus(-netD(real)).mean()
    d.backward()
    say_loss(g, d)
    say_norms(netG=netG, netD=netD)
    say_rates(optD, optG)
    optD.step()
    optG.step()
digest(netG, netD)
