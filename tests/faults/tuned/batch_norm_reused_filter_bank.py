"""Signals through short, middle and long filters; regression of the two frequencies inside."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def signals(count: int, length: int = 80) -> tuple[Tensor, Tensor]:
    slow, fast = torch.rand(count, 1), torch.rand(count, 1)
    time = torch.arange(length)
    low = 2 * torch.sin((0.05 + 0.15 * slow) * time + 6.3 * torch.rand(count, 1))
    high = 0.7 * torch.sin((0.6 + 1.2 * fast) * time + 6.3 * torch.rand(count, 1))
    noise = 0.1 * torch.randn(count, length)
    return (low + high + noise).unsqueeze(1), torch.cat([slow, fast], dim=1)


class FilterBank(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(1, width, size, padding=size // 2) for size in (3, 9, 27))
        self.bn = nn.BatchNorm1d(width)
        self.bns = [self.bn, self.bn, self.bn]
        if args.fixed:
            self.bns = nn.ModuleList([self.bn, nn.BatchNorm1d(width), nn.BatchNorm1d(width)])
        self.regress = nn.Sequential(nn.Linear(3 * width, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, x: Tensor) -> Tensor:
        power = [torch.log(conv(x).square() + 1e-3) for conv in self.filters]
        bands = [F.softplus(bn(band)).mean(-1) for bn, band in zip(self.bns, power, strict=True)]
        return self.regress(torch.cat(bands, dim=1))


model = FilterBank()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
held_x, held_y = signals(256)
for step in range(200):
    model.train()
    x, y = signals(32)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        model.eval()
        with torch.no_grad():
            held = F.mse_loss(model(held_x), held_y).item()
        print(f"step {step + 1}: loss {loss.item():.4f} held out {held:.4f}")
