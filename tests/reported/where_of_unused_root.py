"""A lens profile with a root inside and a line outside, chosen by where; weights are NaN after one step."""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true")
args = parser.parse_args()
torch.manual_seed(0)


def profile(r):
    """Height of a round lens of radius one with a flat rim."""
    inside = 1 - r**2
    if args.fixed:
        inside = torch.where(r < 1, inside, torch.ones_like(r))
    return torch.where(r < 1, torch.sqrt(inside), 0.1 * (1 - r))


class LensFit(nn.Module):
    """Reads the size of a lens from twelve noisy heights."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
        self.grid = torch.linspace(0.1, 2.0, 12)

    def forward(self, heights):
        size = torch.nn.functional.softplus(self.net(heights)) + 0.2
        return size, profile(self.grid / size)


sizes = torch.rand(2000, 1) * 1.2 + 0.4
model = LensFit()
with torch.no_grad():
    r = model.grid / sizes
    heights = torch.where(r < 1, (1 - r**2).clamp(min=0).sqrt(), 0.1 * (1 - r)) + 0.02 * torch.randn(2000, 12)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(400):
    batch = torch.randint(0, 1600, (64,))
    size, fitted = model(heights[batch])
    loss = (fitted - heights[batch]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 79:
        print(step, f"loss {loss.item():.4f}", flush=True)
with torch.no_grad():
    error = (model(heights[1600:])[0] - sizes[1600:]).abs().mean().item()
print(f"RESULT loss {loss.item():.4f} error of the size {error:.4f}")
