"""Matches two views of the same thing, one seen by a loud sensor and one by a quiet one."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
loud, quiet = torch.randn(6, 20), torch.randn(6, 20)


def pairs(n: int) -> tuple[Tensor, Tensor]:
    thing = torch.randn(n, 6)
    first = 4 * (thing @ loud) + 8 + torch.randn(n, 20)
    return first / 8, 0.1 * (thing @ quiet) - 0.5 + 0.03 * torch.randn(n, 20)


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loud = nn.Linear(20, 48)
        self.quiet = nn.Linear(20, 48)
        self.norm = nn.BatchNorm1d(48)
        self.quiet_norm = nn.BatchNorm1d(48) if args.fixed else self.norm
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(48, 16))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        a = self.project(self.norm(self.loud(first)))
        b = self.project(self.quiet_norm(self.quiet(second)))
        return F.normalize(a, dim=1), F.normalize(b, dim=1)


def contrast(a: Tensor, b: Tensor) -> tuple[Tensor, float]:
    similarity = a @ b.T / 0.1
    same = torch.arange(len(a))
    return F.cross_entropy(similarity, same), (similarity.argmax(1) == same).float().mean().item()


model = Tower()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
held = pairs(64)
for epoch in range(6):
    model.train()
    for _ in range(25):
        loss, found = contrast(*model(*pairs(64)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        held_loss, held_found = contrast(*model(*held))
    print(f"epoch {epoch}: loss {loss.item():.3f} found {found:.2f}, held out {held_loss.item():.3f} found {held_found:.2f}")
