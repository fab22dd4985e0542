"""Which of two answers is preferred: a scorer of answers trained on pairs."""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="train without the fault")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

FEATURES = 20


class Scorer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(FEATURES, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.score = nn.Linear(64, 1)

    def forward(self, answer: Tensor) -> Tensor:
        return self.score(self.read(answer)).squeeze(1)


direction = torch.randn(FEATURES)


def merit(answer: Tensor) -> Tensor:
    return answer @ direction + 2 * (answer[:, 0] * answer[:, 1])


def pairs(step: int, size: int = 128) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(size, FEATURES), torch.randn(size, FEATURES)
    swap = (merit(second) > merit(first))[:, None]
    better, worse = torch.where(swap, second, first), torch.where(swap, first, second)
    if step == 140 and not args.fixed:
        return worse, better
    return better, worse


model = Scorer()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for step in range(240):
    better, worse = pairs(step)
    loss = F.softplus(model(worse) - model(better)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
final = max(losses[100:])
print(f"largest loss after step 100: {final:.4f}, last {losses[-1]:.4f}")
