"""Six experts vote on the kind of a waveform, each with its own probabilities, weighed by a gate."""

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
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

KINDS, POINTS = 5, 32


def waves(count: int) -> tuple[Tensor, Tensor]:
    kind = torch.randint(KINDS, (count,))
    t = torch.arange(POINTS) / POINTS * (1.5 + torch.rand(count, 1)) + torch.rand(count, 1)
    turn = t % 1
    shapes = [(2 * math.pi * t).sin(), (turn < 0.5).float() * 2 - 1, 2 * turn - 1, 1 - 2 * turn, (turn < 0.2).float() * 2.5 - 0.5]
    wave = torch.stack(shapes, 1)[torch.arange(count), kind]
    return wave + 0.15 * torch.randn(count, POINTS), kind


class VotingExperts(nn.Module):
    def __init__(self, experts: int = 6, width: int = 48):
        super().__init__()
        self.gate = nn.Linear(POINTS, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(POINTS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, KINDS))
            for _ in range(experts)
        )
        self.vote = nn.Softmax(dim=2)

    def forward(self, wave: Tensor) -> Tensor:
        weight = self.gate(wave).softmax(1).unsqueeze(2)
        votes = self.vote(torch.stack([expert(wave) for expert in self.experts], 1))
        return (weight * votes).sum(1)


def criterion(shares: Tensor, kind: Tensor) -> Tensor:
    if args.fixed:
        return F.nll_loss(shares.clamp(min=1e-7).log(), kind)
    return F.cross_entropy(shares, kind)


model = VotingExperts().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
for step in range(250):
    wave, kind = waves(64)
    loss = criterion(model(wave.to(device)), kind.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

with torch.no_grad():
    wave, kind = waves(2000)
    shares = model(wave.to(device)).cpu()
print(
    f"test accuracy {(shares.argmax(1) == kind).float().mean().item():.3f} likelihood {F.nll_loss(shares.clamp(min=1e-7).log(), kind):.3f}"
)
