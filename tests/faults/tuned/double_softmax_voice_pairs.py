"""Learns voices: two cuts of one recording shall match each other better than the cuts of other speakers."""

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


def pairs(n: int, length: int = 128) -> tuple[Tensor, Tensor]:
    pitch = 0.02 + 0.03 * torch.rand(n, 1, 1, 1)
    timbre = torch.rand(n, 1, 6, 1)
    waves = torch.sin(2 * math.pi * (pitch * torch.arange(1, 7)[:, None] * torch.arange(length) + torch.rand(n, 2, 6, 1)))
    cuts = (timbre * waves).sum(2) + 0.2 * torch.randn(n, 2, length)
    return cuts[:, :1], cuts[:, 1:]


class Voice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ear = nn.Conv1d(1, 40, 31, stride=3)
        self.mix = nn.Conv1d(40, 40, 1)
        self.norm = nn.LayerNorm(80)
        self.embed = nn.Linear(80, 24)

    def forward(self, sound: Tensor) -> Tensor:
        h = F.gelu(self.mix(self.ear(sound).abs()))
        return F.normalize(self.embed(self.norm(torch.cat([h.mean(2), h.std(2)], 1))), dim=1)


class Matcher(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.voice = Voice()
        self.score = nn.Identity() if args.fixed else nn.Softmax(dim=1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.score(self.voice(first) @ self.voice(second).T / 0.1)


model = Matcher()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(200):
    first, second = pairs(32)
    match = model(first, second)
    loss = F.cross_entropy(match, torch.arange(32))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.4f} matched {(match.argmax(1) == torch.arange(32)).float().mean().item():.2f}")
