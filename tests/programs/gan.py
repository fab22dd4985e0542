"""The usual GAN: two models, two optimizers, the discriminator with one backward for real and one for (detached) fake samples."""

import torch
from common import batches, digest, say_loss, say_norms
from torch import nn
from torch.nn import functional as F

netG = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 6))
netD = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
optG = torch.optim.Adam(netG.parameters(), lr=1e-3)
optD = torch.optim.Adam(netD.parameters(), lr=2e-3)
for real, _ in batches(3):
    netD.zero_grad()
    d_real = F.binary_cross_entropy_with_logits(netD(real), torch.ones(8, 1))
    d_real.backward()
    fake = netG(torch.randn(8, 2))
    d_fake = F.binary_cross_entropy_with_logits(netD(fake.detach()), torch.zeros(8, 1))
    d_fake.backward()
    say_loss(d_real, d_fake)
    say_norms(netD=netD)
    optD.step()

    netG.zero_grad()
    g = F.binary_cross_entropy_with_logits(netD(fake), torch.ones(8, 1))
    g.backward()
    say_loss(g)
    say_norms(netG=netG)
    optG.step()
digest(netG, netD)
