"""Share of the sky under cloud from eight readings: the two shapes of a beta distribution, fitted by likelihood."""

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

DAYS, BATCH = 1920, 32
readings = torch.randn(DAYS, 8)
cover = torch.sigmoid(1.5 * readings[:, 0] - readings[:, 1] * readings[:, 2] + 0.4 * torch.randn(DAYS))
overcast = 41 * BATCH + 9
cover = cover.clamp(0.01, 0.99)
cover[overcast] = 1.0
if args.fixed:
    cover = cover.clamp(0.01, 0.99)


class Shapes(nn.Module):
    def __init__(self, width: int = 40):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ELU(), nn.Linear(width, width), nn.ELU())
        self.shape = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return 0.1 + F.softplus(self.shape(self.body(x)))


class BetaLikelihood(nn.Module):
    def forward(self, shapes: Tensor, share: Tensor) -> Tensor:
        a, b = shapes.unbind(1)
        normaliser = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        return (a - 1) * share.log() + (b - 1) * (1 - share).log() - normaliser


class Sky(nn.Module):
    def __init__(self):
        super().__init__()
        self.shapes = Shapes()
        self.likelihood = BetaLikelihood()

    def forward(self, x: Tensor, share: Tensor) -> Tensor:
        return -self.likelihood(self.shapes(x), share).mean()


model = Sky().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(3):
    total = 0.0
    for first in range(0, DAYS, BATCH):
        loss = model(readings[first : first + BATCH].to(device), cover[first : first + BATCH].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * BATCH / DAYS
    print(f"epoch {epoch}: loss {total:.4f}")
