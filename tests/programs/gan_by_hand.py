"""Two networks, moved by hand in turn, each cleared right before its own backward: what the other's backward left does not count."""

import torch
from common import digest, say_loss
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
netG = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
netD = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))


def clear(network: nn.Module) -> None:
    for p in network.parameters():
        p.grad = None


def move(network: nn.Module) -> None:
    with torch.no_grad():
        for p in network.parameters():
            p -= 0.05 * p.grad


for _ in range(4):
    clear(netD)
    true, false = netD(torch.randn(16, 2) + 1), netD(netG(torch.randn(16, 4)).detach())
    loss = F.softplus(-true).mean() + F.softplus(false).mean()
    loss.backward()
    say_loss(loss)
    move(netD)
    clear(netG)
    loss = F.softplus(-netD(netG(torch.randn(16, 4)))).mean()
    loss.backward()
    say_loss(loss)
    move(netG)
digest(netG, netD)
