"""Tells the state of a greenhouse from three kinds of sensors: a branch for each kind, then a common network."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
KINDS, STATES = 3, 6
mean = torch.randn(STATES, KINDS, 8, generator=torch.Generator().manual_seed(3))
SCALE = torch.tensor([0.4, 1.0, 2.5]).reshape(1, KINDS, 1)
LEVEL = torch.tensor([-1.0, 0.0, 2.0]).reshape(1, KINDS, 1)


def readings(n: int) -> tuple[Tensor, Tensor]:
    state = torch.randint(0, STATES, (n,))
    return LEVEL + SCALE * (0.6 * mean[state] + 0.8 * torch.randn(n, KINDS, 8)), state


class Greenhouse(nn.Module):
    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(8, width) for _ in range(KINDS))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(KINDS if args.fixed else 1))
        self.common = nn.Sequential(nn.Linear(KINDS * width, 48), nn.Mish(), nn.Linear(48, STATES))

    def forward(self, values: Tensor) -> Tensor:
        parts = [F.mish(self.norms[i % len(self.norms)](branch(values[:, i]))) for i, branch in enumerate(self.branches)]
        return self.common(torch.cat(parts, dim=1))


model = Greenhouse()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for step in range(200):
    values, state = readings(64)
    loss = F.cross_entropy(model(values), state)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    values, state = readings(1000)
    answer = model(values)
    print(f"new readings: loss {F.cross_entropy(answer, state).item():.4f} right {(answer.argmax(1) == state).float().mean():.3f}")
