"""A summed Poisson likelihood of photon counts: thousands per batch, and a gradient that is always clipped."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def scenes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.rand(count, 3)
    channel = torch.linspace(0, 1, 40)
    rate = 2 + 60 * source[:, :1] * torch.exp(-(((channel - 0.2 - 0.6 * source[:, 1:2]) / 0.08) ** 2)) + 30 * source[:, 2:] * channel
    return (source - 0.5) * 3.4, rate


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU())
        self.log_rate = nn.Linear(96, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_rate(self.body(x))


model = Spectrum()
optimizer = torch.optim.NAdam(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
for step in range(300):
    source, rate = scenes(64)
    counts = torch.poisson(rate)
    log_rate = model(source)
    loss = (log_rate.exp() - counts * log_rate).sum()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.1f}")
with torch.no_grad():
    source, rate = scenes(1000)
    found = model(source).exp()
print(f"last loss {loss.item():.1f}, share of the variance missed: {((found - rate).square().mean() / rate.var()).item():.4f}")
