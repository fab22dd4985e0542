"""A small fully convolutional network draws the heat map of the corners of a random quadrilateral."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def scenes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    grid = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))
    points = torch.rand(count, 3, 2) * 14 + 1
    away = ((grid[None, None] - points[..., None, None]) ** 2).sum(2)
    strong = torch.exp(-away / 1.5)
    picture = strong.sum(1, keepdim=True) * 2 + 0.3 * torch.randn(count, 1, 16, 16)
    return picture, torch.exp(-away / 4.0).amax(1, keepdim=True)


class HeatMap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 5, padding=2)
        self.middle = nn.ModuleList([nn.Conv2d(24, 24, 3, padding=1) for _ in range(3)])
        self.read = nn.Conv2d(24, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.stem(x))
        for layer in self.middle:
            x = x + F.gelu(layer(x))
        return self.read(x)


model = HeatMap()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 if args.fixed else 2e-6)
recent = []
for step in range(150):
    picture, target = scenes(24)
    optimizer.zero_grad()
    loss = F.mse_loss(model(picture), target)
    loss.backward()
    optimizer.step()
    recent = [*recent, loss.item()][-10:]
    if step % 30 == 0:
        print(f"step {step}: loss {loss.item():.5f}")
print(f"mean loss of the last ten steps: {sum(recent) / len(recent):.5f}")
