"""Positions of six valves for a wanted flow and temperature: a controller whose units work between end stops."""

import argparse
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Controller(nn.Module):
    def __init__(self, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        sizes = [5] + [width] * depth
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        self.stops = nn.ModuleList([nn.Hardtanh() for _ in range(depth)])
        self.valves = nn.Linear(width, 6)
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight, gain=1.2 if args.fixed else 12)

    def forward(self, x: Tensor) -> Tensor:
        for layer, stop in zip(self.layers, self.stops, strict=True):
            x = stop(layer(x))
        return self.valves(x)


plant = torch.randn(5, 6) / 2


def wishes(count: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 5)
    return x, torch.sin(x @ plant) + 0.5 * (x @ plant) * torch.tanh(x[:, :1])


model = Controller()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for step in range(300):
    x, valves = wishes(128)
    loss = F.mse_loss(model(x), valves)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        print(f"step {step + 1}: loss {loss.item():.4f}")
