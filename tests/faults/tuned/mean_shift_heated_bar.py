"""Where and how strongly a bar was heated, from the temperatures along it a while later: a surrogate network of eight layers."""

import argparse
import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Surrogate(nn.Module):
    def __init__(self, sensors: int, width: int, depth: int) -> None:
        super().__init__()
        sizes = [sensors] + depth * [width]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.3)
        return self.out(x)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.3, nonlinearity="leaky_relu")
        nn.init.normal_(module.bias, std=0.1 if args.fixed else 4.0)


def bars(count: int) -> tuple[Tensor, Tensor]:
    place, strength = 2 * torch.rand(count, 1) - 1, torch.randn(count, 1)
    sensors = torch.linspace(-1, 1, 24)[None]
    spread = 0.2
    temperature = strength * torch.exp(-((sensors - place) ** 2) / (2 * spread**2)) + 0.02 * torch.randn(count, 24)
    return 2.5 * temperature, torch.cat([torch.sin(math.pi * place), strength.abs()], 1)


model = Surrogate(24, 64, 8).apply(initialise).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(200):
    x, target = bars(96)
    loss = F.mse_loss(model(x.to(device)), target.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
