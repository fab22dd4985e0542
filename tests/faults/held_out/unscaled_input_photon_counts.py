"""A residual network tells the thickness and density of a layer from the counts of an X-ray detector."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def exposures(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    thick, dense = torch.rand(count, 1, 1), torch.rand(count, 1, 1)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 12), indexing="ij")
    depth = 0.2 + 0.8 * thick * torch.exp(-(rows**2) * 2) + 0.5 * dense * torch.cos(3 * columns)
    rate = 9000 * torch.exp(-0.8 * depth)
    return torch.poisson(rate)[:, None], torch.cat([thick, dense], 1)[:, :, 0] * 3 - 1.5


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.5 * self.two(F.relu(self.one(x)))


counts, target = exposures(700)
if args.fixed:
    counts = (counts - counts.mean()) / counts.std()
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    Residual(12),
    Residual(12),
    nn.AvgPool2d(3),
    nn.Flatten(),
    nn.Linear(192, 2),
)
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)
for step in range(160):
    rows = torch.randint(0, 700, (32,))
    loss = F.mse_loss(model(counts[rows]), target[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.5f}")
with torch.no_grad():
    print(f"error over all exposures: {F.mse_loss(model(counts), target).item():.5f}")
