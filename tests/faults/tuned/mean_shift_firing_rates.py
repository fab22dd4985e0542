"""A rate model of a cortex: layers of cells with positive firing rates learn to tell odours apart."""

import argparse

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


class Rate(nn.Module):
    """Firing rate of a cell, in multiples of the rate at rest."""

    def forward(self, current: Tensor) -> Tensor:
        rate = torch.tanh(current / 2) + 1
        return 2 * (rate - 1) if args.fixed else 2 * rate


class Cortex(nn.Module):
    def __init__(self, receptors: int = 30, cells: int = 100, areas: int = 6, odours: int = 8):
        super().__init__()
        self.areas = nn.ModuleList()
        for i in range(areas):
            synapses = nn.Linear(receptors if i == 0 else cells, cells, bias=False)
            nn.init.xavier_normal_(synapses.weight)
            self.areas.append(nn.Sequential(synapses, Rate()))
        self.readout = nn.Linear(cells, odours)

    def forward(self, x: Tensor) -> Tensor:
        for area in self.areas:
            x = area(x)
        return self.readout(x)


prototypes = torch.randn(8, 4, 30)


def sniff(n: int) -> tuple[Tensor, Tensor]:
    odour, source = torch.randint(8, (n,)), torch.randint(4, (n,))
    return prototypes[odour, source] + 0.4 * torch.randn(n, 30), odour


model = Cortex()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
for step in range(200):
    x, odour = sniff(64)
    loss = nn.functional.cross_entropy(model(x), odour)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 39:
        print(f"step {step}: loss {loss.item():.4f}")
