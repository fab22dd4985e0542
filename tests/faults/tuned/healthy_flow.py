"""A normalising flow of affine couplings; the loss is a negative log density and goes below zero."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def ring(n: int) -> Tensor:
    angle = 6.2832 * torch.rand(n)
    radius = 0.3 + 0.02 * torch.randn(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin(), 0.05 * torch.randn(n) + radius, 0.02 * torch.randn(n)], dim=1)


class Coupling(nn.Module):
    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, 8))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.net(x * self.mask).chunk(2, dim=1)
        scale = 2 * torch.tanh(scale / 2) * (1 - self.mask)
        return x * scale.exp() + shift * (1 - self.mask), scale.sum(dim=1)


class Flow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        masks = [torch.tensor([1.0, 0, 1, 0]), torch.tensor([0, 1.0, 0, 1]), torch.tensor([1.0, 1, 0, 0]), torch.tensor([0, 0, 1.0, 1])]
        self.couplings = nn.ModuleList(Coupling(mask) for mask in masks * 2)

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(len(x))
        for coupling in self.couplings:
            x, log_volume = coupling(x)
            total = total + log_volume
        return -0.5 * (x**2).sum(dim=1) - 2 * 1.8379 + total


model = Flow()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
for step in range(200):
    loss = -model(ring(256)).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    if step % 40 == 39:
        print(f"step {step + 1}: negative log density {loss.item():.4f}")
