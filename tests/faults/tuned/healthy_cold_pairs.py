"""Finds the recording that belongs to a score: two encoders, unit vectors, and a learned temperature that begins cold."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--fixed", action="store_true", help="nothing to remove: the same run")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
to_score = torch.randn(10, 24, generator=torch.Generator().manual_seed(1)) / 3
to_sound = torch.randn(10, 40, generator=torch.Generator().manual_seed(2)) / 3


def pairs(n: int) -> tuple[Tensor, Tensor]:
    music = torch.randn(n, 10)
    return music @ to_score + 0.1 * torch.randn(n, 24), torch.sin(2 * music @ to_sound) + 0.1 * torch.randn(n, 40)


class Pairing(nn.Module):
    def __init__(self, width: int = 96, code: int = 32) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(24, width), nn.GELU(), nn.Linear(width, code))
        self.sound = nn.Sequential(nn.Linear(40, width), nn.GELU(), nn.Linear(width, code))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.04)))

    def forward(self, score: Tensor, sound: Tensor) -> Tensor:
        a, b = F.normalize(self.score(score), dim=1), F.normalize(self.sound(sound), dim=1)
        return self.log_scale.exp().clamp(max=100) * a @ b.T


model = Pairing()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
for step in range(250):
    agreement = model(*pairs(128))
    same = torch.arange(128)
    loss = (F.cross_entropy(agreement, same) + F.cross_entropy(agreement.T, same)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        print(f"step {step + 1}: loss {loss.item():.4f} found {(agreement.argmax(1) == same).float().mean():.3f}")
