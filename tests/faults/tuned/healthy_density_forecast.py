"""Density of a river's next level with a GRU and a mixture of Gaussians: the loss is a negative logarithm of sharp densities."""

import argparse
import math

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def rivers(count: int, days: int = 24) -> Tensor:
    """Levels that fall by a steady share each day and rise at once when it rains."""
    level = torch.rand(count)
    series = []
    for _ in range(days):
        rain = (torch.rand(count) < 0.12).float() * (0.5 + 0.08 * torch.randn(count))
        level = 0.9 * level + rain + 0.012 * torch.randn(count)
        series.append(level)
    return (torch.stack(series, 1) - 0.6) / 0.4


class Density(nn.Module):
    def __init__(self, width: int = 48, parts: int = 3):
        super().__init__()
        self.reader = nn.GRU(1, width, batch_first=True)
        self.shares, self.shift, self.log_width = nn.Linear(width, parts), nn.Linear(width, parts), nn.Linear(width, parts)

    def forward(self, series: Tensor, following: Tensor) -> Tensor:
        h, _ = self.reader(series.unsqueeze(2))
        log_width = self.log_width(h).clamp(min=-3)
        z = (following.unsqueeze(2) - series.unsqueeze(2) - self.shift(h)) / log_width.exp()
        parts = self.shares(h).log_softmax(2) - 0.5 * z.pow(2) - log_width - 0.5 * math.log(2 * math.pi)
        return parts.logsumexp(2)


model = Density().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(300):
    series = rivers(48).to(device)
    loss = -model(series[:, :-1], series[:, 1:]).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    series = rivers(500).to(device)
    print(f"test loss {-model(series[:, :-1], series[:, 1:]).mean().item():.4f}")
