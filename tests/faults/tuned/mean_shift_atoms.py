"""Energies of clusters of atoms from continuous-filter convolutions over their distances."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)

ATOMS, WIDTH = 6, 48


def shifted(x: Tensor) -> Tensor:
    return F.softplus(x) - math.log(2.0)


class Interaction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Linear(12, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.update = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        messages = (shifted(self.filter(near)) * x[:, None]).sum(dim=2)
        change = self.update(shifted(self.mix(messages)))
        return x + (shifted(change) if args.fixed else F.softplus(change))


class Energy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.Embedding(3, WIDTH)
        self.interactions = nn.ModuleList(Interaction() for _ in range(5))
        self.readout = nn.Linear(WIDTH, 1)
        for module in self.interactions.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight, gain=1.5)
                nn.init.zeros_(module.bias)

    def forward(self, kinds: Tensor, distances: Tensor) -> Tensor:
        near = torch.exp(-8 * (distances[..., None] - torch.linspace(0, 3, 12)) ** 2)
        x = self.kinds(kinds)
        for interaction in self.interactions:
            x = interaction(x, near)
        return self.readout(x).mean(dim=(1, 2))


places, kinds = torch.randn(2000, ATOMS, 3), torch.randint(3, (2000, ATOMS))
distances = torch.cdist(places, places)
charge = torch.tensor([-1.0, 0.5, 1.0])[kinds]
energy = (charge[:, :, None] * charge[:, None] * torch.exp(-distances)).sum(dim=(1, 2))
energy = ((energy - energy.mean()) / energy.std()).clamp(-3, 3)

model = Energy()
optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
for step in range(200):
    rows = torch.randint(len(energy), (64,))
    loss = F.mse_loss(model(kinds[rows], distances[rows]), energy[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 9:
        print(f"step {step}: loss {loss.item():.4g}")
