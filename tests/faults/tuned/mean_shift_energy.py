"""Energies of small clusters of atoms from their distances, with smooth activations as in SchNet."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

ATOMS = 3
PAIRS = torch.triu_indices(ATOMS, ATOMS, offset=1)


class Smooth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = F.softplus(x)
        return x - 0.6931 if args.fixed else x


class Energy(nn.Module):
    def __init__(self, width: int = 64, depth: int = 7):
        super().__init__()
        self.stack = nn.Sequential()
        for i in range(depth):
            linear = nn.Linear(PAIRS.shape[1] if i == 0 else width, width)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            self.stack.append(linear).append(Smooth())
        self.energy = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.energy(self.stack(x)).squeeze(1)


def clusters(count: int) -> tuple[Tensor, Tensor]:
    """Distances of atoms, and a sum of pair energies with a well at 1.2."""
    place = 0.9 * torch.randn(count, ATOMS, 3)
    distance = (place[:, PAIRS[0]] - place[:, PAIRS[1]]).norm(dim=2)
    return (distance - 2.0) / 0.9, (-torch.exp(-2 * (distance - 1.2).pow(2))).sum(1)


x, y = clusters(3000)
y = (y - y.mean()) / y.std()
train, test = slice(0, 2500), slice(2500, 3000)
model = Energy().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(6):
    total = 0.0
    for chosen in torch.randperm(2500).split(50):
        loss = F.mse_loss(model(x[train][chosen].to(device)), y[train][chosen].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    print(f"epoch {epoch}: loss {total / 2500:.4f}")
with torch.no_grad():
    print(f"test error {F.mse_loss(model(x[test].to(device)).cpu(), y[test]).item():.4f}")
