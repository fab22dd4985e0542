"""Tells the weather front from two days of air pressure in pascal, with dilated convolutions."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
FRONTS, HOURS = 4, 48


def barometers(n: int) -> tuple[Tensor, Tensor]:
    front = torch.randint(FRONTS, (n,))
    hour = torch.arange(HOURS).float()
    centre = 12 + 24 * torch.rand(n, 1)
    width = 2.0 + 2.5 * (front[:, None] % 2)
    sign = 1.0 - 2.0 * (front[:, None] // 2)
    dip = sign * torch.exp(-(((hour - centre) / width) ** 2))
    return (101_325 + 250 * (2 * dip + 0.3 * torch.randn(n, HOURS)))[:, None], front


class FrontNet(nn.Module):
    def __init__(self, width: int = 24):
        super().__init__()
        self.first = nn.Conv1d(1, width, 5, padding=2)
        self.second = nn.Conv1d(width, width, 3, padding=2, dilation=2)
        self.third = nn.Conv1d(width, width, 3, padding=4, dilation=4)
        self.out = nn.Linear(2 * width, FRONTS)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.first, self.second, self.third):
            x = nn.functional.mish(conv(x))
        return self.out(torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1))


model = FrontNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(200):
    pressure, front = barometers(48)
    if args.fixed:
        pressure = (pressure - 101_325) / 250
    loss = nn.functional.cross_entropy(model(pressure), front)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
